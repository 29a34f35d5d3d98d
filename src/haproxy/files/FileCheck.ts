/**
 * Can a file be replaced? Looked at without writing: folder writable, file regular, and not a mount of its own
 * (a container that mounts one file): a rename over a mount fails with EBUSY.
 */
import { access, constants, readFile } from "node:fs/promises"
import { dirname } from "node:path"
import { StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"

/** What was found; `reason` is empty when all is well. */
export interface FileCheck {
  readonly path: string
  readonly ok: boolean
  readonly reason: string
}

/** Mount points of this process; none where the system does not tell (no /proc). */
const mountPoints = async (): Promise<ReadonlySet<string>> => {
  const text = await readFile("/proc/self/mountinfo", "utf8").catch(() => "")
  // The fifth field; blanks and backslashes are octal (proc(5)).
  const decode = (field: string) =>
    field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
  return new Set(text.split("\n").map((line) => decode(line.split(" ")[4] ?? "")))
}

/** Looks at one file. */
export const checkFile = async (path: string): Promise<FileCheck> => {
  const bad = (reason: string): FileCheck => ({ path, ok: false, reason })
  try {
    const real = DurableFile.realTarget(path)
    DurableFile.identify(real)
    const folder = dirname(real)
    try {
      await access(folder, constants.W_OK | constants.X_OK)
    } catch (cause) {
      throw DurableFile.storageFailed("write in", folder, cause)
    }
    if ((await mountPoints()).has(real)) {
      return bad(`${path} is a mount of its own and cannot be replaced. Mount its folder instead.`)
    }
    return { path, ok: true, reason: "" }
  } catch (cause) {
    if (cause instanceof StorageFailed) return bad(`${cause.message} ${cause.hint}`)
    throw cause
  }
}
