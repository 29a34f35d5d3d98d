/**
 * The state behind the MapFiles service: what the three files hold, and the steps that change them.
 * One caller at a time; MapFiles.ts sees to that. Memory changes only when the disk has changed.
 */
import type { Edit } from "../../domain/Change.ts"
import type { Disk } from "../../domain/Disk.ts"
import { RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import * as MapText from "../../domain/MapText.ts"
import { type PoolLimits, poolName } from "../../domain/Pool.ts"
import * as PoolsConfig from "../../domain/PoolsConfig.ts"
import { isWildcard, mapKey } from "../../domain/RouteName.ts"
import * as DurableFile from "../DurableFile.ts"
import type { FileReport, FileState } from "../MapFiles.ts"
import * as FileSet from "./FileSet.ts"
import * as TrackedFile from "./TrackedFile.ts"

/** Paths as configured. */
export interface FilePaths {
  readonly domains: string
  readonly wildcards: string
  readonly pools: string | null
}

type FileKind = keyof FilePaths
const kinds: ReadonlyArray<FileKind> = ["domains", "wildcards", "pools"]

/** What the files hold. */
export interface Memory {
  readonly domains: MapText.MapText
  readonly wildcards: MapText.MapText
  readonly pools: PoolsConfig.PoolsConfig
}

const render = (memory: Memory, kind: FileKind): ReadonlyArray<Buffer> =>
  kind === "pools" ? PoolsConfig.bytes(memory.pools) : MapText.bytes(memory[kind])

/** Follows edits; where none of them changes a file, its value stays the same object. */
export const edited = (memory: Memory, edits: ReadonlyArray<Edit>): Memory => {
  const changes = { domains: new Map<string, string | null>(), wildcards: new Map<string, string | null>() }
  for (const edit of edits) {
    if (edit.kind !== "route") continue
    changes[isWildcard(edit.name) ? "wildcards" : "domains"].set(
      mapKey(edit.name),
      edit.after === null ? null : poolName(edit.after.pool)
    )
  }
  return {
    domains: MapText.edit(memory.domains, changes.domains),
    wildcards: MapText.edit(memory.wildcards, changes.wildcards),
    pools: PoolsConfig.edit(memory.pools, edits)
  }
}

const filled = (memory: Memory, limits: PoolLimits, state: FileState): Memory => {
  const own = { domains: [] as Array<readonly [string, string]>, wildcards: [] as Array<readonly [string, string]> }
  for (const { name, pool } of state.routes) {
    own[isWildcard(name) ? "wildcards" : "domains"].push([mapKey(name), poolName(pool)])
  }
  return {
    domains: MapText.withOwn(memory.domains, own.domains),
    wildcards: MapText.withOwn(memory.wildcards, own.wildcards),
    pools: PoolsConfig.make(limits, state.servers)
  }
}

/** Files that are written before it is known whether they are wanted. */
interface Ahead {
  readonly edits: ReadonlyArray<Edit>
  /** The memory that they follow; another one, and they are worthless. */
  readonly base: Memory
  readonly next: Memory
  /** Null: they could not be staged. */
  readonly prepared: Promise<ReadonlyArray<FileSet.Prepared> | null>
}

/** Someone who keeps writing to a file cannot hold us up for ever. */
const attempts = 5

export class Writer {
  /** What the files hold, as far as we know. */
  memory: Memory
  private known = false
  private busy = false
  private ahead: Ahead | null = null
  /** Temp files may lie about: of a crashed run, or of a moment at which the host was lost. */
  private littered = true
  private readonly disk: Disk
  private readonly limits: PoolLimits
  private readonly files: ReadonlyMap<FileKind, TrackedFile.TrackedFile>

  constructor(disk: Disk, paths: FilePaths, limits: PoolLimits) {
    this.disk = disk
    this.limits = limits
    this.files = new Map(
      kinds.flatMap((kind) => paths[kind] === null ? [] : [[kind, TrackedFile.make(paths[kind])] as const])
    )
    this.memory = {
      domains: MapText.empty("domains", limits),
      wildcards: MapText.empty("wildcards", limits),
      pools: PoolsConfig.make(limits, [])
    }
  }

  /** Removes temp files that nobody will use; fails only where the host cannot be reached. */
  async sweep(): Promise<void> {
    if (!this.littered) return
    const swept = await Promise.allSettled(
      [...this.files.values()].map(({ path }) => DurableFile.sweep(this.disk, path))
    )
    for (const one of swept) if (one.status === "rejected" && one.reason instanceof RemoteUnreachable) throw one.reason
    this.littered = false
  }

  /** See MapFiles. */
  intact(): boolean {
    return [...this.files.values()].every((file) => file.holds !== "unknown")
  }

  /** Each file is known to hold what memory renders. */
  private isCurrent(): boolean {
    return this.known && [...this.files.values()].every((file) => file.holds === "same")
  }

  /** See MapFiles. */
  stage(edits: ReadonlyArray<Edit>): void {
    this.unstage()
    if (this.busy || !this.isCurrent()) return
    const base = this.memory
    const next = edited(base, edits)
    const replacements = this.replacements(next)
    if (replacements.length === 0) return
    // A failure shows again, and is told, when the files are written in earnest.
    const prepared = FileSet.stageAll(this.disk, replacements).catch(() => null)
    this.ahead = { edits, base, next, prepared }
  }

  /** See MapFiles. */
  unstage(): void {
    const { ahead } = this
    this.ahead = null
    if (ahead === null) return
    void ahead.prepared.then((prepared) => prepared === null ? undefined : FileSet.discardAll(this.disk, prepared))
  }

  /** See MapFiles. */
  reset(state: FileState): Promise<FileReport> {
    return this.alone(() => this.resetNow(state))
  }

  /** See MapFiles. */
  apply(edits: ReadonlyArray<Edit>): Promise<void> {
    return this.alone(() => this.applyNow(edits))
  }

  /** While one of these runs, nothing is staged. */
  private async alone<A>(run: () => Promise<A>): Promise<A> {
    this.busy = true
    try {
      return await run()
    } catch (cause) {
      if (cause instanceof RemoteUnreachable) this.littered = true
      throw cause
    } finally {
      this.busy = false
    }
  }

  private async resetNow(state: FileState): Promise<FileReport> {
    await this.sweep()
    for (const [kind, file] of this.files) {
      if (!this.known || await TrackedFile.isChanged(this.disk, file, null)) await this.reload(kind, file)
    }
    this.known = true
    this.unstage()
    const written = await this.write(() => filled(this.memory, this.limits, state))
    const foreign = this.memory.domains.foreign.concat(this.memory.wildcards.foreign)
    return { written, foreign: foreign.filter((line) => line.entry !== null).length }
  }

  private async applyNow(edits: ReadonlyArray<Edit>): Promise<void> {
    if (!this.known) {
      throw new StorageFailed({
        message: "The map files have not been read yet.",
        hint: "Repeat the call once the files can be read; haproxy_health names the file that cannot."
      })
    }
    if (!(await this.publish(edits))) await this.write(() => edited(this.memory, edits))
  }

  /** Puts in place what {@link stage} prepared; false where that is not what is wanted now. */
  private async publish(edits: ReadonlyArray<Edit>): Promise<boolean> {
    const { ahead } = this
    const fits = ahead !== null && ahead.base === this.memory && this.isCurrent()
      && ahead.edits.length === edits.length && ahead.edits.every((edit, index) => edit === edits[index])
    if (!fits) {
      this.unstage()
      return false
    }
    this.ahead = null
    const prepared = await ahead.prepared
    if (prepared === null) return false
    const answer = await FileSet.publishAll(this.disk, prepared)
    if (answer._tag === "Written") {
      this.memory = ahead.next
      return true
    }
    await this.reloadAll(answer.files)
    return false
  }

  private async reloadAll(changed: ReadonlyArray<TrackedFile.TrackedFile>): Promise<void> {
    for (const [kind, file] of this.files) if (changed.includes(file)) await this.reload(kind, file)
  }

  /** What differs between the disk and `next`. */
  private replacements(next: Memory): ReadonlyArray<FileSet.Replacement> {
    const replacements: Array<FileSet.Replacement> = []
    for (const [kind, file] of this.files) {
      if (file.holds === "same" && next[kind] === this.memory[kind]) continue
      const before = render(this.memory, kind)
      const parts = render(next, kind)
      const held = file.holds === "same" ? before : file.holds === "unknown" ? null : [file.holds]
      if (held === null || !TrackedFile.sameBytes(held, parts)) replacements.push({ file, parts, before })
    }
    return replacements
  }

  private async reload(kind: FileKind, file: TrackedFile.TrackedFile): Promise<void> {
    const bytes = await TrackedFile.reread(this.disk, file)
    // Where the file is gone, its foreign lines are kept from memory.
    if (bytes === null || kind === "pools") return
    this.memory = { ...this.memory, [kind]: MapText.withForeign(this.memory[kind], bytes) }
  }

  /** Writes what differs from the disk in `derive()`; answers the paths written. */
  private async write(derive: () => Memory): Promise<ReadonlyArray<string>> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const next = derive()
      const replacements = this.replacements(next)
      const answer = replacements.length === 0
        ? { _tag: "Written" } as const
        : await FileSet.write(this.disk, replacements)
      if (answer._tag === "Written") {
        for (const file of this.files.values()) file.holds = "same"
        this.memory = next
        return replacements.map(({ file }) => file.path)
      }
      await this.reloadAll(answer.files)
    }
    throw new StorageFailed({
      message: "Another program keeps changing the map files.",
      hint: "Stop it: it and haproxy-mcp cannot both write these files."
    })
  }
}
