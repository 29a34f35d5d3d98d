/**
 * Which resources a client may watch, and the watching itself in the process that runs the programs.
 *
 * An address is watched as it was written: notices carry it back as it came. What a caller may not read it cannot watch;
 * a domain that is not routed yet can be watched, and is told of when it comes.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parsePoolName } from "../domain/Pool.ts"
import { isWithin, type Principal } from "../domain/Principal.ts"
import { parseRouteName } from "../domain/RouteName.ts"
import type { ProgramServices } from "../program/Services.ts"
import { type Subject, watch } from "../program/Watching.ts"
import { mayRead, named } from "./Resources.ts"
import type { RulesShape } from "./Visible.ts"

/** Milliseconds between two looks whether somebody else runs the programs now. */
const lookEvery = 500

/** Addresses that one connection (stdio) or one stream (HTTP) may watch. */
export const mostWatched = 64

/**
 * Runs until it is interrupted. `told` gets the addresses that changed, and is waited for; `begun` runs once nothing is
 * missed any more.
 */
export type Watch = (
  uris: ReadonlyArray<string>,
  caller: Principal,
  told: (uris: ReadonlyArray<string>) => Effect.Effect<void>,
  begun: Effect.Effect<void>
) => Effect.Effect<void>

/** What an address means, for a caller that may read it; null for all others. */
export const subjectOf = (uri: string, caller: Principal, rules: RulesShape): Subject | null => {
  const found = named(uri)
  if (found === null || !mayRead(found.kind, caller, rules)) return null
  const { args, kind } = found
  switch (kind.variable) {
    case null:
      return { of: "status" }
    case "domain": {
      const name = Result.getOrNull(parseRouteName(args["domain"]!))
      return name !== null && isWithin(caller, name) ? { of: "domain", name } : null
    }
    case "pool":
      return parsePoolName(args["pool"]!) === null ? null : { of: "pool", name: args["pool"]! }
    case "revision":
      return /^[1-9]\d{0,14}$/.test(args["revision"]!) ? { of: "revision", revision: Number(args["revision"]) } : null
  }
}

/** Those of the addresses that the caller may watch, each once, no more than {@link mostWatched}. */
export const watchable = (
  uris: ReadonlyArray<string>,
  caller: Principal,
  rules: RulesShape
): ReadonlyArray<string> =>
  [...new Set(uris)].slice(0, 1_000).filter((uri) => subjectOf(uri, caller, rules) !== null)
    .slice(0, mostWatched)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The resources that a request `subscriptions/listen` names; none in a malformed one, which is for the SDK to refuse. */
export const askedOf = ({ params }: { readonly params?: unknown }): ReadonlyArray<string> => {
  const asked = isRecord(params) ? params["notifications"] : undefined
  const uris: unknown = isRecord(asked) ? asked["resourceSubscriptions"] : undefined
  return Array.isArray(uris) && uris.every((uri): uri is string => typeof uri === "string") ? uris : []
}

/** The request with these resources only, if it named any: what it is acknowledged for is what is left. */
export const withUris = <Message extends { readonly params?: unknown }>(
  message: Message,
  uris: ReadonlyArray<string>
): Message => {
  if (askedOf(message).length === 0) return message
  const params = message.params as { readonly notifications: object }
  return { ...message, params: { ...params, notifications: { ...params.notifications, resourceSubscriptions: uris } } }
}

/** Watches over the programs of this process. */
export const watchHere =
  (rules: RulesShape) =>
  (...[uris, caller, told, begun]: Parameters<Watch>): Effect.Effect<void, never, ProgramServices> => {
    const known = watchable(uris, caller, rules)
    return known.length === 0
      ? Effect.andThen(begun, Effect.never)
      : watch(
        known.map((uri) => subjectOf(uri, caller, rules)!),
        (places) => told(places.map((place) => known[place]!)),
        begun
      )
  }

/**
 * Watches where those who run the programs come and go; null: nobody does now. After a change of them every address is told,
 * because what the next one knows may be another state.
 */
export const watchCurrent = (now: () => Watch | null): Watch => (uris, caller, told, begun) =>
  Effect.gen(function*() {
    let ready = begun
    for (;;) {
      const one = now()
      const other = Effect.repeat(Effect.sleep(lookEvery), { while: () => now() === one })
      yield* Effect.raceFirst(
        other,
        one === null ? Effect.andThen(ready, Effect.never) : one(uris, caller, told, ready)
      )
      ready = told(uris)
    }
  })
