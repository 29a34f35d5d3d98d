/**
 * How HAProxy looks keys up in a map: by a tree (fast at any size) or by a scan of all entries at every request.
 */
import * as Result from "effect/Result"
import { refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/*
 * get map /etc/haproxy/wildcards.map haproxy-mcp.invalid (3.0.11, 3.2.26, 3.4.7); one line for each converter that uses
 * the map: map_str and map_end here
 *
 * type=str, case=sensitive, found=no
 * type=end, case=sensitive, found=no
 *
 * map_beg says `beg` and is a tree too; `sub`, `dir`, `dom`, `end`, `reg` are lists (pattern.c, `pat_match_types`).
 */
const parseTypes = (answer: string): Verdict<ReadonlyArray<string>> => {
  const types = [...answer.matchAll(/^type=([a-z0-9]+), /gm)].map((match) => match[1]!)
  return types.length === 0 ? refused(answer) : Result.succeed([...new Set(types)])
}

/** The ways in which converters match this map, such as `str` and `end`. */
export const lookupTypes = (path: string): Command<ReadonlyArray<string>> => ({
  words: ["get", "map", path, "haproxy-mcp.invalid"],
  parse: parseTypes
})

/** Does this way of matching scan the whole list? */
export const scans = (type: string): boolean => ["sub", "dir", "dom", "end", "reg", "len", "bin"].includes(type)
