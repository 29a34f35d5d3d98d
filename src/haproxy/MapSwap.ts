/**
 * Replaces all entries of a map at once: look-ups see the old ones until they see all the new ones.
 *
 * Guarantees: nothing is committed when any payload was refused or HAProxy does not hold exactly the entries that were
 * sent. Needs one writer per map: plain writes between `prepare` and `commit` are lost with the old version. Entries of a
 * version that was given up may stay in HAProxy's memory, unseen but counted by `show map`, until the next swap's commit
 * (always from 3.4, see `clearVersion`; elsewhere when the link was lost on the way).
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { HaproxyRefused } from "../domain/Errors.ts"
import * as Tracing from "../Tracing.ts"
import { isPayloadLine } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"
import * as Maps from "./MapCommands.ts"
import { LinkLost, type RuntimeApi } from "./RuntimeApi.ts"

const refused = (path: string, text: string) =>
  new HaproxyRefused({
    message: `HAProxy does not take the new content of ${path}: ${text}`,
    hint: "The old content is still in use. Look at HAProxy's log, then let the control plane reconcile."
  })

/** Can these entries be sent? Somebody else's may have no value, or characters that a command cannot carry. */
export const canSwap = (entries: Iterable<Maps.MapEntry>): boolean => {
  for (const { key, value } of entries) if (value === "" || !isPayloadLine(`${key} ${value}`)) return false
  return true
}

/** Lines of payloads, each payload within `limit` bytes. */
export const mapPayloads = (
  entries: ReadonlyArray<Maps.MapEntry>,
  limit: number
): ReadonlyArray<ReadonlyArray<string>> => {
  const payloads: Array<Array<string>> = []
  let lines: Array<string> = []
  // The terminator line and the newlines around the body.
  const frame = 16
  let size = frame
  for (const { key, value } of entries) {
    if (key === "" || value === "") throw new Error("a map entry has a key and a value")
    const line = `${key} ${value}`
    if (size + line.length + 1 > limit && lines.length > 0) {
      payloads.push(lines)
      lines = []
      size = frame
    }
    lines.push(line)
    size += line.length + 1
  }
  if (lines.length > 0) payloads.push(lines)
  return payloads
}

/** The room for lines in a payload: below 3.4 the command line counts too. */
const room = (maxPayload: number): number => maxPayload - 512

/**
 * Makes the map hold exactly these entries, in this order. `deadline` in milliseconds since 1970. LinkLost with `sent`
 * means that either content may be in use.
 */
export const replaceMap = Tracing.fn("MapSwap.replaceMap")(function*(
  runtime: RuntimeApi["Service"],
  path: string,
  entries: ReadonlyArray<Maps.MapEntry>,
  options: { readonly deadline?: number } = {}
): Effect.fn.Return<void, LinkLost | HaproxyRefused> {
  const limit = () =>
    options.deadline === undefined ? undefined : { timeout: Math.max(1, options.deadline - Date.now()) }
  const link = yield* runtime.link
  if (link._tag === "Down") return yield* new LinkLost({ reason: link.reason, sent: false })
  const must = <A>(verdict: Verdict<A>): Effect.Effect<A, HaproxyRefused> =>
    Result.isSuccess(verdict) ? Effect.succeed(verdict.success) : Effect.fail(refused(path, verdict.failure.text))
  const count = (maps: ReadonlyArray<Maps.MapInfo>): Maps.MapInfo | undefined => maps.find((map) => map.path === path)

  const [before, prepared] = yield* runtime.exchange([Maps.list, Maps.prepare(path)], limit())
  const old = count(yield* must(before))
  const version = yield* must(prepared)
  if (old === undefined) return yield* refused(path, "it is not in the list of maps")

  // `show map` counts the entries of all versions, so the difference is what this version holds.
  yield* Effect.gen(function*() {
    const payloads: ReadonlyArray<Command<unknown>> = mapPayloads(entries, room(link.capabilities.maxPayload))
      .map((lines) => Maps.addVersion(path, version, lines))
    const verdicts = yield* runtime.exchange([...payloads, Maps.list], limit())
    for (const verdict of verdicts) yield* must(verdict)
    const filled = count((verdicts.at(-1) as Result.Success<ReadonlyArray<Maps.MapInfo>, never>).success)
    const added = (filled?.entries ?? 0) - old.entries
    if (added !== entries.length || filled?.nextVersion !== version || filled.currentVersion !== old.currentVersion) {
      return yield* refused(path, `it counts ${added} new entries of version ${version}, not ${entries.length}`)
    }
  }).pipe(
    Effect.tapErrorTag(
      "HaproxyRefused",
      () => Effect.ignore(runtime.exchange([Maps.clearVersion(path, version)], limit()))
    )
  )

  const [committed, after] = yield* runtime.exchange([Maps.commit(path, version), Maps.list], limit())
  yield* must(committed)
  const now = count(yield* must(after))
  if (now?.currentVersion !== version || now.entries !== entries.length) {
    return yield* refused(path, `after the commit it counts ${now?.entries ?? 0} entries, not ${entries.length}`)
  }
})
