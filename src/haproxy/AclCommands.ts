/**
 * ACL commands: patterns that HAProxy loaded from a file, changed in memory until its next start. Those without a file are
 * part of the configuration and are not listed.
 *
 * Traps, seen on 3.0.11, 3.2.26 and 3.4.7: `add acl` never looks for a duplicate; `del acl` removes all duplicates up to
 * 3.3 and one per call from 3.4; it takes no payload, so a new version is filled pattern by pattern.
 */
import * as Result from "effect/Result"
import { refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"
import type { MapInfo } from "./MapCommands.ts"

/*
 * show acl (3.4.7)
 *
 * # id (file) description
 * 1 (/etc/haproxy/bad.acl) pattern loaded from file '/etc/haproxy/bad.acl' used by acl at file 'h.cfg' line 17. curr_ver=0 next_ver=0 entry_cnt=2
 * 2 () acl 'path' file '/etc/haproxy/haproxy.cfg' line 17. curr_ver=0 next_ver=0 entry_cnt=0
 */
const aclLine = /^(-?\d+) \((.*?)\) .*curr_ver=(\d+) next_ver=(\d+) entry_cnt=(\d+)$/

const parseLists = (answer: string): Verdict<ReadonlyArray<MapInfo>> => {
  const lines = answer.split("\n")
  if (!lines[0]?.startsWith("# id (file)")) return refused(answer)
  const lists: Array<MapInfo> = []
  for (const line of lines.slice(1)) {
    if (line === "") continue
    const match = aclLine.exec(line)
    if (match === null) return refused(line)
    if (match[2] === "") continue
    lists.push({
      id: Number(match[1]),
      path: match[2]!,
      currentVersion: Number(match[3]),
      nextVersion: Number(match[4]),
      entries: Number(match[5])
    })
  }
  return Result.succeed(lists)
}

/** `show acl`: those with a file. */
export const list: Command<ReadonlyArray<MapInfo>> = { words: ["show", "acl"], parse: parseLists }

/*
 * get acl /etc/haproxy/bad.acl /bad (3.4.7): a line for each place that uses it
 *
 * type=str, case=sensitive, match=yes, idx=tree, pattern="/bad"
 * type=str, case=sensitive, match=no
 */
const parseMatch = (answer: string): Verdict<string | null> => {
  if (!answer.startsWith("type=")) return refused(answer)
  const match = /, match=yes, .*?pattern="(.*)"$/m.exec(answer)
  return match !== null
    ? Result.succeed(match[1]!)
    : answer.includes("match=no")
    ? Result.succeed(null)
    : refused(answer)
}

/** `get acl PATH VALUE`: the pattern that a value meets, or null. */
export const get = (path: string, value: string): Command<string | null> => ({
  words: ["get", "acl", path, value],
  parse: parseMatch
})

/** `add acl PATH PATTERN`. Silent when done. */
export const add = (path: string, pattern: string): Command<void> => silent(["add", "acl", path, pattern])

/*
 * del acl PATH PATTERN (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * Key not found.
 */
/** `del acl PATH PATTERN`. From 3.4 one duplicate per call: ask again until `not found`. */
export const del = (path: string, pattern: string): Command<"deleted" | "not found"> => ({
  words: ["del", "acl", path, pattern],
  parse: (answer) => {
    const text = answer.trim()
    return text === ""
      ? Result.succeed("deleted")
      : text === "Key not found."
      ? Result.succeed("not found")
      : refused(answer)
  }
})

/** `clear acl PATH`: removes every pattern that look-ups see. */
export const clear = (path: string): Command<void> => silent(["clear", "acl", path])

/*
 * prepare acl PATH (3.0.11, 3.2.26, 3.4.7)
 *
 * New version created: 1
 */
/** `prepare acl PATH`: a new, empty version that nobody sees until it is committed. */
export const prepare = (path: string): Command<number> => ({
  words: ["prepare", "acl", path],
  parse: (answer) => {
    const match = /^New version created: (\d+)$/.exec(answer.trim())
    return match === null ? refused(answer) : Result.succeed(Number(match[1]))
  }
})

/** `add acl @VERSION PATH PATTERN`. Silent when done. */
export const addVersion = (path: string, version: number, pattern: string): Command<void> =>
  silent(["add", "acl", `@${version}`, path, pattern])

/** `commit acl @VERSION PATH`: look-ups see that version, atomically. */
export const commit = (path: string, version: number): Command<void> => silent(["commit", "acl", `@${version}`, path])

/** `clear acl @VERSION PATH`: gives up a version that was not committed. */
export const clearVersion = (path: string, version: number): Command<void> =>
  silent(["clear", "acl", `@${version}`, path])

/*
 * show acl PATH, show map PATH (3.4.7): address, pattern or key, and in maps the value after the first space
 *
 * 0x7fa5e9a21960 /bad
 * 0x7f8c3a621360 a.com pool_1
 */
const entryLine = /^0x[0-9a-f]+ (.*)$/

/** What a line of `show acl` or `show map` holds after its address; null when it is no such line. */
export const entryOfLine = (line: string): string | null => entryLine.exec(line)?.[1] ?? null
