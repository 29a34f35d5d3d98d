/**
 * A folder on a disk that may lose power: what is certainly there, and what may or may not be.
 *
 * Only a flush makes certain. Written bytes are certain once their file was flushed after them; a name (made, moved,
 * removed) once the folder was flushed after it. Whatever is not certain may be there or not, each by itself, and bytes
 * by blocks of 512; only a rename is never half. This is less than what real file systems promise together, and
 * nothing that POSIX does not allow.
 */
import type { Event } from "./Strace.ts"

const block = 512

type Change =
  | { readonly _tag: "Bytes"; readonly offset: number; readonly data: Buffer }
  | { readonly _tag: "Size"; readonly size: number }

interface Inode {
  certain: Buffer
  pending: Array<Change>
}

type Naming = ReadonlyMap<string, Inode | null>

interface Descriptor {
  /** Null: the folder. */
  readonly inode: Inode | null
  offset: number
}

/** What of the uncertain is there. */
export type Luck = "none" | "all" | "names" | "bytes" | ((bound: number) => number)

const apply = (content: Buffer, change: Change): Buffer => {
  if (change._tag === "Size") {
    if (change.size <= content.length) return content.subarray(0, change.size)
    return Buffer.concat([content, Buffer.alloc(change.size - content.length)])
  }
  const next = Buffer.alloc(Math.max(content.length, change.offset + change.data.length))
  content.copy(next)
  change.data.copy(next, change.offset)
  return next
}

/** Does something to a content, of which some blocks reach the disk. */
const torn = (content: Buffer, change: Change, dice: (bound: number) => number): Buffer => {
  if (change._tag === "Size") return dice(2) === 0 ? content : apply(content, change)
  const { data, offset } = change
  const kept: Array<readonly [from: number, to: number]> = []
  for (let from = 0; from < data.length;) {
    const to = Math.min(data.length, from + block - ((offset + from) % block))
    if (dice(2) === 0) kept.push([from, to])
    from = to
  }
  const last = kept.at(-1)
  if (last === undefined) return content
  const next = Buffer.alloc(Math.max(content.length, offset + last[1]))
  content.copy(next)
  for (const [from, to] of kept) data.copy(next, offset + from, from, to)
  return next
}

export class Disk {
  private names = new Map<string, Inode>()
  private certainNames = new Map<string, Inode>()
  private pendingNames: Array<Naming> = []
  private readonly open = new Map<number, Descriptor>()
  private readonly flushes = new Map<number, () => void>()
  private readonly folder: string

  /** `files`: what lies in the folder, all certain. */
  constructor(folder: string, files: ReadonlyMap<string, Buffer>) {
    this.folder = folder
    for (const [name, content] of files) {
      const inode: Inode = { certain: content, pending: [] }
      this.names.set(name, inode)
      this.certainNames.set(name, inode)
    }
  }

  readonly tracked = {
    path: (path: string) => path === this.folder || path.startsWith(`${this.folder}/`),
    fd: (fd: number) => this.open.has(fd)
  }

  private name(path: string): string {
    return path.slice(this.folder.length + 1)
  }

  private rename(naming: Naming): void {
    for (const [name, inode] of naming) {
      if (inode === null) this.names.delete(name)
      else this.names.set(name, inode)
    }
    this.pendingNames.push(naming)
  }

  private at(fd: number): Descriptor & { readonly inode: Inode } {
    const found = this.open.get(fd)
    if (found === undefined || found.inode === null) throw new Error(`descriptor ${fd} is no file`)
    return found as Descriptor & { readonly inode: Inode }
  }

  /** Follows what happened. */
  follow(event: Event): void {
    switch (event._tag) {
      case "Open": {
        if (event.path === this.folder) {
          this.open.set(event.fd, { inode: null, offset: 0 })
          return
        }
        const name = this.name(event.path)
        let inode = this.names.get(name)
        if (inode === undefined) {
          inode = { certain: Buffer.alloc(0), pending: [] }
          this.rename(new Map([[name, inode]]))
        } else if (event.truncate) inode.pending.push({ _tag: "Size", size: 0 })
        this.open.set(event.fd, { inode, offset: 0 })
        return
      }
      case "Close":
        this.open.delete(event.fd)
        return
      case "Write": {
        const place = this.at(event.fd)
        const offset = event.offset ?? place.offset
        place.inode.pending.push({ _tag: "Bytes", offset, data: event.data })
        if (event.offset === null) place.offset += event.data.length
        return
      }
      case "Truncate":
        this.at(event.fd).inode.pending.push({ _tag: "Size", size: event.size })
        return
      case "Rename": {
        const inode = this.names.get(this.name(event.from))
        if (inode === undefined) throw new Error(`${event.from} is moved, and was never there`)
        this.rename(new Map<string, Inode | null>([[this.name(event.from), null], [this.name(event.to), inode]]))
        return
      }
      case "Link": {
        const inode = this.names.get(this.name(event.from))
        if (inode === undefined) throw new Error(`${event.from} is linked, and was never there`)
        this.rename(new Map([[this.name(event.to), inode]]))
        return
      }
      case "Unlink":
        this.rename(new Map([[this.name(event.path), null]]))
        return
      case "FlushBegins": {
        const { inode } = this.open.get(event.fd)!
        const count = inode === null ? this.pendingNames.length : inode.pending.length
        this.flushes.set(event.flush, () => this.makeCertain(inode, count))
        return
      }
      case "FlushEnds":
        this.flushes.get(event.flush)?.()
        this.flushes.delete(event.flush)
        return
    }
  }

  private makeCertain(inode: Inode | null, count: number): void {
    if (inode !== null) {
      for (const change of inode.pending.splice(0, count)) inode.certain = apply(inode.certain, change)
      return
    }
    for (const naming of this.pendingNames.splice(0, count)) {
      for (const [name, to] of naming) {
        if (to === null) this.certainNames.delete(name)
        else this.certainNames.set(name, to)
      }
    }
  }

  /** Is anything uncertain? Then what is found after a power cut depends on luck. */
  get uncertain(): boolean {
    return this.pendingNames.length > 0 || [...this.names.values()].some(({ pending }) => pending.length > 0)
  }

  /** What may be found in the folder when the power goes now. */
  cut(luck: Luck): ReadonlyMap<string, Buffer> {
    const names = new Map(this.certainNames)
    for (const naming of this.pendingNames) {
      const there = typeof luck === "function" ? luck(2) === 0 : luck === "all" || luck === "names"
      if (!there) continue
      for (const [name, inode] of naming) {
        if (inode === null) names.delete(name)
        else names.set(name, inode)
      }
    }
    const files = new Map<string, Buffer>()
    for (const [name, { certain, pending }] of names) {
      let content = certain
      for (const change of pending) {
        if (typeof luck === "function") content = torn(content, change, luck)
        else if (luck === "all" || luck === "bytes") content = apply(content, change)
      }
      files.set(name, content)
    }
    return files
  }
}
