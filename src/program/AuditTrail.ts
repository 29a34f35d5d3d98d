/**
 * What the audit chain says of a caller and of what it asked for.
 *
 * Guarantees: no secret gets there (a parameter whose name speaks of one is left out, and so is a text that holds a private
 * key), and no argument is so large that the chain would grow with it: long texts and lists are cut.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { NotedCall } from "../domain/Audit.ts"
import { Store } from "../store/Store.ts"
import { Caller, type CallerShape } from "./Caller.ts"
import { Publisher } from "./replication/Publisher.ts"

/** Characters of a text, and elements of a list, that are kept. */
const longestText = 200
const mostElements = 10
/** Arguments of one object that are kept, and how deep. */
const mostFields = 30
const deepest = 3

/** Names of parameters that may hold a secret. No tool has one that must; clients send what they like. */
const secretName = /secret|passw|token|credential|hmac|private|api_?key|authorization|\bpem\b/i
const secretText = /-----BEGIN|\bBearer\s/i

const cutText = (value: string): string =>
  secretText.test(value)
    ? "(left out)"
    : value.length > longestText
    ? `${value.slice(0, longestText)}… (${value.length} characters)`
    : value

/** Arguments as the chain keeps them. */
export const shownArguments = (value: unknown, depth = 0): unknown => {
  if (typeof value === "string") return cutText(value)
  if (typeof value !== "object" || value === null) return value ?? null
  if (depth === deepest) return "(left out)"
  if (Array.isArray(value)) {
    const shown: Array<unknown> = value.slice(0, mostElements).map((element) => shownArguments(element, depth + 1))
    return value.length > mostElements ? [...shown, `(${value.length} in all)`] : shown
  }
  return Object.fromEntries(
    Object.entries(value).slice(0, mostFields).map(([name, field]) => [
      cutText(name),
      secretName.test(name) ? "(left out)" : shownArguments(field, depth + 1)
    ])
  )
}

/** For the record of a change. */
export const auditOf = ({ args, principal }: Pick<CallerShape, "args" | "principal">) => ({
  token: principal.id,
  args: shownArguments(args ?? null)
})

/**
 * Notes a call that no change tells of: one that ended without doing what it was for (`denied`: its caller had no right to it),
 * or, with the code `OK`, one that did something else than change the desired state. Nothing is noted where there is no database
 * yet, or where it is only read: a note is a commit, too.
 */
export const noteCall = Effect.fnUntraced(function*(code: string, denied: boolean) {
  const store = yield* Effect.serviceOption(Store)
  const publisher = yield* Publisher
  if (Option.isNone(store) || (yield* publisher.refusal) !== null) return
  const { actor, args, principal, tool } = yield* Caller
  const call: NotedCall = {
    at: Date.now(),
    denied,
    via: actor.via,
    who: actor.who,
    request_id: actor.requestId,
    token: principal.id,
    tool,
    args: shownArguments(args ?? null),
    code
  }
  yield* store.value.noted(call)
})
