/**
 * Several files that change together: all, or none as far as a file system lets us.
 *
 * Every file is first staged (complete and durable under a temp name); only when all are, they are renamed and
 * their folders fsynced. A failure before the renames leaves the disk as it was; one after them brings the former
 * content back, and where even that fails the books say "unknown", so that the next write writes the file again.
 * A crash between two renames leaves one new and one old file: each is whole, and `reset` repairs at start.
 */
import { unlink } from "node:fs/promises"
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

/** All promises settled; throws the first failure. */
const all = async <A>(promises: ReadonlyArray<Promise<A>>): Promise<Array<A>> => {
  const settled = await Promise.allSettled(promises)
  const failed = settled.find((one) => one.status === "rejected")
  if (failed !== undefined) throw failed.reason
  return settled.map((one) => (one as PromiseFulfilledResult<A>).value)
}

interface Prepared extends Replacement {
  readonly staged: DurableFile.StagedFile
  readonly former: Former
}

const formerOf = ({ before, file: { disk, identity } }: Replacement): Former => ({
  disk: disk === "unknown" && identity !== null ? "same" : disk,
  parts: identity === null ? null : Buffer.isBuffer(disk) ? [disk] : before
})

const stageAll = async (replacements: ReadonlyArray<Replacement>): Promise<ReadonlyArray<Prepared>> => {
  const settled = await Promise.allSettled(
    replacements.map(async (replacement): Promise<Prepared> => ({
      ...replacement,
      former: formerOf(replacement),
      staged: await DurableFile.stage(replacement.file.real, replacement.parts, replacement.file.identity)
    }))
  )
  const failed = settled.find((one) => one.status === "rejected")
  const prepared = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : [])
  if (failed === undefined) return prepared
  await discardAll(prepared)
  throw failed.reason
}

const discardAll = (prepared: ReadonlyArray<Prepared>) =>
  Promise.all(prepared.map(({ staged }) => DurableFile.discard(staged)))

const rename = async ({ file, staged }: Prepared): Promise<void> => {
  await DurableFile.publish(staged)
  file.identity = staged.identity
  file.disk = "unknown"
}

const openFolders = async (replacements: ReadonlyArray<Replacement>) => {
  const opened: Array<DurableFile.OpenFolder> = []
  try {
    await all(
      [...new Set(replacements.map(({ file }) => dirname(file.real)))]
        .map(async (path) => opened.push(await DurableFile.openFolder(path)))
    )
    return opened
  } catch (cause) {
    for (const folder of opened) folder.close()
    throw cause
  }
}

/** Brings former contents back after a failure half-way. What it cannot bring back stays "unknown". */
const restore = async (prepared: ReadonlyArray<Prepared>): Promise<void> => {
  await Promise.allSettled(prepared.map(async ({ file, former }) => {
    let identity: DurableFile.FileIdentity | null = null
    if (former.parts === null) await unlink(file.real)
    else {
      const staged = await DurableFile.stage(file.real, former.parts, file.identity)
      await DurableFile.publish(staged)
      identity = staged.identity
    }
    file.identity = identity
    await DurableFile.syncFolder(dirname(file.real))
    file.disk = former.disk
  }))
}

/** Writes all of them; see above. Throws StorageFailed. */
export const write = async (replacements: ReadonlyArray<Replacement>): Promise<WriteAnswer> => {
  // Others' changes are looked for while the temp files are written: as late as costs nothing.
  const [staged, looked, opened] = await Promise.allSettled([
    stageAll(replacements),
    all(replacements.map(({ file }) => TrackedFile.isChanged(file))),
    openFolders(replacements)
  ])
  const folders = opened.status === "fulfilled" ? opened.value : []
  try {
    if (staged.status === "rejected") throw staged.reason
    const failed = [looked, opened].find((one) => one.status === "rejected")
    const changed = replacements.filter((_, index) => looked.status === "fulfilled" && looked.value[index])
    if (failed !== undefined || changed.length > 0) await discardAll(staged.value)
    if (failed !== undefined) throw failed.reason
    if (changed.length > 0) return { _tag: "Changed", files: changed.map(({ file }) => file) }
    await publishAll(staged.value, folders)
    return { _tag: "Written" }
  } finally {
    for (const folder of folders) folder.close()
  }
}

const publishAll = async (
  prepared: ReadonlyArray<Prepared>,
  folders: ReadonlyArray<DurableFile.OpenFolder>
): Promise<void> => {
  const renamed = await Promise.allSettled(prepared.map(rename))
  const failed = renamed.find((one) => one.status === "rejected")
  try {
    if (failed !== undefined) throw failed.reason
    await all(folders.map((folder) => folder.sync()))
  } catch (cause) {
    await restore(prepared.filter((_, index) => renamed[index]?.status === "fulfilled"))
    throw cause
  }
  for (const { file } of prepared) file.disk = "same"
}
