/**
 * Can a file be replaced? Looked at without touching it: folder writable, file regular, and not a mount of its own
 * (a container that mounts one file): a rename over a mount fails with EBUSY.
 */
import { dirname } from "node:path"
import type { Disk } from "../../domain/Disk.ts"
import { RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"

/** What was found; `reason` is empty when all is well. */
export interface FileCheck {
  readonly path: string
  readonly ok: boolean
  readonly reason: string
}

/** Mount points as the process sees them that works with the files; none where the system does not tell (no /proc). */
const mountPoints = async (disk: Disk): Promise<ReadonlySet<string>> => {
  const text = (await disk.readFile("/proc/self/mountinfo").catch(() => null))?.toString("utf8") ?? ""
  // The fifth field; blanks and backslashes are octal (proc(5)).
  const decode = (field: string) =>
    field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
  return new Set(text.split("\n").map((line) => decode(line.split(" ")[4] ?? "")))
}

/** Looks at one file. */
export const checkFile = async (disk: Disk, path: string): Promise<FileCheck> => {
  const bad = (reason: string): FileCheck => ({ path, ok: false, reason })
  try {
    const real = await DurableFile.realTarget(disk, path)
    await DurableFile.identify(disk, real)
    const folder = dirname(real)
    try {
      await disk.checkWritable(folder)
    } catch (cause) {
      throw DurableFile.fileFailed("write in", folder, cause)
    }
    if ((await mountPoints(disk)).has(real)) {
      return bad(`${path} is a mount of its own and cannot be replaced. Mount its folder instead.`)
    }
    return { path, ok: true, reason: "" }
  } catch (cause) {
    if (cause instanceof StorageFailed || cause instanceof RemoteUnreachable) {
      return bad(`${cause.message} ${cause.hint}`)
    }
    throw cause
  }
}
