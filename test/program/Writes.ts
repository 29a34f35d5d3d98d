/** The kinds of writes that faults are put into, and what each leads to when nothing goes wrong. */
import * as Effect from "effect/Effect"
import { dirname } from "node:path"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { importDomains } from "../../src/program/Import.ts"
import { addServer, addServers, removeServer, setServerState } from "../../src/program/Servers.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { dumpDesired } from "../support/Dump.ts"
import { type FakeWorld, makeFakeWorld } from "../support/FakeWorld.ts"
import { type Step, stepsIn } from "./Steps.ts"

export type Write = Effect.Effect<{ readonly changed: boolean }, ControlError, ProgramServices>

/**
 * Each begins from {@link begin}: a.com with two servers, b.com that shares it, and z.com. Any two of them can follow
 * one another. A new verb that writes is added here, and Faults.test.ts and the campaigns cover its steps.
 */
export const writes: Readonly<Record<string, Write>> = {
  "a domain with a wildcard and a server": addDomain({ domain: "c.com", ip: "10.0.0.9" }),
  "a domain that shares": addDomain({ domain: "www.c.com", share_with: "a.com" }),
  "a server in a pool in use": addServer({ domain: "a.com", ip: "10.0.0.3" }),
  "a drained server": setServerState({ domain: "a.com", slot: 1, state: "drain" }),
  "a server that leaves": removeServer({ domain: "a.com", slot: 2 }),
  "a share that leaves": removeDomain({ domain: "b.com" }),
  "a domain that leaves with its pool": removeDomain({ domain: "z.com" }),
  "an import": importDomains({
    rows: [[1, { domain: "i.net", servers: "10.0.0.8:80" }], [2, { domain: "www.i.net", shares_with: "i.net" }]]
  })
}

/** A world with room for two new pools. */
export const writesWorld = makeFakeWorld({ pools: 4 })

/** Starts the control plane and makes what the writes begin from. */
export const begin = (world: FakeWorld) =>
  Effect.gen(function*() {
    yield* world.startPlane
    yield* world.run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
    yield* world.run(addServers({ domain: "a.com", servers: [{ ip: "10.0.0.2" }] }))
    yield* world.run(addDomain({ domain: "b.com", share_with: "a.com" }))
    yield* world.run(addDomain({ domain: "z.com", ip: "10.0.0.7" }))
    yield* world.consistent()
  }).pipe(Effect.orDie)

/** A desired state as text; ages of routes count by their order only, since a write taken back uses some up. */
export const desired = Effect.map(dumpDesired, (dump) => {
  const seqs = [...dump.matchAll(/"seq":(\d+)/g)].map((match) => Number(match[1])).sort((a, b) => a - b)
  return dump.replace(/"seq":(\d+)/g, (_, seq) => `"seq":${seqs.indexOf(Number(seq)) + 1}`)
})

/** What some writes lead to, one after the other, and the steps of the last. */
export interface Undisturbed {
  readonly steps: ReadonlyArray<Step>
  readonly after: string
}

const known = new Map<string, Undisturbed>()

/** Makes writes with nothing in their way, once for each list of them. */
export const undisturbed = Effect.fnUntraced(function*(kinds: ReadonlyArray<string>) {
  const key = kinds.join("; ")
  const found = known.get(key) ?? (yield* Effect.scoped(record(kinds)))
  known.set(key, found)
  return found
})

const record = Effect.fnUntraced(function*(kinds: ReadonlyArray<string>) {
  const world = yield* writesWorld
  yield* begin(world)
  let from = world.fake.commands.length
  for (const kind of kinds) {
    from = world.fake.commands.length
    yield* world.run(writes[kind]!).pipe(Effect.orDie)
  }
  const steps = stepsIn(world.fake.commands.slice(from), dirname(world.plane.domainsMap))
  return { steps, after: yield* world.run(Effect.orDie(desired)) } satisfies Undisturbed
})
