/**
 * Which lists from files (ACLs, maps that are not ours) the request's path, host or source address meets. What HAProxy
 * does then stands in its configuration: it is said that they meet, and where the list is used.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Acls from "../../haproxy/AclCommands.ts"
import { isWord } from "../../haproxy/Cli.ts"
import * as Maps from "../../haproxy/MapCommands.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import { ask } from "../Proxies.ts"
import type { Met } from "./Shapes.ts"

/** Lists that are asked: one look-up each. */
const mostLists = 50

const isAddress = (pattern: string): boolean => /^[0-9a-f.:]+(?:\/\d+)?$/i.test(pattern) && /[.:]/.test(pattern)

/** Asks every list for every value; a list that cannot take a value (a path among networks) meets nothing. */
export const metLists = Effect.fnUntraced(function*(
  ours: ReadonlySet<string>,
  values: Readonly<Partial<Record<Met["by"], string>>>
) {
  const runtime = yield* RuntimeApi
  const lists = [
    ...(yield* ask(Acls.list)).map(({ path }) => ({ kind: "acl" as const, path })),
    ...(yield* ask(Maps.list)).filter(({ path }) => path !== "" && !ours.has(path)).map(({ path }) => ({
      kind: "map" as const,
      path
    }))
  ].filter(({ path }) => isWord(path)).slice(0, mostLists)
  const questions = lists.flatMap(({ kind, path }) =>
    Object.entries(values).filter(([, value]) => isWord(value)).map(([by, value]) => ({
      kind,
      path,
      by: by as Met["by"],
      command: kind === "acl"
        ? {
          ...Acls.get(path, value),
          parse: (answer: string) =>
            Result.map(Acls.get(path, value).parse(answer), (key) => key === null ? null : { key, value: null })
        }
        : Maps.lookup(path, value)
    }))
  )
  if (questions.length === 0) return []
  const verdicts = yield* Effect.result(runtime.exchange(questions.map(({ command }) => command)))
  if (Result.isFailure(verdicts)) return []
  return questions.flatMap(({ by, kind, path }, index): ReadonlyArray<Met> => {
    const verdict = verdicts.success[index]!
    if (Result.isFailure(verdict) || verdict.success === null) return []
    const { key, value } = verdict.success
    // A list of networks is for addresses, and no other list is.
    if (isAddress(key) !== (by === "source_ip")) return []
    return [{ kind, list: path, by, pattern: key, value }]
  })
})
