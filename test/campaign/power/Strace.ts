/**
 * What a process did to the files of one folder, from strace's log: opens, writes with their bytes, flushes, renames.
 *
 * The log must come from `strace -f -xx` with these {@link calls} and no limit on strings. Calls of several threads are
 * put in the order in which they begin; a flush says what it waits for when it begins and that it is over when it ends.
 * A call that could change a tracked file in a way that is not modelled here is an error, never left out.
 */

/** One thing that happened, in order. */
export type Event =
  | { readonly _tag: "Open"; readonly path: string; readonly fd: number; readonly truncate: boolean }
  | { readonly _tag: "Close"; readonly fd: number }
  /** `offset` null: where the last write of this descriptor ended. */
  | { readonly _tag: "Write"; readonly fd: number; readonly data: Buffer; readonly offset: number | null }
  | { readonly _tag: "Truncate"; readonly fd: number; readonly size: number }
  | { readonly _tag: "FlushBegins"; readonly fd: number; readonly flush: number }
  | { readonly _tag: "FlushEnds"; readonly flush: number }
  | { readonly _tag: "Rename"; readonly from: string; readonly to: string }
  | { readonly _tag: "Link"; readonly from: string; readonly to: string }
  | { readonly _tag: "Unlink"; readonly path: string }

/** The calls to trace: what is modelled, and what would have to be. */
export const calls = `
  openat open creat close write writev pwrite64 pwritev pwritev2 ftruncate fsync fdatasync rename
  renameat renameat2 unlink unlinkat lseek fallocate truncate link linkat symlink symlinkat
  copy_file_range sendfile splice mmap dup dup2 dup3 fcntl io_uring_enter sync_file_range sync syncfs
`.trim().split(/\s+/)

const bytesOf = (quoted: string): Buffer => Buffer.from(quoted.replaceAll("\\x", ""), "hex")
const strings = /"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g

const stringsOf = (args: string): ReadonlyArray<Buffer> =>
  [...args.matchAll(strings)].map((match) => {
    if (match[2] !== undefined) throw new Error("strace cut a string short")
    return bytesOf(match[1]!)
  })

interface Call {
  readonly name: string
  readonly args: string
  readonly result: number
}

const whole = /^(\w+)\((.*)\)\s+= (-?\d+|\?|0x[0-9a-f]+)/s

const eventsOf = function*({ args, name, result }: Call, tracked: Tracked): Generator<Event> {
  const fd = Number(/^-?\d+/.exec(args)?.[0] ?? -1)
  const paths = () => stringsOf(args).map((path) => path.toString("utf8"))
  switch (name) {
    case "open":
    case "openat":
    case "creat": {
      const path = paths()[0]!
      if (!tracked.path(path)) return
      yield { _tag: "Open", path, fd: result, truncate: args.includes("O_TRUNC") || name === "creat" }
      return
    }
    case "rename":
    case "renameat":
    case "renameat2": {
      const [from, to] = paths()
      if (tracked.path(from!) || tracked.path(to!)) yield { _tag: "Rename", from: from!, to: to! }
      return
    }
    case "unlink":
    case "unlinkat": {
      const path = paths()[0]!
      if (tracked.path(path)) yield { _tag: "Unlink", path }
      return
    }
    case "link":
    case "linkat": {
      const [from, to] = paths()
      if (tracked.path(from!) || tracked.path(to!)) yield { _tag: "Link", from: from!, to: to! }
      return
    }
    case "symlink":
    case "symlinkat":
    case "truncate":
      if (paths().some(tracked.path)) throw new Error(`not modelled: ${name}(${args.slice(0, 200)})`)
      return
    case "mmap":
      // mmap(addr, length, prot, flags, fd, offset)
      if (args.includes("MAP_SHARED") && args.includes("PROT_WRITE") && tracked.fd(Number(args.split(", ")[4]))) {
        throw new Error("not modelled: a shared mapping of a tracked file")
      }
      return
    case "sync":
      throw new Error("not modelled: sync")
    default:
  }
  if (!tracked.fd(fd)) return
  switch (name) {
    case "close":
      yield { _tag: "Close", fd }
      return
    case "write":
    case "writev":
      yield { _tag: "Write", fd, data: Buffer.concat(stringsOf(args)).subarray(0, result), offset: null }
      return
    case "pwrite64":
    case "pwritev":
      yield {
        _tag: "Write",
        fd,
        data: Buffer.concat(stringsOf(args)).subarray(0, result),
        offset: Number(/, (\d+)$/.exec(args)![1])
      }
      return
    case "ftruncate":
      yield { _tag: "Truncate", fd, size: Number(args.split(", ")[1]) }
      return
    case "lseek":
      return
    case "fcntl":
      if (args.includes("F_DUPFD")) throw new Error("not modelled: a second descriptor of a tracked file")
      return
    default:
      throw new Error(`not modelled: ${name}(${args.slice(0, 200)})`)
  }
}

/** Tells of a path, or of a descriptor that is open now, whether it matters. */
export interface Tracked {
  readonly path: (path: string) => boolean
  readonly fd: (fd: number) => boolean
}

/** Reads a log, one call of it after the other. */
export class Reader {
  private readonly unfinished = new Map<string, { readonly text: string; readonly flush: number | null }>()
  private flushes = 0
  private readonly tracked: Tracked

  constructor(tracked: Tracked) {
    this.tracked = tracked
  }

  /** What a line of the log says. */
  *read(line: string): Generator<Event> {
    const { tracked } = this
    const space = line.indexOf(" ")
    const thread = line.slice(0, space)
    const text = line.slice(space + 1).trimStart()
    if (text.startsWith("+++") || text.startsWith("---")) return
    if (text.endsWith(" <unfinished ...>")) {
      const begun = text.slice(0, -" <unfinished ...>".length)
      const fd = flushed(begun)
      const flush = fd !== null && tracked.fd(fd) ? this.flushes++ : null
      this.unfinished.set(thread, { text: begun, flush })
      // From here another thread may get the same number for another file, and may be told so first.
      const closed = /^close\((\d+)/.exec(begun)?.[1]
      if (closed !== undefined && tracked.fd(Number(closed))) yield { _tag: "Close", fd: Number(closed) }
      if (fd !== null && flush !== null) yield { _tag: "FlushBegins", fd, flush }
      return
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(text)?.[0]
    const begun = resumed === undefined ? null : this.unfinished.get(thread)
    if (begun === undefined) throw new Error(`strace resumes what never began: ${text.slice(0, 200)}`)
    const match = whole.exec(begun === null ? text : begun.text + text.slice(resumed!.length))
    if (match === null) throw new Error(`not a line of strace: ${text.slice(0, 200)}`)
    const call: Call = { name: match[1]!, args: match[2]!, result: Number(match[3]) }
    // Refused, or never answered because the process ended.
    if (!(call.result >= 0)) return
    const fd = flushed(`${call.name}(${call.args}`)
    if (fd !== null) {
      if (begun !== null) {
        if (begun.flush !== null) yield { _tag: "FlushEnds", flush: begun.flush }
      } else if (tracked.fd(fd)) {
        const flush = this.flushes++
        yield { _tag: "FlushBegins", fd, flush }
        yield { _tag: "FlushEnds", flush }
      }
      return
    }
    if (begun === null || call.name !== "close") yield* eventsOf(call, tracked)
  }
}

/** The descriptor of a flush. */
const flushed = (text: string): number | null => {
  const match = /^(?:fsync|fdatasync)\((\d+)/.exec(text)
  return match === null ? null : Number(match[1])
}
