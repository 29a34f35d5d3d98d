/**
 * How the verbs of the runtime toolset tell HAProxy something that is not in the desired state.
 *
 * Guarantees: one command after the other on the one connection, each with the text expected of it; what HAProxy refuses
 * is HAPROXY_REFUSED in its own words (or NOT_FOUND where it says so), a lost answer OUTCOME_UNKNOWN, and nothing sent
 * HAPROXY_UNREACHABLE. A command that this HAProxy does not list in its help is never sent; in a dry run none is. Nothing told here survives
 * HAProxy's next start: that belongs into haproxy.cfg.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  type ControlError,
  Forbidden,
  HaproxyRefused,
  HaproxyUnreachable,
  NotFound,
  OutcomeUnknown
} from "../../domain/Errors.ts"
import { nearest } from "../../domain/Nearest.ts"
import { ownPool } from "../../domain/Pool.ts"
import type { Command } from "../../haproxy/Command.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import { Caller } from "../Caller.ts"
import { endOfDryRun, makePlan } from "../DryRun.ts"
import { shown } from "../Input.ts"
import { Limits } from "../Limits.ts"
import { PoolAllocator } from "../PoolAllocator.ts"
import { domainsOf } from "./DomainsOf.ts"

/** What every verb that tells something answers with, so that nobody takes it for a desired state. */
export const untilRestart = "until HAProxy's next start or reload"

/** Fails unless HAProxy's help lists the command. `since`: the version that brought it. */
export const requireCommand = Effect.fnUntraced(
  function*(name: string, since: string): Effect.fn.Return<void, ControlError, RuntimeApi> {
    const link = yield* (yield* RuntimeApi).link
    if (link._tag === "Down") {
      return yield* new HaproxyUnreachable({
        message: `HAProxy cannot be asked: ${link.reason}`,
        hint: "Check that HAProxy runs; haproxy_health says more."
      })
    }
    if (!link.capabilities.commands.has(name)) {
      return yield* new HaproxyRefused({
        message: `HAProxy ${link.capabilities.version} has no command "${name}"`,
        hint: `It came with HAProxy ${since}: update HAProxy.`
      })
    }
  }
)

/**
 * A verb that changes something of HAProxy: a control plane that is fenced, or does not know whether it is, tells HAProxy
 * nothing at all.
 */
export const asWriter =
  <I, A, R>(verb: (input: I) => Effect.Effect<A, ControlError, R>) =>
  (input: I): Effect.Effect<A, ControlError, R | PoolAllocator> =>
    Effect.gen(function*() {
      const { publisher } = yield* PoolAllocator
      const { timeout } = yield* Caller
      yield* publisher.mayWrite(Date.now() + timeout)
      return yield* verb(input)
    })

/** One command that changes something. */
export const tell = Effect.fnUntraced(function*<A>(command: Command<A>): Effect.fn.Return<A, ControlError, RuntimeApi> {
  const runtime = yield* RuntimeApi
  const { dryRun, timeout } = yield* Caller
  if (dryRun === true) return yield* Effect.die(new Error(`a dry run would have told HAProxy "${command.words[0]}"`))
  const told = yield* Effect.result(runtime.exchange([command], { timeout }))
  const words = command.words.join(" ").slice(0, 200)
  if (Result.isFailure(told)) {
    return yield* told.failure.sent
      ? new OutcomeUnknown({
        message: `Whether HAProxy ran "${words}" is not known: ${told.failure.reason}`,
        hint: "Read the present state, or repeat the call."
      })
      : new HaproxyUnreachable({
        message: `HAProxy cannot be told: ${told.failure.reason}`,
        hint: "Nothing was done. Check that HAProxy runs; haproxy_health says more."
      })
  }
  const [verdict] = told.success
  if (Result.isSuccess(verdict)) return verdict.success
  return yield* new HaproxyRefused({
    message: `HAProxy refuses "${words}": ${verdict.failure.text}`,
    hint: "Nothing was changed by it."
  })
})

/** What a verb is about to tell HAProxy. */
export interface Untold {
  /** What the real call would say. */
  readonly summary: string
  readonly commands: ReadonlyArray<Command<unknown>>
  /** How it is now, in the answer's own fields. */
  readonly now: object
  readonly steps?: ReadonlyArray<string>
  readonly sessions?: number
  /** The backend whose domains are touched. */
  readonly backend?: string
}

/** Ends a dry run where HAProxy would be told something. */
export const endBeforeTelling = ({ backend, commands, now, sessions = 0, steps = [], summary }: Untold) =>
  endOfDryRun(Effect.gen(function*() {
    const touched = backend === undefined ? { domains: [], total: 0 } : yield* domainsOf(backend, mostDomains)
    return {
      summary,
      warnings: [],
      answer: now,
      plan: makePlan({
        commands: commands.map(({ words }) => words.join(" ")),
        steps,
        domains: touched.domains,
        domain_count: touched.total,
        live_sessions: sessions
      })
    }
  }))

/** Domains that a plan names. */
const mostDomains = 20

/** NOT_FOUND with the nearest names that there are. */
export const absent = (what: string, field: string, name: string, names: ReadonlyArray<string>, list: string) => {
  const validValues = nearest(name, names, 5)
  return new NotFound({
    message: `HAProxy has no ${what} ${shown(name)}`,
    hint: validValues.length > 0 ? "Use one of the valid values." : `${list} lists what there is.`,
    field,
    validValues
  })
}

/** Refuses our own pools: they are changed through the desired state. */
export const requireForeign = Effect.fnUntraced(
  function*(backend: string, instead: string): Effect.fn.Return<void, Forbidden, Limits> {
    const { pools } = yield* Limits
    if (ownPool(backend, pools) === null) return
    return yield* new Forbidden({
      message: `${backend} is a pool of the control plane: what is told to HAProxy alone would be undone`,
      hint: `Use ${instead}.`,
      field: "backend"
    })
  }
)

/** It is not as it was told to be. */
export const notSo = (what: string) =>
  new HaproxyRefused({
    message: `HAProxy took the command, and ${what}`,
    hint: "Somebody else may have changed it meanwhile: read the present state."
  })
