/**
 * Several files that change together: all, or none as far as a file system lets us.
 *
 * Every file is first staged (complete and durable under a temp name); only when all are, they are renamed and
 * their folders fsynced. A failure before the renames leaves the disk as it was; one after them brings the former
 * content back, and where even that fails the books say "unknown", so that the next write writes the file again.
 * A crash between two renames leaves one new and one old file: each is whole, and `reset` repairs at start.
 */
import { unlinkSync } from "node:fs"
import { dirname } from "node:path"
import * as DurableFile from "../DurableFile.ts"
import * as TrackedFile from "./TrackedFile.ts"

/** A file, what it shall hold, and what it should have held until now. */
export interface Replacement {
  readonly file: TrackedFile.TrackedFile
  readonly parts: ReadonlyArray<Buffer>
  readonly before: ReadonlyArray<Buffer>
}

/** What to bring back: the file as it was, or (null) no file. */
interface Former {
  readonly disk: TrackedFile.OnDisk
  readonly parts: ReadonlyArray<Buffer> | null
}

/** Done, or files that someone else changed meanwhile: nothing was written, read them again first. */
export type WriteAnswer = { readonly _tag: "Written" } | {
  readonly _tag: "Changed"
  readonly files: ReadonlyArray<TrackedFile.TrackedFile>
}

/** A replacement whose bytes are durable under a temp name. */
export interface Prepared extends Replacement {
  readonly staged: DurableFile.StagedFile
  readonly former: Former
}

const formerOf = ({ before, file: { disk, identity } }: Replacement): Former => ({
  disk: disk === "unknown" && identity !== null ? "same" : disk,
  parts: identity === null ? null : Buffer.isBuffer(disk) ? [disk] : before
})

/** Stages all of them side by side, or none: no temp file is left when one fails. Throws StorageFailed. */
export const stageAll = async (replacements: ReadonlyArray<Replacement>): Promise<ReadonlyArray<Prepared>> => {
  const settled = await Promise.allSettled(
    replacements.map(async (replacement): Promise<Prepared> => ({
      ...replacement,
      former: formerOf(replacement),
      staged: await DurableFile.stage(replacement.file.real, replacement.parts, replacement.file.identity)
    }))
  )
  const prepared = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : [])
  for (const one of settled) {
    if (one.status === "fulfilled") continue
    discardAll(prepared)
    throw one.reason
  }
  return prepared
}

/** Removes what was staged and is not wanted. */
export const discardAll = (prepared: ReadonlyArray<Prepared>): void => {
  for (const { staged } of prepared) DurableFile.discard(staged)
}

const publish = (file: TrackedFile.TrackedFile, staged: DurableFile.StagedFile): void => {
  DurableFile.publish(staged)
  file.identity = staged.identity
  file.disk = "unknown"
}

/** Makes the names in a folder durable. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = DurableFile.openFolder(path)
  await folder.sync().finally(folder.close)
}

/** Brings a former content back after a failure half-way. */
const restore = async ({ file, former }: Prepared): Promise<void> => {
  if (former.parts === null) {
    unlinkSync(file.real)
    file.identity = null
  } else {
    const staged = await DurableFile.stage(file.real, former.parts, file.identity)
    try {
      publish(file, staged)
    } finally {
      DurableFile.discard(staged)
    }
  }
  await syncFolder(dirname(file.real))
  file.disk = former.disk
}

/** Writes all of them; see above. Throws StorageFailed. */
export const write = async (replacements: ReadonlyArray<Replacement>): Promise<WriteAnswer> =>
  publishAll(await stageAll(replacements))

/** The second half of {@link write}: puts what is staged in place. */
export const publishAll = async (prepared: ReadonlyArray<Prepared>): Promise<WriteAnswer> => {
  const held: Array<DurableFile.Held> = []
  const renamed: Array<Prepared> = []
  try {
    const folders = [...new Set(prepared.map(({ file }) => dirname(file.real)))].map((path) => {
      const folder = DurableFile.openFolder(path)
      held.push(folder)
      return folder
    })
    // Others' changes are looked for as late as can be: nothing waits between here and the last rename.
    const changed = prepared.map(({ file }) => file).filter(TrackedFile.isChanged)
    if (changed.length > 0) {
      discardAll(prepared)
      return { _tag: "Changed", files: changed }
    }
    for (const one of prepared) {
      if (one.file.identity !== null) held.push(DurableFile.holdOld(one.file.real))
      publish(one.file, one.staged)
      renamed.push(one)
    }
    await allSynced(folders)
  } catch (cause) {
    discardAll(prepared)
    // What cannot be brought back stays "unknown".
    await Promise.allSettled(renamed.map(restore))
    throw cause
  } finally {
    for (const one of held) one.close()
  }
  for (const { file } of prepared) file.disk = "same"
  return { _tag: "Written" }
}

const allSynced = async (folders: ReadonlyArray<DurableFile.OpenFolder>): Promise<void> => {
  // All are waited for, also when one fails: a folder must not be closed under a running call.
  for (const one of await Promise.allSettled(folders.map((folder) => folder.sync()))) {
    if (one.status === "rejected") throw one.reason
  }
}
