/**
 * Map commands. A map is named by its path as HAProxy knows it (MapPaths.ts finds it).
 *
 * Traps that callers must know, all seen on the real binaries:
 * - `add map` never looks for an entry of the same key (3.0.11, 3.2.26, 3.4.7): a second one is a duplicate.
 * - `set map` changes all duplicates; `get map` shows one of them.
 * - `del map` removes all duplicates up to 3.3, one per call from 3.4: repeat until `gone`.
 */
import * as Result from "effect/Result"
import { refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** One map of `show map`. */
export interface MapInfo {
  /** Number for `#id`. Not stable over reloads. */
  readonly id: number
  /** As HAProxy knows it. May be a virtual name such as `virt@geo`. */
  readonly path: string
  /** The version that look-ups see; 0 until the first `commit map`. */
  readonly currentVersion: number
  /** The newest version that `prepare map` gave out. */
  readonly nextVersion: number
  /** Entries of all versions together: during a swap, the old ones and the new ones (3.0.11, 3.2.26, 3.4.7). */
  readonly entries: number
}

/** One entry of a map. */
export interface MapEntry {
  readonly key: string
  readonly value: string
}

/*
 * show map (3.2.26)
 *
 * # id (file) description
 * 0 (/etc/haproxy/domains.map) pattern loaded from file '/etc/haproxy/domains.map' used by map at file 'h.cfg' line 12. curr_ver=0 next_ver=1 entry_cnt=4
 * 1 (/etc/haproxy/wildcards.map) pattern loaded from file '/etc/haproxy/wildcards.map' used by map at file 'h.cfg' line 13. curr_ver=0 next_ver=0 entry_cnt=0
 *
 * A map that is used at two places is listed once; entries without a file have `()`.
 */
const mapLine = /^(-?\d+) \((.*?)\) .*curr_ver=(\d+) next_ver=(\d+) entry_cnt=(\d+)$/

const parseMaps = (answer: string): Verdict<ReadonlyArray<MapInfo>> => {
  const lines = answer.split("\n")
  if (!lines[0]?.startsWith("# id (file)")) return refused(answer)
  const maps: Array<MapInfo> = []
  for (const line of lines.slice(1)) {
    if (line === "") continue
    const match = mapLine.exec(line)
    if (match === null) return refused(line)
    maps.push({
      id: Number(match[1]),
      path: match[2]!,
      currentVersion: Number(match[3]),
      nextVersion: Number(match[4]),
      entries: Number(match[5])
    })
  }
  return Result.succeed(maps)
}

/** `show map`: all maps with their counts; takes no lock of a map. */
export const list: Command<ReadonlyArray<MapInfo>> = { words: ["show", "map"], parse: parseMaps }

/*
 * show map /etc/haproxy/domains.map (3.4.7); nothing at all for an empty map
 *
 * 0x7f8c3a621360 a.com pool_1
 * 0x7f8c3a6213c0 b.com pool_2
 */
const parseEntries = (answer: string): Verdict<ReadonlyArray<MapEntry>> => {
  const entries: Array<MapEntry> = []
  for (let from = 0; from < answer.length;) {
    const newline = answer.indexOf("\n", from)
    const end = newline < 0 ? answer.length : newline
    if (end > from) {
      const keyAt = answer.indexOf(" ", from) + 1
      if (!answer.startsWith("0x", from) || keyAt === 0 || keyAt > end) return refused(answer.slice(from, end))
      const space = answer.indexOf(" ", keyAt)
      const keyEnd = space < 0 || space > end ? end : space
      entries.push({ key: answer.slice(keyAt, keyEnd), value: answer.slice(Math.min(keyEnd + 1, end), end) })
    }
    from = end + 1
  }
  return Result.succeed(entries)
}

/**
 * `show map PATH`: every entry of the version that look-ups see, in the order of the map, duplicates included. It
 * holds the map's lock (4.6 s for 1,000,000 entries): for reconciling, not for polling.
 */
export const show = (path: string): Command<ReadonlyArray<MapEntry>> => ({
  words: ["show", "map", path],
  parse: parseEntries
})

/*
 * get map PATH KEY (3.0.11, 3.2.26, 3.4.7)
 *
 * type=str, case=sensitive, found=yes, idx=tree, key="a.com", value="pool_1", type="str"
 * type=str, case=sensitive, found=no
 *
 * A map used by several converters answers one line for each; they share the entries.
 */
const parseLookup = (key: string) => (answer: string): Verdict<string | null> => {
  const line = answer.slice(0, answer.indexOf("\n") < 0 ? answer.length : answer.indexOf("\n"))
  if (!line.startsWith("type=")) return refused(answer)
  if (line.endsWith(", found=no")) return Result.succeed(null)
  const match = /, found=yes, .*?key="([^"]*)", value="(.*)", type="[a-z0-9]+"$/.exec(line)
  // Converters like map_end find another key: that is not an entry of this one.
  if (match === null) return refused(answer)
  return Result.succeed(match[1] === key ? match[2]! : null)
}

/** `get map PATH KEY`: the value that a look-up of exactly this key finds, or null. */
export const get = (path: string, key: string): Command<string | null> => ({
  words: ["get", "map", path, key],
  parse: parseLookup(key)
})

/** What a look-up finds, whatever the way in which its converters match. */
const parseFound = (answer: string): Verdict<MapEntry | null> => {
  if (!answer.startsWith("type=")) return refused(answer)
  const match = /, found=yes, .*?key="([^"]*)", value="(.*)", type="[a-z0-9]+"$/m.exec(answer)
  return match !== null
    ? Result.succeed({ key: match[1]!, value: match[2]! })
    : answer.includes(", found=no")
    ? Result.succeed(null)
    : refused(answer)
}

/**
 * `get map PATH VALUE`: the entry that a look-up of this value finds by any of the map's converters, or null: an address
 * finds its network, a host its suffix where the map is used by `map_end`.
 */
export const lookup = (path: string, value: string): Command<MapEntry | null> => ({
  words: ["get", "map", path, value],
  parse: parseFound
})

/** `add map PATH KEY VALUE`. Silent when done. Never checks for a duplicate. */
export const add = (path: string, key: string, value: string): Command<void> => silent(["add", "map", path, key, value])

/*
 * set map PATH KEY VALUE (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * entry not found.
 */
const parseSet = (answer: string): Verdict<"set" | "not found"> => {
  const text = answer.trim()
  return text === "" ? Result.succeed("set") : text === "entry not found." ? Result.succeed("not found") : refused(text)
}

/** `set map PATH KEY VALUE`: gives every entry of the key the value; never adds one. */
export const set = (path: string, key: string, value: string): Command<"set" | "not found"> => ({
  words: ["set", "map", path, key, value],
  parse: parseSet
})

/*
 * del map PATH KEY (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * Key not found.
 */
const parseDelete = (answer: string): Verdict<"deleted" | "not found"> => {
  const text = answer.trim()
  return text === ""
    ? Result.succeed("deleted")
    : text === "Key not found."
    ? Result.succeed("not found")
    : refused(text)
}

/** `del map PATH KEY`. From 3.4 one duplicate per call: ask again until `not found`. */
export const del = (path: string, key: string): Command<"deleted" | "not found"> => ({
  words: ["del", "map", path, key],
  parse: parseDelete
})

/*
 * prepare map PATH (3.0.11, 3.2.26, 3.4.7)
 *
 * New version created: 1
 */
const parsePrepare = (answer: string): Verdict<number> => {
  const match = /^New version created: (\d+)$/.exec(answer.trim())
  return match === null ? refused(answer) : Result.succeed(Number(match[1]))
}

/** `prepare map PATH`: a new, empty version that nobody sees until it is committed. Answers its number. */
export const prepare = (path: string): Command<number> => ({ words: ["prepare", "map", path], parse: parsePrepare })

/**
 * `add map @VERSION PATH <<`: many entries at once. The lines are `KEY VALUE`; a value must not be empty (HAProxy
 * would take the next line into the key). See `mapPayloads` in MapSwap.ts for the sizes.
 */
export const addVersion = (path: string, version: number, lines: ReadonlyArray<string>): Command<void> => ({
  ...silent(["add", "map", `@${version}`, path]),
  payload: lines
})

/** `commit map @VERSION PATH`: look-ups see that version, atomically; older entries are freed. */
export const commit = (path: string, version: number): Command<void> => silent(["commit", "map", `@${version}`, path])

/** `clear map PATH`: removes every entry that look-ups see. */
export const clear = (path: string): Command<void> => silent(["clear", "map", path])

/**
 * `clear map @VERSION PATH`: gives up a version that was not committed. From 3.4 it does nothing while entries of an
 * older version are there (3.4.7 keeps counting them until the next commit; 3.0.11 and 3.2.26 drop them). Of the
 * current version it would remove what look-ups see.
 */
export const clearVersion = (path: string, version: number): Command<void> =>
  silent(["clear", "map", `@${version}`, path])
