/**
 * Many `key value` lines in a fixed order, kept as ready-made pieces of a file.
 *
 * Guarantees: the bytes, piece after piece, depend on the set of entries alone, whatever edits led to it; values
 * of this type never change, so an older one is still good after a failed write; one edit renders one piece of at
 * most {@link maxLines} lines and copies a list of references. Keys and values are single words of ASCII.
 * A piece is nothing but its text (3 MB for 100,000 names): the lines are split again when one of them changes.
 */

/** A run of lines. */
interface Chunk {
  /** Key of the first line. */
  readonly first: string
  readonly lines: number
  readonly bytes: Buffer
}

/** An order of keys. */
export interface KeyOrder {
  /** Negative, zero or positive. */
  readonly compare: (a: string, b: string) => number
  /** In place; the same order, faster than with `compare` for many keys. */
  readonly sort: (keys: Array<string>) => Array<string>
}

/** Entries in order, in pieces. */
export interface MapChunks {
  readonly order: KeyOrder
  readonly chunks: ReadonlyArray<Chunk>
  /** How many entries. */
  readonly size: number
}

/** A piece above this is split. Larger pieces cost more per edit, smaller ones more per file write. */
export const maxLines = 512
/** New pieces leave room for later entries. */
const filled = 384
/** Two neighbours that hold this many lines or fewer become one piece. */
const sparse = 256

const compareText = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const dots = (key: string): number => {
  let count = 0
  for (let at = key.indexOf("."); at >= 0; at = key.indexOf(".", at + 1)) count++
  return count
}

/** Names in code unit order. */
export const byName: KeyOrder = {
  compare: compareText,
  // Without a function, sort compares code units itself.
  sort: (keys) => keys.sort()
}

/** More labels first, then names: the longest suffix comes first, as a scanning `map_end` needs it. */
export const bySpecificity: KeyOrder = {
  compare: (a, b) => dots(b) - dots(a) || compareText(a, b),
  sort: (keys) => {
    const levels: Array<Array<string>> = []
    for (const key of keys) (levels[dots(key)] ??= []).push(key)
    let at = 0
    for (let level = levels.length - 1; level >= 0; level--) {
      for (const key of levels[level]?.sort() ?? []) keys[at++] = key
    }
    return keys
  }
}

const keyOf = (line: string): string => line.slice(0, line.indexOf(" "))

const toChunk = (lines: ReadonlyArray<string>): Chunk => ({
  first: keyOf(lines[0]!),
  lines: lines.length,
  bytes: Buffer.from(`${lines.join("\n")}\n`, "latin1")
})

const linesOf = (chunk: Chunk): Array<string> => {
  const lines = chunk.bytes.toString("latin1").split("\n")
  lines.pop()
  return lines
}

/** The first index from `low` on at which `before` is false. */
const search = (low: number, high: number, before: (index: number) => boolean): number => {
  while (low < high) {
    const middle = (low + high) >>> 1
    if (before(middle)) low = middle + 1
    else high = middle
  }
  return low
}

/** Index of the piece in which a key stands or would stand, not before `from`. */
const chunkOf = (chunks: ReadonlyArray<Chunk>, order: KeyOrder, key: string, from = 0): number =>
  Math.max(from, search(from, chunks.length, (index) => order.compare(chunks[index]!.first, key) <= 0) - 1)

/** Adds pieces to a list, joining small neighbours. */
const append = (out: Array<Chunk>, chunk: Chunk): void => {
  const last = out.at(-1)
  if (last !== undefined && last.lines + chunk.lines <= sparse) {
    out[out.length - 1] = {
      first: last.first,
      lines: last.lines + chunk.lines,
      bytes: Buffer.concat([last.bytes, chunk.bytes])
    }
  } else out.push(chunk)
}

const appendLines = (out: Array<Chunk>, lines: ReadonlyArray<string>, limit: number): void => {
  const pieces = Math.ceil(lines.length / limit)
  for (let piece = 0; piece < pieces; piece++) {
    const from = Math.floor(piece * lines.length / pieces)
    append(out, toChunk(lines.slice(from, Math.floor((piece + 1) * lines.length / pieces))))
  }
}

/** No entries. */
export const empty = (order: KeyOrder): MapChunks => ({ order, chunks: [], size: 0 })

const holds = (map: MapChunks, values: ReadonlyMap<string, string>): boolean =>
  map.size === values.size && map.chunks.every((chunk) =>
    linesOf(chunk).every((line) => {
      const space = line.indexOf(" ")
      return values.get(line.slice(0, space)) === line.slice(space + 1)
    })
  )

/** The same, when the entries come in order already: then nothing has to be looked up. */
const holdsInOrder = (map: MapChunks, entries: ReadonlyArray<readonly [key: string, value: string]>): boolean => {
  let at = 0
  return map.size === entries.length && map.chunks.every((chunk) =>
    linesOf(chunk).every((line) => {
      const [key, value] = entries[at++]!
      return line.length === key.length + 1 + value.length && line.startsWith(key) && line.endsWith(value)
        && line.charCodeAt(key.length) === 32
    })
  )
}

/** Replaces all entries. A key that comes twice has its last value. Answers the same object when nothing changes. */
export const replace = (map: MapChunks, entries: ReadonlyArray<readonly [key: string, value: string]>): MapChunks => {
  if (holdsInOrder(map, entries)) return map
  const values = new Map(entries)
  if (holds(map, values)) return map
  const keys = map.order.sort([...values.keys()])
  const chunks: Array<Chunk> = []
  appendLines(chunks, keys.map((key) => `${key} ${values.get(key)}`), filled)
  return { order: map.order, chunks, size: keys.length }
}

/**
 * Sets keys to values, or removes those whose value is `null`. Answers the same object when nothing changes.
 */
export const edit = (map: MapChunks, changes: ReadonlyMap<string, string | null>): MapChunks => {
  const { chunks, order } = map
  if (changes.size === 0) return map
  if (chunks.length === 0) {
    const added: Array<readonly [string, string]> = []
    for (const [key, value] of changes) if (value !== null) added.push([key, value])
    return replace(map, added)
  }
  const keys = order.sort([...changes.keys()])
  const out: Array<Chunk> = []
  let size = map.size
  let changed = false
  let done = 0
  for (let at = 0; at < keys.length;) {
    const index = chunkOf(chunks, order, keys[at]!, done)
    for (; done < index; done++) append(out, chunks[done]!)
    const isBeyond = (key: string) => index + 1 < chunks.length && order.compare(key, chunks[index + 1]!.first) >= 0
    const old = linesOf(chunks[index]!)
    const lines: Array<string> = []
    let touched = false
    let copied = 0
    for (; at < keys.length && !isBeyond(keys[at]!); at++) {
      const key = keys[at]!
      const value = changes.get(key) ?? null
      const place = search(copied, old.length, (line) => order.compare(keyOf(old[line]!), key) < 0)
      for (; copied < place; copied++) lines.push(old[copied]!)
      const found = place < old.length && keyOf(old[place]!) === key
      const line = value === null ? null : `${key} ${value}`
      if (found) copied++
      if (line !== null) lines.push(line)
      touched ||= (found ? old[place]! : null) !== line
      size += (line === null ? 0 : 1) - (found ? 1 : 0)
    }
    if (touched) {
      for (; copied < old.length; copied++) lines.push(old[copied]!)
      appendLines(out, lines, maxLines)
      changed = true
    } else append(out, chunks[index]!)
    done = index + 1
  }
  if (!changed) return map
  for (; done < chunks.length; done++) append(out, chunks[done]!)
  return { order, chunks: out, size }
}

/** The value of a key, or null. */
export const get = (map: MapChunks, key: string): string | null => {
  const chunk = map.chunks[chunkOf(map.chunks, map.order, key)]
  if (chunk === undefined) return null
  const lines = linesOf(chunk)
  const line = lines[search(0, lines.length, (index) => map.order.compare(keyOf(lines[index]!), key) < 0)]
  return line !== undefined && keyOf(line) === key ? line.slice(key.length + 1) : null
}

/** The pieces of the file, in order. */
export const bytes = (map: MapChunks): ReadonlyArray<Buffer> => map.chunks.map((chunk) => chunk.bytes)
