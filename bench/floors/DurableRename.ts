/**
 * Floor: files replaced durably by the fewest system calls there are: temp file, write, fsync, rename, and one fsync
 * of their folder; several files are flushed side by side. The bytes are those that the control plane would write,
 * ready in memory.
 */
import { closeSync, fsync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import { basename, join } from "node:path"
import { promisify } from "node:util"

const fsyncAside = promisify(fsync)

export class RenameFloor {
  private readonly directory: number
  private readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: Buffer }>

  /** Takes the bytes of these files; writes them in a folder of its own. */
  constructor(folder: string, sources: ReadonlyArray<string>) {
    mkdirSync(folder, { recursive: true })
    this.directory = openSync(folder, "r")
    this.files = sources.map((source) => ({ path: join(folder, basename(source)), bytes: readFileSync(source) }))
  }

  /** Bytes of all files. */
  get size(): number {
    return this.files.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  async write(): Promise<void> {
    const open = this.files.map(({ bytes, path }) => {
      const fd = openSync(`${path}.tmp`, "w", 0o644)
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
      return { fd, path }
    })
    // One file: a synchronous call is cheaper than a trip through the thread pool.
    if (open.length === 1) fsyncSync(open[0]!.fd)
    else await Promise.all(open.map(({ fd }) => fsyncAside(fd)))
    for (const { fd } of open) closeSync(fd)
    for (const { path } of open) renameSync(`${path}.tmp`, path)
    fsyncSync(this.directory)
  }

  close(): void {
    closeSync(this.directory)
  }
}
