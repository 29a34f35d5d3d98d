/**
 * Random sequences of verbs with the trouble that comes between them, and what must hold after every step. Used by
 * the model tests (FakeHaproxy and the real ones) and by the long campaign.
 *
 * The model knows only names: which domains and wildcards must be routed after what was answered. Everything else is
 * checked as equality: refused means that the database is as before; database = files = HAProxy after every step.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain, cleanupWildcards, removeDomain } from "../../src/program/Domains.ts"
import { importDomains } from "../../src/program/Import.ts"
import {
  addServer,
  addServers,
  removeServer,
  setDomainState,
  setServerState,
  setServerWeight
} from "../../src/program/Servers.ts"
import type { ProgramServices } from "../../src/program/Services.ts"

/** Numbers from a seed (mulberry32), so that a failing run can be repeated. */
export class Dice {
  private state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  /** 0 ≤ n < bound. */
  next(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }
  pick<A>(of: ReadonlyArray<A>): A {
    return of[this.next(of.length)]!
  }
}

const names = [
  "a.com",
  "b.com",
  "c.co.uk",
  "www.a.com",
  "api.b.com",
  "deep.er.a.com",
  "*.a.com",
  "*.www.a.com",
  "*.b.com",
  "shop.it.com",
  "x.shop.it.com"
]
const addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "2001:db8::1"]
const badNames = ["", "com", "a..com", "*.com", "-x.com", "a.com;show info", "ä.com", "a.com."]
const badAddresses = ["0.0.0.0", "127.1", "169.254.169.254", "unix@/etc/passwd", "10.0.0.1 ", "::ffff:1.2.3.4"]

/** One step: what it is called in a report, and the program. */
export interface Step {
  readonly text: string
  readonly program: Effect.Effect<
    { readonly summary: string; readonly changed: boolean },
    ControlError,
    ProgramServices
  >
  /** What a success means for the set of routed names. */
  readonly names: (routed: Set<string>) => void
}

const nothing = () => {}

/** Rows of an import, with a bad one now and then. */
const someRows = (dice: Dice) =>
  Array.from({ length: 1 + dice.next(3) }, () => ({
    domain: dice.next(12) === 0 ? dice.pick(badNames) : dice.pick(names),
    ...(dice.next(3) === 0
      ? { shares_with: dice.pick(names) }
      : dice.next(3) === 0
      ? {}
      : { servers: `${dice.pick(["10.0.0.1", "10.0.0.2"])}:80` })
  }))

/**
 * A random verb with random arguments, good ones mostly; `routed` are the names that exist. A new verb is added here,
 * and its steps in Writes.ts.
 */
export const randomStep = (dice: Dice, routed: ReadonlyArray<string>): Step => {
  const known = routed.length > 0 && dice.next(2) === 0
  const domain = dice.next(16) === 0 ? dice.pick(badNames) : known ? dice.pick(routed) : dice.pick(names)
  const ip = dice.next(12) === 0 ? dice.pick(badAddresses) : dice.pick(addresses)
  const slot = dice.next(5)
  const state = dice.pick(["ready", "drain", "maint", "maint", "bogus"])
  const step = (text: string, program: Step["program"], change: Step["names"] = nothing): Step => ({
    text,
    program,
    names: change
  })
  switch (dice.next(13)) {
    case 0:
    case 1:
      return step(`add ${domain} ${ip}`, addDomain({ domain, ip }), (routed) => routed.add(domain))
    case 2:
      return step(`add ${domain}`, addDomain({ domain }), (routed) => routed.add(domain))
    case 3:
    case 4: {
      const share_with = routed.length > 0 && dice.next(3) > 0 ? dice.pick(routed) : dice.pick(names)
      return step(
        `add ${domain} share ${share_with}`,
        addDomain({ domain, share_with }),
        (routed) => routed.add(domain)
      )
    }
    case 5:
    case 6:
      return step(`remove ${domain}`, removeDomain({ domain }), (routed) => routed.delete(domain))
    case 7:
      return step(`server+ ${domain} ${slot} ${ip}`, addServer({ domain, slot, ip, http_port: 80 + dice.next(2) }))
    case 8: {
      const servers = Array.from({ length: 1 + dice.next(3) }, () => ({ ip: dice.pick(addresses) }))
      return step(`servers+ ${domain} ${servers.map((s) => s.ip)}`, addServers({ domain, servers }))
    }
    case 9:
      return step(`server- ${domain} ${slot}`, removeServer({ domain, slot }))
    case 10:
      switch (dice.next(3)) {
        case 0:
          return step(`state ${domain} ${slot} ${state}`, setServerState({ domain, slot, state }))
        case 1:
          return step(`state of ${domain} ${state}`, setDomainState({ domain, state }))
        default: {
          const weight = dice.pick([0, 1, 100, 256, 257])
          return step(`weight ${domain} ${slot} ${weight}`, setServerWeight({ domain, slot, weight }))
        }
      }
    case 11: {
      const rows = someRows(dice)
      const lines = rows.map((row, index) => [index + 1, row])
      return step(`import ${JSON.stringify(rows)}`, importDomains({ rows: lines }), (routed) => {
        for (const row of rows) routed.add(row.domain)
      })
    }
    default:
      return step("cleanup", cleanupWildcards({}))
  }
}

/** How a step ended, as far as the model cares. */
export type Ending = "done" | "unchanged" | "refused" | "unknown"

/** Reads a step's exit; anything but an answer or a typed error is a finding. */
export const endingOf = (
  exit: Exit.Exit<{ readonly changed: boolean }, ControlError>
): { readonly ending: Ending; readonly code: string } => {
  if (Exit.isSuccess(exit)) return { ending: exit.value.changed ? "done" : "unchanged", code: "" }
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") throw new Error(`a step died: ${String(exit.cause)}`)
  const code = error.value.code
  if (code === "INTERNAL") throw new Error(`a step answered INTERNAL: ${error.value.message}`)
  return { ending: code === "OUTCOME_UNKNOWN" ? "unknown" : "refused", code }
}
