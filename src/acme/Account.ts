/**
 * The account at the CA, as acme.sh keeps it below ACME_HOME/ca: account.key, account.json and ca.conf.
 *
 * acme.sh registers it during the first issue; two first issues at once would each make a key, and one would be lost
 * together with its account. {@link isRegistered} tells whether that has happened, so that the first one goes alone.
 * An external account binding is put where acme.sh reads it (`_regAccount`: CA_EAB_KEY_ID and CA_EAB_HMAC_KEY in
 * ca.conf, 3.0.6 to 3.1.5), mode 0600, and never into an argument.
 */
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { accountPath } from "./Servers.ts"

/** The external account binding that a CA gave. */
export interface Binding {
  readonly kid: string
  readonly hmacKey: Redacted.Redacted<string>
}

/** Where all accounts are (acme.sh's CA_HOME). */
export const caHome = (home: string): string => join(home, "ca")

/** Where the account of a CA is. */
export const folderOf = (home: string, directory: string): string => join(caHome(home), accountPath(directory))

/** The files of an account; null where there is none. */
export interface AccountFiles {
  readonly conf: string | null
  readonly key: string | null
}

const read = (path: string): string | null => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null
  }
}

/** The files on this machine. */
export const readAccount = (home: string, directory: string): AccountFiles => {
  const folder = folderOf(home, directory)
  return { conf: read(join(folder, "ca.conf")), key: read(join(folder, "account.key")) }
}

/** acme.sh's test whether it must register (`issue`): an account URL, and a key that is still the same. */
export const isRegistered = ({ conf, key }: AccountFiles): boolean => {
  if (conf === null || key === null || !/^ACCOUNT_URL='[^']+'$/m.test(conf)) return false
  const hash = [...conf.matchAll(/^CA_KEY_HASH='([^']*)'$/gm)].at(-1)?.[1]
  return hash === createHash("sha256").update(key).digest("base64")
}

/** Does the account's file already name a binding? Then an older run of acme.sh has put it there. */
export const hasBinding = ({ conf }: AccountFiles): boolean => /^CA_EAB_HMAC_KEY='[^']+'$/m.test(conf ?? "")

/** What an HMAC key or a key id may be made of, so that a shell reads it as it is. */
const plain = /^[\w.:/+=-]{1,512}$/

/** Is it one that {@link withBinding} can write? */
export const isPlain = (binding: Binding): boolean =>
  plain.test(binding.kid) && plain.test(Redacted.value(binding.hmacKey))

/** The text of ca.conf with a binding for the registration to come. */
export const withBinding = ({ conf }: AccountFiles, binding: Binding): string => {
  const others = (conf ?? "").split("\n").filter((line) => line !== "" && !/^CA_EAB_(?:KEY_ID|HMAC_KEY)=/.test(line))
  const lines = [
    ...others,
    `CA_EAB_KEY_ID='${binding.kid}'`,
    `CA_EAB_HMAC_KEY='${Redacted.value(binding.hmacKey)}'`
  ]
  return `${lines.join("\n")}\n`
}

/** Replaces ca.conf on this machine. Throws what the file system says. */
export const writeConf = (home: string, directory: string, conf: string): void => {
  const folder = folderOf(home, directory)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, "ca.conf")
  const temp = `${file}.haproxy-mcp`
  writeFileSync(temp, conf, { mode: 0o600 })
  chmodSync(temp, 0o600)
  renameSync(temp, file)
}
