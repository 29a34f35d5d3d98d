/**
 * Reads the folder of certificates: which files HAProxy would load, and what one of them holds with its parts.
 *
 * A key may lie beside its certificate as `FILE.key`. Not read, though HAProxy can be told to: `NAME.key` beside
 * `NAME.crt` (`ssl-load-extra-del-ext`), passphrases (`ssl-passphrase-cmd`), crt-store sections.
 */
import * as Redacted from "effect/Redacted"
import { join } from "node:path"
import { type Disk, DiskError, type FileStat } from "../../domain/Disk.ts"
import { fileFailed, identify } from "../DurableFile.ts"
import { filesOf, isLoaded, isSafeName, keyFile, nameOf } from "./FileNames.ts"
import { largestPem, type PemInput } from "./Pem.ts"

/** As in CertificateFiles.ts. */
interface Listed {
  readonly name: string
  readonly file: string
  readonly modifiedAt: number
  readonly size: number
}

/** Milliseconds since 1970, with fractions. */
const timeOf = ({ mtimeNs }: FileStat): number => Number(mtimeNs) / 1e6

/** What a name is; null: HAProxy passes over it (a folder, a pipe), or it is gone. */
const look = async (disk: Disk, folder: string, file: string, own: FileStat | null): Promise<Listed | null> => {
  if (own === null) return null
  const listed = { name: nameOf(file), file }
  const found = own.kind === "link" ? await disk.stat(join(folder, file)) : own
  // A link that leads nowhere keeps HAProxy from starting: it is shown, and `read` says so.
  if (found === null) return { ...listed, modifiedAt: timeOf(own), size: 0 }
  return found.kind === "file" ? { ...listed, modifiedAt: timeOf(found), size: Number(found.size) } : null
}

/** Every file that HAProxy would load, by name. Throws FileFailure. */
export const list = async (disk: Disk, folder: string): Promise<ReadonlyArray<Listed>> => {
  try {
    const entries = await disk.list(folder)
    const found = new Map<string, Listed>()
    for (const { name: file, stat } of entries.filter(({ name }) => isLoaded(name)).sort(byName)) {
      const name = nameOf(file)
      // Two files of one name: `read` takes NAME.pem.
      if (found.has(name) && file === name) continue
      const one = stat.kind === "file"
        ? { name, file, modifiedAt: timeOf(stat), size: Number(stat.size) }
        : await look(disk, folder, file, stat)
      if (one !== null) found.set(name, one)
    }
    return [...found.values()].sort(byName)
  } catch (cause) {
    if (!(cause instanceof DiskError) || cause.code !== "ENOENT") throw fileFailed("list", folder, cause)
    // SFTP has one word for what is not there and what is no folder.
    const found = await identify(disk, folder)
    if (found === null) return []
    throw fileFailed(
      "list",
      folder,
      new DiskError({ code: "ENOTDIR", path: folder, message: `${folder} is no folder` })
    )
  }
}

const byName = (left: { readonly name: string }, right: { readonly name: string }): number =>
  left.name < right.name ? -1 : 1

/** The file of a name that is there; null when none is. */
export const fileOf = async (disk: Disk, folder: string, name: string): Promise<string | null> => {
  try {
    for (const file of filesOf(name)) {
      if (isLoaded(file) && await look(disk, folder, file, await disk.lstat(join(folder, file))) !== null) return file
    }
    return null
  } catch (cause) {
    throw fileFailed("look at", join(folder, name), cause)
  }
}

/** What the file of a certificate holds. */
export type Content =
  | { readonly _tag: "Pem"; readonly file: string; readonly pem: PemInput }
  /** Why it cannot be read as a certificate. */
  | { readonly _tag: "Broken"; readonly file: string; readonly problem: string; readonly hint: string }

const hasKey = (text: string): boolean => /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)

/** A file's text; null when there is none that HAProxy would load. */
const readText = async (disk: Disk, path: string): Promise<string | null> => {
  try {
    return (await disk.readFile(path, largestPem))?.toString("latin1") ?? null
  } catch (cause) {
    if (cause instanceof DiskError) {
      // Refused anyway: nobody reads a disk image into memory.
      if (cause.code === "EFBIG") return " ".repeat(largestPem + 1)
      if (cause.code === "EISDIR" || cause.code === "EINVAL") return null
    }
    throw fileFailed("read", path, cause)
  }
}

/** The text of one file; null when it is gone, or larger than any certificate. Some hundredths of a millisecond here. */
export const textOf = async (disk: Disk, folder: string, file: string): Promise<Redacted.Redacted<string> | null> => {
  if (!isLoaded(file)) return null
  const text = await readText(disk, join(folder, file))
  return text === null || text.length > largestPem ? null : Redacted.make(text)
}

/** Reads the file of a certificate with its key; null when there is none. Throws FileFailure. */
export const readName = async (disk: Disk, folder: string, name: string): Promise<Content | null> => {
  const file = isSafeName(name) ? await fileOf(disk, folder, name) : null
  if (file === null) return null
  const path = join(folder, file)
  const chain = await readText(disk, path)
  if (chain === null) {
    const own = await disk.lstat(path).catch(() => null)
    return own?.kind !== "link" ? null : {
      _tag: "Broken",
      file,
      problem: "is a link that leads nowhere: HAProxy does not start with it",
      hint: "Bring back what it leads to, or remove the link."
    }
  }
  const key = hasKey(chain) ? null : await readText(disk, join(folder, keyFile(file)))
  return { _tag: "Pem", file, pem: key === null ? chain : { chain, key: Redacted.make(key) } }
}
