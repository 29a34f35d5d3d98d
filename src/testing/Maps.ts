/**
 * The maps of one worker: entries with duplicates, generations (`prepare map`, `commit map`), and the commands on them.
 *
 * Order, duplicates and generations behave as in HAProxy; look-ups, additions and removals take constant time, so a
 * map may hold a hundred thousand entries. Patterns are plain strings (`map_str`); nothing is matched otherwise.
 */
import { type Answer, dump, message, silence } from "./Answer.ts"
import type { Parsed } from "./CommandLine.ts"
import type { Traits } from "./Line.ts"

/** One entry of a map. */
export interface MapEntry {
  readonly key: string
  value: string
  /** What `show map` prints first: unique, and otherwise without meaning. */
  readonly pointer: string
}

interface Generation {
  /** In order of insertion. */
  readonly entries: Map<string, MapEntry>
  readonly byKey: Map<string, Array<MapEntry>>
}

const newGeneration = (): Generation => ({ entries: new Map(), byKey: new Map() })

/** One map. */
export class RuntimeMap {
  readonly path: string
  current = 0
  next = 0
  private readonly generations = new Map<number, Generation>()
  private pointers = 0x7f00_0000_0000

  constructor(path: string, content: string) {
    this.path = path
    for (const line of content.split("\n")) {
      const match = /^[ \t]*([^ \t#\r][^ \t\r]*)[ \t]*(.*?)[ \t\r]*$/.exec(line)
      if (match !== null) this.add(0, match[1]!, match[2]!)
    }
  }

  private generation(version: number): Generation {
    let generation = this.generations.get(version)
    if (generation === undefined) this.generations.set(version, generation = newGeneration())
    return generation
  }

  /** Entries of all generations, as `show map` counts them. */
  get size(): number {
    let size = 0
    for (const generation of this.generations.values()) size += generation.entries.size
    return size
  }

  /** The entries of a generation in order; the current one by default. */
  list(version: number = this.current): Iterable<MapEntry> {
    return this.generations.get(version)?.entries.values() ?? []
  }

  /** The first entry of a key in the current generation. */
  first(key: string): MapEntry | undefined {
    return this.generations.get(this.current)?.byKey.get(key)?.[0]
  }

  add(version: number, key: string, value: string): void {
    const generation = this.generation(version)
    this.pointers += 0x40
    const entry: MapEntry = { key, value, pointer: `0x${this.pointers.toString(16)}` }
    generation.entries.set(entry.pointer, entry)
    const same = generation.byKey.get(key)
    if (same === undefined) generation.byKey.set(key, [entry])
    else same.push(entry)
  }

  /** Sets the value of every entry of a key in the current generation, or in all; false when there is none. */
  set(key: string, value: string, inAll: boolean): boolean {
    let found = false
    for (const generation of this.reached(inAll)) {
      for (const entry of generation.byKey.get(key) ?? []) {
        entry.value = value
        found = true
      }
    }
    return found
  }

  /** Removes the entries of a key, or the first one only; false when there is none. */
  delete(key: string, onlyOne: boolean, inAll: boolean): boolean {
    let found = false
    for (const generation of this.reached(inAll)) {
      const same = generation.byKey.get(key)
      if (same === undefined) continue
      for (const entry of onlyOne ? same.splice(0, 1) : same.splice(0)) generation.entries.delete(entry.pointer)
      if (same.length === 0) generation.byKey.delete(key)
      found = true
    }
    return found
  }

  private reached(inAll: boolean): ReadonlyArray<Generation> {
    if (inAll) return [...this.generations.values()]
    const generation = this.generations.get(this.current)
    return generation === undefined ? [] : [generation]
  }

  /** Removes the entry with this pointer from the current generation. */
  deletePointer(pointer: string): boolean {
    const generation = this.generations.get(this.current)
    const entry = generation?.entries.get(pointer)
    if (generation === undefined || entry === undefined) return false
    generation.entries.delete(pointer)
    const same = generation.byKey.get(entry.key)!
    same.splice(same.indexOf(entry), 1)
    if (same.length === 0) generation.byKey.delete(entry.key)
    return true
  }

  /** Removes a generation. On 3.4 only the oldest one that exists can be. */
  clear(version: number, onlyOldest: boolean): void {
    if (onlyOldest) {
      for (const [other, { entries }] of this.generations) if (other < version && entries.size > 0) return
    }
    this.generations.delete(version)
  }

  /** Makes a prepared generation the current one; false when it is not between the current and the next version. */
  commit(version: number): boolean {
    if (version <= this.current || version > this.next) return false
    for (const other of this.generations.keys()) if (other < version) this.generations.delete(other)
    this.current = version
    return true
  }
}

const unknownMap = message(3, "Unknown map identifier. Please use #<id> or <file>.")
const addUsage = message(
  3,
  "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload"
)

/** The maps of a worker and the commands on them. */
export class Maps {
  readonly byPath: ReadonlyMap<string, RuntimeMap>
  private readonly list: ReadonlyArray<RuntimeMap>
  private readonly traits: Traits
  private readonly configPath: string

  constructor(traits: Traits, configPath: string, files: Iterable<readonly [string, string]>) {
    this.traits = traits
    this.configPath = configPath
    this.list = [...files].map(([path, content]) => new RuntimeMap(path, content))
    this.byPath = new Map(this.list.map((map) => [map.path, map]))
  }

  private find(name: string | undefined): RuntimeMap | undefined {
    if (name === undefined) return undefined
    return name.startsWith("#") ? this.list[Number.parseInt(name.slice(1), 10)] : this.byPath.get(name)
  }

  show(words: ReadonlyArray<string>): Answer {
    if (words[2] === undefined) {
      const lines = this.list.map((map, id) =>
        `${id} (${map.path}) pattern loaded from file '${map.path}' used by map at file '${this.configPath}' line ${
          10 + id
        }. curr_ver=${map.current} next_ver=${map.next} entry_cnt=${map.size}\n`
      )
      return dump(`# id (file) description\n${lines.join("")}`)
    }
    const [version, name] = words[2].startsWith("@") ? [versionOf(words[2]), words[3]] : [undefined, words[2]]
    const map = this.find(name)
    if (map === undefined) return unknownMap
    const lines: Array<string> = []
    for (const { key, pointer, value } of map.list(version)) lines.push(`${pointer} ${key} ${value}\n`)
    return dump(lines.join(""))
  }

  get(words: ReadonlyArray<string>): Answer {
    if (words[2] === undefined || words[3] === undefined) return message(3, "Missing map identifier and/or key.")
    const map = this.find(words[2])
    if (map === undefined) return unknownMap
    const entry = map.first(words[3])
    return dump(
      entry === undefined
        ? "type=str, case=sensitive, found=no\n"
        : `type=str, case=sensitive, found=yes, idx=tree, key="${entry.key}", value="${entry.value}", type="str"\n`
    )
  }

  add({ payload, words }: Parsed): Answer {
    const shift = words[2]?.startsWith("@") === true ? 1 : 0
    const [name, key, value] = [words[2 + shift], words[3 + shift], words[4 + shift]]
    if (payload === undefined && (name === undefined || key === undefined || value === undefined)) return addUsage
    const map = this.find(name)
    if (map === undefined) return unknownMap
    const version = shift === 0 ? map.current : versionOf(words[2]!)
    if (version > map.next) return message(3, "Version number in the future, please use 'prepare map' before.")
    if (payload === undefined) {
      map.add(version, key!, value!)
      return silence
    }
    return addPayload(map, version, payload)
  }

  set(words: ReadonlyArray<string>): Answer {
    if (words[2] === undefined || words[3] === undefined || words[4] === undefined) {
      return message(3, "'set map' expects three parameters: map identifier, key and value.")
    }
    const map = this.find(words[2])
    if (map === undefined) return unknownMap
    return map.set(words[3], words[4], this.traits.editsAllVersions) ? silence : message(3, "entry not found.")
  }

  delete(words: ReadonlyArray<string>): Answer {
    if (words[2] === undefined || words[3] === undefined) {
      return message(3, "This command expects two parameters: map identifier and key.")
    }
    const map = this.find(words[2])
    if (map === undefined) return unknownMap
    const gone = words[3].startsWith("#0x")
      ? map.deletePointer(words[3].slice(1))
      : map.delete(words[3], this.traits.deletesOne, this.traits.editsAllVersions)
    return gone ? silence : message(3, "Key not found.")
  }

  clear(words: ReadonlyArray<string>): Answer {
    const shift = words[2]?.startsWith("@") === true ? 1 : 0
    const name = words[2 + shift]
    if (name === undefined) return message(3, "Missing map identifier.")
    const map = this.find(name)
    if (map === undefined) return unknownMap
    map.clear(shift === 0 ? map.current : versionOf(words[2]!), this.traits.deletesOne)
    return silence
  }

  prepare(words: ReadonlyArray<string>): Answer {
    const map = this.find(words[2])
    if (map === undefined) return unknownMap
    map.next++
    return message(6, `New version created: ${map.next}`)
  }

  commit(words: ReadonlyArray<string>): Answer {
    if (words[2]?.startsWith("@") !== true) return message(3, "Missing version number.")
    const map = this.find(words[3])
    if (map === undefined) return unknownMap
    return map.commit(versionOf(words[2])) ? silence : message(3, "Version number out of range.")
  }
}

const versionOf = (word: string): number => Number.parseInt(word.slice(1), 10) || 0

/** One `key value` per line. A line without a blank swallows the next one into its key. */
const addPayload = (map: RuntimeMap, version: number, payload: string): Answer => {
  let at = 0
  while (at < payload.length) {
    const blank = /[ \t]+/g
    blank.lastIndex = at
    const found = blank.exec(payload)
    if (found === null) return message(3, `Missing value for key '${payload.slice(at)}'.`)
    const newline = payload.indexOf("\n", blank.lastIndex)
    const end = newline < 0 ? payload.length : newline
    map.add(version, payload.slice(at, found.index), payload.slice(blank.lastIndex, end))
    at = end + 1
  }
  return silence
}
