/**
 * A host's disk in memory that can lose its power, its link and its requests. Names that no fsync of their folder has made durable
 * are lost with the power, up to a random one of the changes that wait; contents are durable when they were written (as
 * `writeNew` promises). Every call is one step; a fault can be planted at any.
 */
import { basename, dirname } from "node:path"
import { type Disk, DiskError, type FileStat, type FolderEntry } from "../../../src/domain/Disk.ts"
import { RemoteUnreachable } from "../../../src/domain/Errors.ts"

/**
 * What goes wrong with a step: it is refused; the link is lost before or after it had its effect; it is carried out later, when
 * {@link PowerDisk.release} is called; from this step on nothing is carried out.
 */
export type Fault = "refused" | "lost before" | "lost after" | "late" | "dead"

interface File {
  bytes: Buffer
  mtime: number
  ino: bigint
}

const refused = (code: string, path: string) => new DiskError({ code, path, message: `${code} ${path}` })
const lost = () => new RemoteUnreachable({ message: "the link was lost", hint: "wait" })

/** The same numbers for the same seed (mulberry32). */
export const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * below)
  }
}

export class PowerDisk {
  #names = new Map<string, File>()
  #durable = new Map<string, File>()
  /** Changes of names that wait for their folder's fsync, in order. */
  #waiting: Array<{ readonly folder: string; readonly apply: (names: Map<string, File>) => void }> = []
  #late: Array<() => unknown> = []
  #ino = 1n
  /** Steps so far, and reads among them. */
  steps = 0
  reads = 0
  /** Milliseconds since 1970. */
  clock = 1_700_000_000_000
  /** The mistakes that tests plant. */
  skipsFolderSync = false
  renamesOver = false

  #change(path: string, apply: (names: Map<string, File>) => void): void {
    apply(this.#names)
    this.#waiting.push({ folder: dirname(path), apply })
  }

  get names(): ReadonlyArray<string> {
    return [...this.#names.keys()].sort()
  }

  bytes(path: string): Buffer | undefined {
    return this.#names.get(path)?.bytes
  }

  /** Overwrites what is in a file, as a failing disk would. */
  spoil(path: string, change: (bytes: Buffer) => Buffer): void {
    const file = this.#names.get(path)
    if (file === undefined) throw new Error(`no ${path}`)
    file.bytes = change(Buffer.from(file.bytes))
  }

  remove(path: string): void {
    this.#change(path, (names) => names.delete(path))
  }

  /** The power fails: of the changes that wait, the first few are there. */
  cut(below: (n: number) => number): void {
    const kept = below(this.#waiting.length + 1)
    for (const { apply } of this.#waiting.slice(0, kept)) apply(this.#durable)
    this.#waiting = []
    this.#late = []
    this.#names = new Map(this.#durable)
  }

  /** What was late happens now. */
  release(): void {
    for (const run of this.#late.splice(0)) {
      try {
        run()
      } catch {
        // Nobody hears the answer.
      }
    }
  }

  /** A process's view of the disk: its own link, with at most one fault. */
  link(fault: { readonly at: number; readonly kind: Fault } | null = null): Disk {
    const begin = this.steps
    let isDead = false
    const step = async <A>(path: string, run: () => A): Promise<A> => {
      const isHit = this.steps++ - begin === fault?.at
      if (isHit && fault!.kind === "dead") isDead = true
      if (isDead || (isHit && fault!.kind === "lost before")) throw lost()
      if (isHit && fault!.kind === "refused") throw refused("ENOSPC", path)
      if (isHit && fault!.kind === "late") {
        this.#late.push(run)
        throw lost()
      }
      const answer = run()
      if (isHit && fault!.kind === "lost after") throw lost()
      // An answer takes a moment in which others have theirs.
      for (let wait = this.steps % 3; wait > 0; wait--) await Promise.resolve()
      return answer
    }
    const statOf = (file: File): FileStat => ({
      kind: "file",
      size: BigInt(file.bytes.byteLength),
      ino: file.ino,
      mtimeNs: BigInt(file.mtime) * 1_000_000n,
      mode: 0o600,
      uid: 0,
      gid: 0
    })
    const at = (path: string): File => {
      const file = this.#names.get(path)
      if (file === undefined) throw refused("ENOENT", path)
      return file
    }
    const inFolder = (folder: string) => [...this.#names.keys()].filter((name) => dirname(name) === folder)
    const stat = (path: string) =>
      step(path, () => {
        const file = this.#names.get(path)
        return file === undefined ? null : statOf(file)
      })
    const no = () => Promise.reject(new Error("the log does not do this"))
    return {
      isLocal: false,
      stat,
      lstat: stat,
      realpath: no,
      readlink: no,
      checkWritable: no,
      readFile: (path, largest = Infinity) =>
        step(path, () => {
          this.reads++
          const file = this.#names.get(path)
          if (file !== undefined && file.bytes.byteLength > largest) throw refused("EFBIG", path)
          return file === undefined ? null : Buffer.from(file.bytes)
        }),
      readdir: (path) => step(path, () => inFolder(path).map((name) => basename(name))),
      list: (path) =>
        step(path, () => inFolder(path).map((name): FolderEntry => ({ name: basename(name), stat: statOf(at(name)) }))),
      writeNew: (path, parts) =>
        step(path, () => {
          if (this.#names.has(path)) throw refused("EEXIST", path)
          const file: File = { bytes: Buffer.concat(parts), mtime: this.clock, ino: this.#ino++ }
          this.#change(path, (names) => names.set(path, file))
          return statOf(file)
        }),
      rename: (from, to) =>
        step(to, () => {
          const file = at(from)
          this.#change(to, (names) => names.delete(from) && names.set(to, file))
        }),
      renameNew: (from, to) =>
        step(to, () => {
          const file = at(from)
          if (this.#names.has(to) && !this.renamesOver) throw refused("EEXIST", to)
          this.#change(to, (names) => names.delete(from) && names.set(to, file))
        }),
      link: (existing, added) =>
        step(added, () => {
          const file = at(existing)
          if (this.#names.has(added)) throw refused("EEXIST", added)
          this.#change(added, (names) => names.set(added, file))
        }),
      unlink: (path) =>
        step(path, () => {
          at(path)
          this.#change(path, (names) => names.delete(path))
        }),
      syncFolder: (path) =>
        step(path, () => {
          if (this.skipsFolderSync) return
          for (const { apply, folder } of this.#waiting) if (folder === path) apply(this.#durable)
          this.#waiting = this.#waiting.filter(({ folder }) => folder !== path)
        }),
      makeFolder: (path) => step(path, () => undefined)
    }
  }
}
