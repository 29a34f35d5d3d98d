/**
 * One certificate's file on its way in or out, with the way back. What was there before is kept under a second name
 * (a hard link, so that bringing it back needs no room on the disk) until nobody needs it any more.
 *
 * Guarantees: under the file's own name there is the old content or the new one, whole, at any moment; after a failed
 * step it is the old one. What somebody else wrote meanwhile is never overwritten. Where the host was lost in the middle
 * of a rename nobody knows which it is: what was kept stays, `restore` looks before it acts, and what nobody brings back
 * the sweep of the next start does.
 */
import { basename, dirname, join } from "node:path"
import { type Disk, DiskError, type FileStat } from "../../domain/Disk.ts"
import { RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"
import { fileFailed, forget, tempBeside } from "../DurableFile.ts"

const changed = (path: string): StorageFailed =>
  new StorageFailed({
    message: `${path} was changed by another program meanwhile; it stays as that program left it.`,
    hint: "Look at who writes in the folder of certificates, then repeat the call."
  })

const syncFolderOf = (disk: Disk, path: string): Promise<void> => DurableFile.syncFolder(disk, dirname(path))

/** A second name of a file; a copy of it where the file system has no links. */
const keep = async (disk: Disk, target: string, identity: FileStat): Promise<string> => {
  const kept = tempBeside(target)
  try {
    await disk.link(target, kept)
    return kept
  } catch (cause) {
    if (!(cause instanceof DiskError)) throw cause
    const content = await disk.readFile(target).catch((cause: unknown) => {
      throw fileFailed("read", target, cause)
    })
    if (content === null) throw changed(target)
    return (await DurableFile.stage(disk, target, [content], identity)).temp
  }
}

/** What was there when it was looked at. Over SFTP the bytes count too: other content may look alike there. */
interface Seen {
  readonly identity: FileStat | null
  readonly bytes: Buffer | null
}

/** Reads `target` as it is; a certificate is small. */
const see = async (disk: Disk, target: string): Promise<Seen> => {
  const identity = await DurableFile.identify(disk, target)
  return { identity, bytes: disk.isLocal || identity === null ? null : await disk.readFile(target) }
}

const sameSeen = (a: Seen, b: Seen): boolean =>
  DurableFile.sameIdentity(a.identity, b.identity) &&
  (a.bytes === null ? b.bytes === null : b.bytes?.equals(a.bytes) === true)

/** A file that waits for its place. All methods throw FileFailure, but for `discard`. */
export class Replacement {
  readonly target: string
  readonly #disk: Disk
  readonly #staged: DurableFile.StagedFile
  readonly #before: Seen
  #kept: string | null = null
  /** `perhaps`: the host was lost meanwhile. */
  #isPublished: "no" | "perhaps" | "yes" = "no"

  private constructor(disk: Disk, staged: DurableFile.StagedFile, before: Seen) {
    this.target = staged.target
    this.#disk = disk
    this.#staged = staged
    this.#before = before
  }

  /** Writes the content durably beside the file at a path; through a symbolic link, beside what that leads to. */
  static async stage(disk: Disk, path: string, content: Uint8Array, mode: number): Promise<Replacement> {
    const target = await DurableFile.realTarget(disk, path)
    const before = await see(disk, target)
    return new Replacement(disk, await DurableFile.stage(disk, target, [content], before.identity, { mode }), before)
  }

  async #check(): Promise<void> {
    if (!sameSeen(await see(this.#disk, this.target), this.#before)) throw changed(this.target)
  }

  async publish(): Promise<void> {
    try {
      await this.#check()
      if (this.#before.identity !== null) {
        this.#kept = await keep(this.#disk, this.target, this.#before.identity)
        // The copy may have taken a moment.
        await this.#check()
      }
      this.#isPublished = "perhaps"
      await Promise.all([
        DurableFile.publish(this.#disk, this.#staged).then(() => {
          this.#isPublished = "yes"
        }, (cause: unknown) => {
          if (!(cause instanceof RemoteUnreachable)) this.#isPublished = "no"
          throw cause
        }),
        // The rename was sent before: see Disk.
        syncFolderOf(this.#disk, this.target)
      ])
    } catch (cause) {
      await this.restore().catch(() => {})
      throw cause
    }
  }

  async restore(): Promise<void> {
    if (this.#isPublished === "no") return
    const disk = this.#disk
    const now = await DurableFile.identify(disk, this.target)
    if (!DurableFile.sameIdentity(now, this.#staged.identity)) {
      const isBefore = this.#isPublished === "perhaps" && DurableFile.sameIdentity(now, this.#before.identity)
      if (!isBefore) throw changed(this.target)
      // The rename did not happen.
      this.#isPublished = "no"
      return
    }
    try {
      if (this.#kept === null) await disk.unlink(this.target)
      else await disk.rename(this.#kept, this.target)
    } catch (cause) {
      throw fileFailed("bring back", this.target, cause)
    }
    this.#isPublished = "no"
    this.#kept = null
    await syncFolderOf(disk, this.target)
  }

  async discard(): Promise<void> {
    const kept = this.#kept
    const isGone = this.#isPublished === "yes"
    this.#kept = null
    // What was kept is gone: from here on there is no way back.
    this.#isPublished = "no"
    await Promise.all([
      ...isGone ? [] : [DurableFile.discard(this.#disk, this.#staged)],
      ...kept === null ? [] : [forget(this.#disk, kept)]
    ])
  }
}

const removedMark = ".removed"

/**
 * A file taken out of its folder's sight. A symbolic link is taken itself; what it leads to stays.
 * A process that dies before `discard` has it back at its next start ({@link sweepFolder}): nobody was told that it
 * is gone.
 */
export class Removal {
  readonly path: string
  readonly #disk: Disk
  #kept: string | null

  private constructor(disk: Disk, path: string, kept: string) {
    this.#disk = disk
    this.path = path
    this.#kept = kept
  }

  static async remove(disk: Disk, path: string): Promise<Removal> {
    const kept = tempBeside(`${path}${removedMark}`)
    const removal = new Removal(disk, path, kept)
    try {
      await Promise.all([
        disk.rename(path, kept).catch((cause: unknown) => {
          throw fileFailed("remove", path, cause)
        }),
        // The rename was sent before: see Disk.
        syncFolderOf(disk, path)
      ])
    } catch (cause) {
      await removal.restore().catch(() => {})
      throw cause
    }
    return removal
  }

  async restore(): Promise<void> {
    if (this.#kept === null) return
    const disk = this.#disk
    try {
      if (await disk.lstat(this.path) !== null) throw changed(this.path)
      await disk.rename(this.#kept, this.path)
    } catch (cause) {
      throw fileFailed("bring back", this.path, cause)
    }
    this.#kept = null
    await syncFolderOf(disk, this.path)
  }

  async discard(): Promise<void> {
    const kept = this.#kept
    this.#kept = null
    if (kept !== null) await forget(this.#disk, kept)
  }
}

/** Cleans up after a process that died: temp files go, removed files come back. Fails only where the host is lost. */
export const sweepFolder = async (disk: Disk, folder: string): Promise<void> => {
  const entries = await disk.list(folder).catch((cause: unknown) => {
    if (cause instanceof RemoteUnreachable) throw cause
    return []
  })
  const there = new Set(entries.map(({ name }) => name))
  const links = new Map<string, Set<string>>()
  for (const { name, stat } of entries) {
    const made = DurableFile.tempOf(name)
    if (made !== null) await sweepOne(disk, folder, name, made, there)
    else if (stat.kind === "link") {
      // One that leads nowhere has no target.
      const target = await DurableFile.realTarget(disk, join(folder, name)).catch(() => null)
      if (target === null) continue
      const targets = links.get(dirname(target)) ?? new Set()
      links.set(dirname(target), targets.add(basename(target)))
    }
  }
  for (const [other, targets] of links) await sweepTargets(disk, other, targets)
}

/** A temp file in the folder itself. */
const sweepOne = async (
  disk: Disk,
  folder: string,
  name: string,
  made: string,
  there: ReadonlySet<string>
): Promise<void> => {
  const removed = made.endsWith(removedMark) ? made.slice(0, -removedMark.length) : null
  if (removed === null || there.has(removed)) return forget(disk, join(folder, name))
  // A folder that cannot be written now: it is there for the start after this one.
  await disk.rename(join(folder, name), join(folder, removed)).catch(() => {})
}

/** Temp files beside what links lead to: only those of these files are ours. */
const sweepTargets = async (disk: Disk, folder: string, targets: ReadonlySet<string>): Promise<void> => {
  // A folder that cannot be read holds nothing that can be removed.
  for (const name of await disk.readdir(folder).catch(() => [])) {
    const made = DurableFile.tempOf(name)
    if (made !== null && targets.has(made)) await forget(disk, join(folder, name))
  }
}
