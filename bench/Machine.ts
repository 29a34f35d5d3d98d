/** The machine that a run was made on, so that its numbers can be read later. Nothing that names the host. */
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"
import { dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { HaproxyBinary } from "../scripts/haproxy.ts"
import { quantile } from "./Samples.ts"

/** What is said of the machine. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly kernel: string
  /** Of the folder that the run writes in. */
  readonly fileSystem: string
  /** Milliseconds of one small append and fdatasync there. */
  readonly fsyncP50: number
  readonly fsyncP99: number
  /** Load average of the last minute before the run: above 0.5 others were at work too. */
  readonly loadBefore: number
  readonly node: string
  readonly sqlite: string
  readonly haproxy: string
}

/** Type of the file system that holds a path, from the longest mount point above it (proc(5)). */
export const fileSystemOf = (path: string): string => {
  let table: string
  try {
    table = readFileSync("/proc/mounts", "utf8")
  } catch {
    return "unknown"
  }
  const types = new Map(table.split("\n").map((line) => [line.split(" ")[1] ?? "", line.split(" ")[2] ?? ""]))
  for (let at = resolve(path);; at = dirname(at)) {
    const type = types.get(at)
    if (type !== undefined) return type
    if (at === dirname(at)) return "unknown"
  }
}

/** Milliseconds of one small append and fdatasync in a folder. */
export const describeFsync = (folder: string): { readonly p10: number; readonly p50: number; readonly p99: number } => {
  const file = join(folder, "fsync.probe")
  const fd = openSync(file, "w")
  try {
    const block = Buffer.alloc(4096, 1)
    const times = Array.from({ length: 200 }, () => {
      writeSync(fd, block)
      const began = performance.now()
      fdatasyncSync(fd)
      return performance.now() - began
    })
    return { p10: quantile(times, 0.1), p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
  } finally {
    closeSync(fd)
    rmSync(file, { force: true })
  }
}

const sqliteVersion = (): string => {
  const db = new DatabaseSync(":memory:")
  try {
    return String(db.prepare("SELECT sqlite_version() AS version").get()?.["version"])
  } finally {
    db.close()
  }
}

/** Looks at the machine; `folder` is where the run writes. */
export const describeMachine = (folder: string, haproxy: HaproxyBinary): Machine => {
  const loadBefore = loadavg()[0]!
  const { p50, p99 } = describeFsync(folder)
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    fileSystem: fileSystemOf(folder),
    fsyncP50: p50,
    fsyncP99: p99,
    loadBefore,
    node: process.version,
    sqlite: sqliteVersion(),
    haproxy: haproxy.version
  }
}
