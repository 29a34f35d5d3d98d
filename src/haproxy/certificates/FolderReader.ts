/**
 * Reads the folder of certificates: which files HAProxy would load, and what one of them holds with its parts.
 *
 * A key may lie beside its certificate as `FILE.key`. Not read, though HAProxy can be told to: `NAME.key` beside
 * `NAME.crt` (`ssl-load-extra-del-ext`), passphrases (`ssl-passphrase-cmd`), crt-store sections.
 */
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { codeOf, storageFailed } from "../DurableFile.ts"
import { filesOf, isLoaded, isSafeName, keyFile, nameOf } from "./FileNames.ts"
import { largestPem, type PemInput } from "./Pem.ts"

/** As in CertificateFiles.ts. */
interface Listed {
  readonly name: string
  readonly file: string
  readonly modifiedAt: number
  readonly size: number
}

/** Files that are looked at before others get their turn: a millisecond of work. */
const atOnce = 500

/** Null: HAProxy passes over it (a folder, a pipe), or it is gone. */
const look = (folder: string, file: string): Listed | null => {
  const path = join(folder, file)
  const listed = { name: nameOf(file), file }
  try {
    const found = fs.statSync(path)
    return found.isFile() ? { ...listed, modifiedAt: found.mtimeMs, size: found.size } : null
  } catch (cause) {
    // A link that leads nowhere keeps HAProxy from starting: it is shown, and `read` says so.
    const link = codeOf(cause) === "ENOENT" ? fs.lstatSync(path, { throwIfNoEntry: false }) : undefined
    if (link !== undefined) return { ...listed, modifiedAt: link.mtimeMs, size: 0 }
    if (codeOf(cause) === "ENOENT") return null
    throw storageFailed("look at", path, cause)
  }
}

/** Every file that HAProxy would load, by name. Throws StorageFailed. */
export const list = async (folder: string): Promise<ReadonlyArray<Listed>> => {
  const files = await readdir(folder).catch((cause) => {
    if (codeOf(cause) === "ENOENT") return []
    throw storageFailed("list", folder, cause)
  })
  const found = new Map<string, Listed>()
  let looked = 0
  for (const file of files.filter(isLoaded).sort()) {
    if (++looked % atOnce === 0) await new Promise(setImmediate)
    const name = nameOf(file)
    // Two files of one name: `read` takes NAME.pem.
    if (found.has(name) && file === name) continue
    const one = look(folder, file)
    if (one !== null) found.set(name, one)
  }
  return [...found.values()].sort((left, right) => left.name < right.name ? -1 : 1)
}

/** The file of a name that is there; null when none is. */
export const fileOf = (folder: string, name: string): string | null =>
  filesOf(name).find((file) => isLoaded(file) && look(folder, file) !== null) ?? null

/** What the file of a certificate holds. */
export type Content =
  | { readonly _tag: "Pem"; readonly file: string; readonly pem: PemInput }
  /** Why it cannot be read as a certificate. */
  | { readonly _tag: "Broken"; readonly file: string; readonly problem: string; readonly hint: string }

const hasKey = (text: string): boolean => /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)

const readText = async (path: string): Promise<string | null> => {
  try {
    const found = await stat(path)
    if (!found.isFile()) return null
    // Refused anyway: nobody reads a disk image into memory.
    return found.size > largestPem ? " ".repeat(largestPem + 1) : await readFile(path, "latin1")
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null
    throw storageFailed("read", path, cause)
  }
}

/** The text of one file; null when it is gone, or larger than any certificate. Some hundredths of a millisecond. */
export const textOf = (folder: string, file: string): Redacted.Redacted<string> | null => {
  if (!isLoaded(file)) return null
  const path = join(folder, file)
  try {
    const text = fs.readFileSync(path, "latin1")
    return text.length > largestPem ? null : Redacted.make(text)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "EISDIR") return null
    throw storageFailed("read", path, cause)
  }
}

/** Reads the file of a certificate with its key; null when there is none. Throws StorageFailed. */
export const readName = async (folder: string, name: string): Promise<Content | null> => {
  const file = isSafeName(name) ? fileOf(folder, name) : null
  if (file === null) return null
  const path = join(folder, file)
  const chain = await readText(path)
  if (chain === null) {
    return fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true ? null : {
      _tag: "Broken",
      file,
      problem: "is a link that leads nowhere: HAProxy does not start with it",
      hint: "Bring back what it leads to, or remove the link."
    }
  }
  const key = hasKey(chain) ? null : await readText(join(folder, keyFile(file)))
  return { _tag: "Pem", file, pem: key === null ? chain : { chain, key: Redacted.make(key) } }
}
