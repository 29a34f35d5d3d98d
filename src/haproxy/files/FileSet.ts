/**
 * Several files that change together: all, or none as far as a file system lets us.
 *
 * Every file is first staged (complete and durable under a temp name); only when all are, they are renamed and
 * their folders fsynced. A failure before the renames leaves the disk as it was; one after them brings the former
 * content back, and where even that fails the books say "unknown", so that the next write writes the file again.
 * A crash between two renames leaves one new and one old file: each is whole, and `reset` repairs at start.
 * Where the host is lost while names change, nobody knows which have: the books say "unknown", nothing is tried again,
 * and the next write looks first.
 *
 * A set takes the time of one look, of the renames, and of one flush, however many files there are: each step is sent
 * for all of them at once.
 */
import { dirname } from "node:path"
import type { Disk } from "../../domain/Disk.ts"
import { RemoteUnreachable } from "../../domain/Errors.ts"
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
  readonly holds: TrackedFile.Held
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

const formerOf = ({ before, file: { holds, identity } }: Replacement): Former => ({
  holds: holds === "unknown" && identity !== null ? "same" : holds,
  parts: identity === null ? null : Buffer.isBuffer(holds) ? [holds] : before
})

/** Waits for all, and throws what the first of them threw: nothing goes on behind a failure's back. */
const all = async <A>(steps: ReadonlyArray<Promise<A>>): Promise<ReadonlyArray<A>> => {
  const done: Array<A> = []
  for (const one of await Promise.allSettled(steps)) {
    if (one.status === "rejected") throw one.reason
    done.push(one.value)
  }
  return done
}

/** Stages all of them side by side, or none: no temp file is left when one fails. Throws FileFailure. */
export const stageAll = async (
  disk: Disk,
  replacements: ReadonlyArray<Replacement>
): Promise<ReadonlyArray<Prepared>> => {
  const prepared: Array<Prepared> = []
  try {
    return await all(replacements.map(async (replacement): Promise<Prepared> => {
      const { file, parts } = replacement
      const one = {
        ...replacement,
        former: formerOf(replacement),
        staged: await DurableFile.stage(disk, file.real, parts, file.identity)
      }
      prepared.push(one)
      return one
    }))
  } catch (cause) {
    await discardAll(disk, prepared)
    throw cause
  }
}

/** Removes what was staged and is not wanted; never fails. */
export const discardAll = async (disk: Disk, prepared: ReadonlyArray<Prepared>): Promise<void> => {
  await Promise.all(prepared.map(({ staged }) => DurableFile.discard(disk, staged)))
}

/** Puts one in place; `renamed` hears of it. */
const publish = async (
  disk: Disk,
  file: TrackedFile.TrackedFile,
  staged: DurableFile.StagedFile,
  renamed: () => void
): Promise<void> => {
  const { holds } = file
  file.holds = "unknown"
  try {
    await DurableFile.publish(disk, staged)
  } catch (cause) {
    // A refusal is an answer: the old file stands.
    if (!(cause instanceof RemoteUnreachable)) file.holds = holds
    throw cause
  }
  file.identity = staged.identity
  file.doubtful = null
  renamed()
}

/** Brings a former content back after a failure half-way. */
const restore = async (disk: Disk, { file, former }: Prepared): Promise<void> => {
  if (former.parts === null) {
    await disk.unlink(file.real)
    file.identity = null
  } else {
    const staged = await DurableFile.stage(disk, file.real, former.parts, file.identity)
    try {
      await publish(disk, file, staged, () => {})
    } catch (cause) {
      await DurableFile.discard(disk, staged)
      throw cause
    }
  }
  await DurableFile.syncFolder(disk, dirname(file.real))
  file.holds = former.holds
}

/** Writes all of them; see above. Throws FileFailure. */
export const write = async (disk: Disk, replacements: ReadonlyArray<Replacement>): Promise<WriteAnswer> =>
  publishAll(disk, await stageAll(disk, replacements))

/** The second half of {@link write}: puts what is staged in place. */
export const publishAll = async (disk: Disk, prepared: ReadonlyArray<Prepared>): Promise<WriteAnswer> => {
  const renamed: Array<Prepared> = []
  try {
    // Others' changes are looked for as late as can be: nothing waits between here and the last rename.
    const looks = await all(prepared.map(({ file, former }) => TrackedFile.isChanged(disk, file, former.parts)))
    const changed = prepared.map(({ file }) => file).filter((_, index) => looks[index])
    if (changed.length > 0) {
      await discardAll(disk, prepared)
      return { _tag: "Changed", files: changed }
    }
    const folders = new Set(prepared.map(({ file }) => dirname(file.real)))
    await all([
      ...prepared.map((one) => publish(disk, one.file, one.staged, () => renamed.push(one))),
      // The renames were sent before: see Disk.
      ...[...folders].map((folder) => DurableFile.syncFolder(disk, folder))
    ])
  } catch (cause) {
    if (cause instanceof RemoteUnreachable) throw cause
    await discardAll(disk, prepared.filter((one) => !renamed.includes(one)))
    // What cannot be brought back stays "unknown".
    await Promise.allSettled(renamed.map((one) => restore(disk, one)))
    throw cause
  }
  for (const { file } of prepared) file.holds = "same"
  return { _tag: "Written" }
}
