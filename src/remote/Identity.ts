/**
 * With which key we log in: that of a file, or those of the agent. The file is read anew for every connection, so that a
 * key may be replaced while we run. Key and passphrase go from the file to ssh2 and nowhere else: no message repeats
 * any of their text.
 */
import * as Redacted from "effect/Redacted"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"
import { SshFailure } from "./Failure.ts"

export interface IdentityOptions {
  readonly keyFile: string | null
  readonly keyPassphraseFile: string | null
  readonly agentSocket: string | null
}

export type Identity =
  | { readonly key: Redacted.Redacted<Buffer>; readonly passphrase: Redacted.Redacted<string> | null }
  | { readonly agent: string }

/**
 * A secret file's content. What everybody may read is no secret any more. What the group may read is refused when the
 * file is this user's own, who can change that; a file of root that is given to our group is how Kubernetes mounts a
 * Secret for a user that is not root.
 */
const readSecret = (what: string, file: string): Buffer => {
  const fail = (reason: string) => new SshFailure("user-key", `${what} ${file} ${reason}`)
  let fd: number
  try {
    fd = openSync(file, "r")
  } catch (error) {
    throw fail(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  try {
    const { mode, uid } = fstatSync(fd)
    const tooOpen = (mode & 0o007) !== 0 ||
      ((mode & 0o070) !== 0 && (uid === process.getuid?.() || (mode & 0o020) !== 0))
    if (tooOpen) {
      throw fail(`has mode ${(mode & 0o7777).toString(8).padStart(4, "0")}, so others can read it: chmod 600`)
    }
    return readFileSync(fd)
  } catch (error) {
    throw error instanceof SshFailure ? error : fail(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  } finally {
    closeSync(fd)
  }
}

/** Reads what we log in with; throws {@link SshFailure} of kind `user-key`. */
export const readIdentity = ({ agentSocket, keyFile, keyPassphraseFile }: IdentityOptions): Identity => {
  if (keyFile !== null) {
    const key = readSecret("the key", keyFile)
    const passphrase = keyPassphraseFile === null
      ? null
      : readSecret("the passphrase", keyPassphraseFile).toString("utf8").split(/\r?\n/, 1)[0]!
    return { key: Redacted.make(key), passphrase: passphrase === null ? null : Redacted.make(passphrase) }
  }
  if (agentSocket === null) {
    throw new SshFailure("user-key", "there is no key to log in with: set HAPROXY_SSH_KEY_FILE, or start an agent")
  }
  return { agent: agentSocket }
}

/** Why ssh2 cannot use a key file, without a word of it. */
export const unusable = (file: string, problem: Error, hasPassphrase: boolean): SshFailure =>
  new SshFailure(
    "user-key",
    /no passphrase given/i.test(problem.message)
      ? `the key ${file} is encrypted: name the file of its passphrase in HAPROXY_SSH_KEY_PASSPHRASE_FILE`
      : hasPassphrase
      ? `the key ${file} cannot be read with that passphrase`
      : `the key ${file} is no private key in OpenSSH's or PEM form`
  )
