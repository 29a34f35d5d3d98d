/**
 * One certificate's file on its way in or out, with the way back. What was there before is kept under a second name
 * (a hard link, so that bringing it back needs no room on the disk) until nobody needs it any more.
 *
 * Guarantees: under the file's own name there is the old content or the new one, whole, at any moment; after a failed
 * step it is the old one. What somebody else wrote meanwhile is never overwritten.
 */
import * as fs from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"
import { type FileIdentity, tempBeside } from "../DurableFile.ts"

const changed = (path: string): StorageFailed =>
  new StorageFailed({
    message: `${path} was changed by another program meanwhile; it stays as that program left it.`,
    hint: "Look at who writes in the folder of certificates, then repeat the call."
  })

const syncFolderOf = async (path: string): Promise<void> => {
  const folder = DurableFile.openFolder(dirname(path))
  await folder.sync().finally(folder.close)
}

const forget = (path: string): void => {
  try {
    fs.unlinkSync(path)
  } catch {
    // It is gone already, or the next start removes it.
  }
}

/** A second name of a file; a copy of it where the file system has no links. */
const keep = async (target: string, identity: FileIdentity): Promise<string> => {
  const kept = tempBeside(target)
  try {
    fs.linkSync(target, kept)
    return kept
  } catch {
    const content = await readFile(target).catch((cause) => {
      throw DurableFile.storageFailed("read", target, cause)
    })
    return (await DurableFile.stage(target, [content], identity)).temp
  }
}

/** A file that waits for its place. All methods throw {@link StorageFailed}, but for `discard`. */
export class Replacement {
  readonly target: string
  readonly #staged: DurableFile.StagedFile
  readonly #before: FileIdentity | null
  #kept: string | null = null
  #isPublished = false

  private constructor(staged: DurableFile.StagedFile, before: FileIdentity | null) {
    this.target = staged.target
    this.#staged = staged
    this.#before = before
  }

  /** Writes the content durably beside the file at a path; through a symbolic link, beside what that leads to. */
  static async stage(path: string, content: Uint8Array, newMode: number): Promise<Replacement> {
    const target = DurableFile.realTarget(path)
    const before = DurableFile.identify(target)
    return new Replacement(await DurableFile.stage(target, [content], before, newMode), before)
  }

  #check(expected: FileIdentity | null): void {
    if (!DurableFile.sameIdentity(DurableFile.identify(this.target), expected)) throw changed(this.target)
  }

  async publish(): Promise<void> {
    const folder = DurableFile.openFolder(dirname(this.target))
    try {
      this.#check(this.#before)
      if (this.#before !== null) {
        this.#kept = await keep(this.target, this.#before)
        // The copy may have taken a moment.
        this.#check(this.#before)
      }
      DurableFile.publish(this.#staged)
      this.#isPublished = true
      await folder.sync()
    } catch (cause) {
      await this.restore().catch(() => {})
      throw cause
    } finally {
      folder.close()
    }
  }

  async restore(): Promise<void> {
    if (!this.#isPublished) return
    this.#check(this.#staged.identity)
    try {
      if (this.#kept === null) fs.unlinkSync(this.target)
      else fs.renameSync(this.#kept, this.target)
    } catch (cause) {
      throw DurableFile.storageFailed("bring back", this.target, cause)
    }
    this.#isPublished = false
    this.#kept = null
    await syncFolderOf(this.target)
  }

  discard(): void {
    DurableFile.discard(this.#staged)
    if (this.#kept !== null) forget(this.#kept)
    this.#kept = null
    // What was kept is gone: from here on there is no way back.
    this.#isPublished = false
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
  #kept: string | null

  private constructor(path: string, kept: string) {
    this.path = path
    this.#kept = kept
  }

  static async remove(path: string): Promise<Removal> {
    const kept = tempBeside(`${path}${removedMark}`)
    try {
      fs.renameSync(path, kept)
    } catch (cause) {
      throw DurableFile.storageFailed("remove", path, cause)
    }
    const removal = new Removal(path, kept)
    try {
      await syncFolderOf(path)
    } catch (cause) {
      await removal.restore().catch(() => {})
      throw cause
    }
    return removal
  }

  async restore(): Promise<void> {
    if (this.#kept === null) return
    if (fs.lstatSync(this.path, { throwIfNoEntry: false }) !== undefined) throw changed(this.path)
    try {
      fs.renameSync(this.#kept, this.path)
    } catch (cause) {
      throw DurableFile.storageFailed("bring back", this.path, cause)
    }
    this.#kept = null
    await syncFolderOf(this.path)
  }

  discard(): void {
    if (this.#kept !== null) forget(this.#kept)
    this.#kept = null
  }
}

/** Cleans up after a process that died: temp files go, removed files come back. Never fails. */
export const sweepFolder = (folder: string): void => {
  let entries: ReadonlyArray<fs.Dirent>
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true })
  } catch {
    return
  }
  const links = new Map<string, Set<string>>()
  for (const entry of entries) {
    const made = DurableFile.tempOf(entry.name)
    const path = join(folder, entry.name)
    if (made !== null) sweepOne(path, made)
    else if (entry.isSymbolicLink()) {
      try {
        const target = DurableFile.realTarget(path)
        const there = links.get(dirname(target)) ?? new Set()
        links.set(dirname(target), there.add(basename(target)))
      } catch {
        // It leads nowhere.
      }
    }
  }
  for (const [other, targets] of links) sweepTargets(other, targets)
}

/** A temp file in the folder itself. */
const sweepOne = (path: string, made: string): void => {
  const removed = made.endsWith(removedMark) ? join(dirname(path), made.slice(0, -removedMark.length)) : null
  if (removed === null || fs.lstatSync(removed, { throwIfNoEntry: false }) !== undefined) return forget(path)
  try {
    fs.renameSync(path, removed)
  } catch {
    // A folder that cannot be written now: it is there for the start after this one.
  }
}

/** Temp files beside what links lead to: only those of these files are ours. */
const sweepTargets = (folder: string, targets: ReadonlySet<string>): void => {
  try {
    for (const name of fs.readdirSync(folder)) {
      const made = DurableFile.tempOf(name)
      if (made !== null && targets.has(made)) forget(join(folder, name))
    }
  } catch {
    // A folder that cannot be read holds nothing that can be removed.
  }
}
