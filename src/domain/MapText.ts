/**
 * The text of a map file: our entries, and everything else kept byte for byte.
 *
 * An entry is ours when its value is one of our pools and its key is a canonical name of this map; so an entry
 * that a migration had to refuse (`bad_name.com pool_3`, `*.com pool_1`) stays. All other lines, comments included,
 * are foreign: they come first, in the order found, then ours, sorted (domains by name; wildcards with more labels
 * first, then by name). A foreign entry under a key that we have too stands behind ours, because HAProxy takes the
 * first of two: the desired state wins, and the line is not lost.
 *
 * The text is a function of our entries and the foreign lines alone. Lines are read as HAProxy reads them
 * (`pat_ref_read_from_file_smp`, checked on 3.0, 3.2 and 3.4): `#` is a comment only in the first column; blanks
 * around key and value are cut; the value runs to the end of the line or to CR; a key may stand without a value.
 * Bytes are not decoded (latin1 in memory), so any encoding survives. Empty lines inside the foreign part stay,
 * except where one follows another or stood beside one of ours.
 */
import * as Result from "effect/Result"
import * as MapChunks from "./MapChunks.ts"
import { ownPool, type PoolLimits } from "./Pool.ts"
import { fromMapKey, isWildcard, mapKey } from "./RouteName.ts"

/** Which map a text is. */
export type MapTextKind = "domains" | "wildcards"

/** A line that is not ours; `entry` is null for comments and empty lines. */
interface ForeignLine {
  /** Without the line feed; latin1. */
  readonly text: string
  readonly entry: { readonly key: string; readonly value: string } | null
}

/** A map file in memory. Immutable. */
export interface MapText {
  readonly kind: MapTextKind
  readonly limits: PoolLimits
  readonly foreign: ReadonlyArray<ForeignLine>
  /** Keys of foreign entries; of several entries with one key the first counts, as in HAProxy. */
  readonly foreignKeys: ReadonlyMap<string, string>
  readonly own: MapChunks.MapChunks
  /** Our comment and the foreign lines. */
  readonly head: Buffer
  /** Foreign entries under keys that we have too. */
  readonly tail: Buffer
}

/** Our comment lines start so, and are replaced at every write. */
const mark = "# haproxy-mcp: "

const comment = (kind: MapTextKind, limits: PoolLimits): string =>
  [
    `entries with a value from pool_1 to pool_${limits.pools} are written by haproxy-mcp: its next write undoes edits of them.`,
    `All other lines are yours and are kept. ${
      kind === "domains" ? "Exact host names." : "*.example.com has the key .example.com here; most labels first."
    }`
  ].map((line) => `${mark}${line}\n`).join("")

const blank = /^[ \t\r]*$/

/** Key and value as HAProxy reads a line; null for comments and empty lines. */
const parseLine = (text: string): { readonly key: string; readonly value: string } | null => {
  if (text.startsWith("#")) return null
  // oxlint-disable-next-line no-control-regex
  const match = /^[ \t]*([^ \t\r\0]+)[ \t]*([^\r\0]*)/.exec(text)
  return match === null ? null : { key: match[1]!, value: match[2]!.replace(/[ \t]+$/, "") }
}

/** All entries of a file, foreign ones included, in their order; latin1. */
export const entriesOf = (text: string): ReadonlyArray<{ readonly key: string; readonly value: string }> =>
  text.split("\n").flatMap((line) => parseLine(line) ?? [])

/** Was the file written by this program? */
export const isMarked = (text: string): boolean => text.startsWith(mark) || text.includes(`\n${mark}`)

/** Is an entry of this map ours? See the module's head. */
export const isOwn = (kind: MapTextKind, limits: PoolLimits, key: string, value: string): boolean => {
  if (ownPool(value, limits) === null) return false
  const name = fromMapKey(key)
  return Result.isSuccess(name) && mapKey(name.success) === key
    && isWildcard(name.success) === (kind === "wildcards")
}

/** The foreign lines of a text. */
const parseForeign = (kind: MapTextKind, limits: PoolLimits, text: string): ReadonlyArray<ForeignLine> => {
  const lines = text.split("\n")
  if (lines.at(-1) === "") lines.pop()
  const out: Array<ForeignLine> = []
  let joined = false
  for (const line of lines) {
    const entry = parseLine(line)
    const drop: boolean = entry === null
      ? line.startsWith(mark) || (!joined && blank.test(line))
      : isOwn(kind, limits, entry.key, entry.value)
    if (!drop) out.push({ text: line, entry })
    // An empty line is kept only behind a line that is kept and not empty itself.
    joined = !drop && !blank.test(line)
  }
  return out
}

const join = (lines: ReadonlyArray<ForeignLine>): string => lines.map((line) => `${line.text}\n`).join("")

const arrange = (
  text: Pick<MapText, "kind" | "limits" | "foreign" | "foreignKeys" | "own">
): MapText => {
  const behind = new Set<string>()
  for (const key of text.foreignKeys.keys()) if (MapChunks.get(text.own, key) !== null) behind.add(key)
  const isBehind = (line: ForeignLine) => line.entry !== null && behind.has(line.entry.key)
  return {
    ...text,
    head: Buffer.from(
      comment(text.kind, text.limits) + join(text.foreign.filter((line) => !isBehind(line))),
      "latin1"
    ),
    tail: Buffer.from(behind.size === 0 ? "" : join(text.foreign.filter(isBehind)), "latin1")
  }
}

/** A map without entries. */
export const empty = (kind: MapTextKind, limits: PoolLimits): MapText =>
  arrange({
    kind,
    limits,
    foreign: [],
    foreignKeys: new Map(),
    own: MapChunks.empty(kind === "domains" ? MapChunks.byName : MapChunks.bySpecificity)
  })

/** Replaces all our entries. Answers the same object when nothing changes. */
export const withOwn = (text: MapText, entries: ReadonlyArray<readonly [key: string, value: string]>): MapText => {
  const own = MapChunks.replace(text.own, entries)
  return own === text.own ? text : arrange({ ...text, own })
}

/** Sets or removes (`null`) entries of ours. Answers the same object when nothing changes. */
export const edit = (text: MapText, changes: ReadonlyMap<string, string | null>): MapText => {
  const own = MapChunks.edit(text.own, changes)
  if (own === text.own) return text
  const next = { ...text, own }
  if (text.foreignKeys.size > 0) {
    for (const key of changes.keys()) if (text.foreignKeys.has(key)) return arrange(next)
  }
  return next
}

/** Takes the foreign lines from a file and forgets those it had. Our entries stay as they are in memory. */
export const withForeign = (text: MapText, file: Buffer): MapText => {
  const foreign = parseForeign(text.kind, text.limits, withoutOwn(text.own, file))
  const foreignKeys = new Map<string, string>()
  for (const { entry } of foreign) {
    if (entry !== null && !foreignKeys.has(entry.key)) foreignKeys.set(entry.key, entry.value)
  }
  return arrange({ ...text, foreign, foreignKeys })
}

/** The file's text; where our entries stand in it as one block, byte for byte, they need not be parsed. */
const withoutOwn = (own: MapChunks.MapChunks, file: Buffer): string => {
  const parts = MapChunks.bytes(own)
  const start = parts[0] === undefined ? -1 : file.indexOf(parts[0])
  if (start < 0 || (start > 0 && file[start - 1] !== 10)) return file.toString("latin1")
  let end = start
  for (const part of parts) {
    if (!part.equals(file.subarray(end, end + part.length))) return file.toString("latin1")
    end += part.length
  }
  return file.toString("latin1", 0, start) + file.toString("latin1", end)
}

/** The file, in pieces. */
export const bytes = (text: MapText): ReadonlyArray<Buffer> => [text.head, ...MapChunks.bytes(text.own), text.tail]

/** Entries that HAProxy loads from the file: ours and foreign ones, repeated keys too. */
export const count = (text: MapText): number =>
  text.own.size + text.foreign.reduce((sum, line) => line.entry === null ? sum : sum + 1, 0)
