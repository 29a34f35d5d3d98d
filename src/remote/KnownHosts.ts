/**
 * What is known of a host's keys: by a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") or by pinned keys and
 * fingerprints. Pure; reading and writing the file is HostKey.ts.
 *
 * Names are matched as OpenSSH does: plain, `[host]:port` for other ports than 22, wildcards, `!` for exceptions, hashed
 * (`|1|salt|hash`, HMAC-SHA1 of the name). Lines of certificate authorities are not used, and that is said.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

/** A key that is known. `line` is its place in known_hosts; 0 when it is pinned. */
export interface KnownKey {
  readonly type: string
  readonly blob: Buffer
  readonly line: number
}

export interface Known {
  readonly keys: ReadonlyArray<KnownKey>
  /** Of keys that may be believed although only this is known of them. */
  readonly fingerprints: ReadonlyArray<string>
  readonly revoked: ReadonlyArray<Buffer>
  /** A line for this host names a certificate authority, which is not supported. */
  readonly hasAuthority: boolean
}

/** `SHA256:…` as `ssh-keygen -l` prints it. */
export const fingerprintOf = (blob: Buffer): string =>
  `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`

/** The type that a public key says it has (RFC 4253, 6.6: a string in front). */
export const typeOf = (blob: Buffer): string =>
  blob.length < 5 ? "" : blob.toString("latin1", 4, 4 + Math.min(blob.readUInt32BE(0), 64))

/** The host's name as known_hosts has it. */
export const nameOf = (host: string, port: number): string => port === 22 ? host : `[${host}]:${port}`

const isHashOf = (pattern: string, name: string): boolean => {
  const [, version, salt = "", hash = ""] = pattern.split("|")
  const expected = Buffer.from(hash, "base64")
  if (version !== "1" || expected.length !== 20) return false
  return timingSafeEqual(createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest(), expected)
}

const matches = (pattern: string, name: string): boolean => {
  const form = pattern.toLowerCase().replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")
  return new RegExp(`^${form}$`).test(name)
}

/** Is a line with these names about this host? */
const isFor = (names: string, name: string): boolean => {
  if (names.startsWith("|")) return isHashOf(names, name)
  const patterns = names.split(",")
  return !patterns.some((pattern) => pattern.startsWith("!") && matches(pattern.slice(1), name))
    && patterns.some((pattern) => !pattern.startsWith("!") && matches(pattern, name))
}

/** What a known_hosts file says of a host. Lines that are no entries are skipped, as OpenSSH does. */
export const parseKnownHosts = (text: string, host: string, port: number): Known => {
  const name = nameOf(host.toLowerCase(), port)
  const keys: Array<KnownKey> = []
  const revoked: Array<Buffer> = []
  let hasAuthority = false
  for (const [index, line] of text.split("\n").entries()) {
    const fields = line.trim().split(/\s+/)
    if (fields[0] === "" || fields[0]!.startsWith("#")) continue
    const marker = fields[0]!.startsWith("@") ? fields.shift() : undefined
    const [names = "", type = "", base64 = ""] = fields
    const blob = Buffer.from(base64, "base64")
    if (type === "" || typeOf(blob) !== type || !isFor(names, name)) continue
    if (marker === "@revoked") revoked.push(blob)
    else if (marker === "@cert-authority") hasAuthority = true
    else if (marker === undefined) keys.push({ type, blob, line: index + 1 })
  }
  return { keys, fingerprints: [], revoked, hasAuthority }
}

/** What pinned texts say: each a fingerprint or `type base64`. */
export const pinned = (texts: ReadonlyArray<string>): Known => {
  const keys = texts.filter((text) => !text.startsWith("SHA256:")).map((text) => {
    const [type = "", base64 = ""] = text.split(" ")
    return { type, blob: Buffer.from(base64, "base64"), line: 0 }
  })
  return { keys, fingerprints: texts.filter((text) => text.startsWith("SHA256:")), revoked: [], hasAuthority: false }
}

/** `unknown`: nothing is known of this host. `changed`: something else is known of it. */
export type Verdict = "known" | "changed" | "unknown" | "revoked"

/** Is this the host? */
export const judge = ({ fingerprints, keys, revoked }: Known, blob: Buffer): Verdict =>
  revoked.some((one) => one.equals(blob))
    ? "revoked"
    : keys.some((key) => key.blob.equals(blob)) || fingerprints.includes(fingerprintOf(blob))
    ? "known"
    : keys.length + fingerprints.length > 0
    ? "changed"
    : "unknown"

/** Algorithms by the type of the key that they need, best first. SHA-1 (`ssh-rsa`) is not among them. */
const families = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"]
} as const satisfies Readonly<Record<string, ReadonlyArray<string>>>

export type HostKeyAlgorithm = (typeof families)[keyof typeof families][number]

/**
 * The algorithms to offer, one list for each attempt. A host shows one key only, the first that both sides have: where
 * keys are known by type it must be one of those, and where only a fingerprint is known each type is tried in turn.
 */
export const offers = ({ fingerprints, keys }: Known): ReadonlyArray<ReadonlyArray<HostKeyAlgorithm>> => {
  const all = Object.entries(families)
  const known = all.filter(([type]) => keys.some((key) => key.type === type)).flatMap(([, names]) => names)
  const others = fingerprints.length === 0 ? [] : [
    ["ssh-ed25519"] as const,
    ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"] as const,
    families["ssh-rsa"]
  ]
  const lists = [...(known.length > 0 ? [known] : []), ...others]
  return lists.length > 0 ? lists : [all.flatMap(([, names]) => names)]
}
