/**
 * Decides whether the key that a host shows is believed. Without a pinned key or an entry in known_hosts nothing is,
 * but for HAPROXY_SSH_ACCEPT_NEW, which writes the key of a host that has no entry yet, durably, before it is believed.
 * A key that changed, or was revoked, is never believed. The file is read anew for every connection.
 */
import * as fs from "node:fs"
import { dirname } from "node:path"
import { explain, plain, SshFailure } from "./Failure.ts"
import { fingerprintOf, judge, type Known, nameOf, parseKnownHosts, pinned, typeOf } from "./KnownHosts.ts"

export interface HostKeyOptions {
  readonly host: string
  readonly port: number
  /** Fingerprints and public keys; when there are any, the file is not read. */
  readonly hostKeys: ReadonlyArray<string>
  readonly knownHostsFile: string
  readonly acceptNew: boolean
}

/** What is known of the host now; throws {@link SshFailure} when the file is there and cannot be read. */
export const readKnown = ({ host, hostKeys, knownHostsFile, port }: HostKeyOptions): Known => {
  if (hostKeys.length > 0) return pinned(hostKeys)
  try {
    return parseKnownHosts(fs.readFileSync(knownHostsFile, "utf8"), host, port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return parseKnownHosts("", host, port)
    throw new SshFailure("host-key", `${knownHostsFile} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Adds a line to known_hosts and makes it durable. */
const remember = (file: string, line: string): void => {
  const folder = dirname(file)
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const fd = fs.openSync(file, "a+", 0o600)
  try {
    const { size } = fs.fstatSync(fd)
    const last = Buffer.alloc(1, "\n")
    if (size > 0) fs.readSync(fd, last, 0, 1, size - 1)
    fs.writeSync(fd, `${last.toString() === "\n" ? "" : "\n"}${line}\n`)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
  const names = fs.openSync(folder, "r")
  try {
    fs.fsyncSync(names)
  } finally {
    fs.closeSync(names)
  }
}

/** Null when the key is believed, else why not. */
export const refusalOf = (options: HostKeyOptions, known: Known, blob: Buffer): SshFailure | null => {
  const { acceptNew, host, hostKeys, knownHostsFile: file, port } = options
  const type = plain(typeOf(blob))
  const offered = `${type} ${fingerprintOf(blob)}`
  const name = nameOf(host, port)
  const fail = (reason: string) => new SshFailure("host-key", reason)
  switch (judge(known, blob)) {
    case "known":
      return null
    case "revoked":
      return fail(`its key ${offered} is marked @revoked in ${file}: do not connect before somebody has looked into it`)
    case "changed":
      return hostKeys.length > 0
        ? fail(
          `its key is ${offered}, which is not the one in HAPROXY_SSH_HOST_KEY: somebody may be in between, or it was `
            + "installed anew; set HAPROXY_SSH_HOST_KEY only after comparing"
        )
        : fail(
          `its key has changed: it is ${offered} and not the one of ${file} line ${
            known.keys.map(({ line }) => line).join(", ")
          }; somebody may be in between, or it was installed anew: then \`ssh-keygen -R '${name}' -f ${file}\`, and add `
            + "the new key after comparing"
        )
    case "unknown": {
      if (!acceptNew) {
        const authority = known.hasAuthority ? ` (its @cert-authority line in ${file} is not supported)` : ""
        return fail(
          `its key is not known${authority}: it shows ${offered}; when \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on `
            + `the host prints the same, set HAPROXY_SSH_HOST_KEY=${fingerprintOf(blob)}, or add the key to ${file}`
        )
      }
      try {
        remember(file, `${name} ${type} ${blob.toString("base64")}`)
        return null
      } catch (error) {
        return fail(`its key is new and cannot be written to ${file}: ${explain(error)}`)
      }
    }
  }
}
