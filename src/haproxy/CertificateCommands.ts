/**
 * Certificate commands. A certificate is named by its path as HAProxy knows it (certificates/Place.ts finds it).
 *
 * Traps that callers must know, all seen on the real binaries (3.0.11, 3.2.26, 3.4.7):
 * - There is one transaction in the whole process, whoever began it, and it survives its connection.
 * - HAProxy takes the certificate and the key apart: `set` refuses what cannot be read, and only `commit` refuses a key
 *   that does not match. The transaction is still open after that refusal.
 * - Nothing is written to disk: after a restart HAProxy has what its files say.
 *
 * A payload holds a private key. No part of one is in any refusal: HAProxy's words about it are kept only as far as
 * they cannot be a piece of it ({@link withoutPayload}).
 */
import * as Result from "effect/Result"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** What HAProxy knows by paths. */
export interface CertificateList {
  readonly paths: ReadonlyArray<string>
  /** The certificate that a transaction is open for, if any. */
  readonly transaction: string | null
}

/** A certificate in HAProxy's memory. */
export interface ShownCertificate {
  readonly path: string
  /** `Used`: a crt-list has it. `Unused`: none has. `Empty`: made by `new`, never committed. */
  readonly status: "Used" | "Unused" | "Empty"
  /** Hexadecimal, upper case; empty for `Empty`, like the next three. */
  readonly serial: string
  /** SHA-1 of the DER, hexadecimal, upper case, without colons. */
  readonly sha1: string
  /** Milliseconds since 1970; 0 for `Empty`. */
  readonly notAfter: number
  /** DNS names of the subject alternative name. */
  readonly names: ReadonlyArray<string>
  /** Certificates after the first that HAProxy sends with it. */
  readonly chain: number
}

/*
 * show ssl cert (3.4.7; 3.0.11 and 3.2.26 alike); nothing at all where HAProxy has no certificate
 *
 * # transaction
 * * /etc/haproxy/certs/example.com.pem      (no space after the star)
 * # filename
 * /etc/haproxy/certs/example.com.pem
 * /etc/haproxy/certs/example.org.pem
 */
const parseList = (answer: string): Verdict<CertificateList> => {
  const paths: Array<string> = []
  let transaction: string | null = null
  let section = ""
  for (const line of answer.split("\n")) {
    if (line === "") continue
    if (line === "# transaction" || line === "# filename") section = line
    else if (section === "# filename") paths.push(line)
    else if (section === "# transaction" && line.startsWith("*")) transaction = line.slice(1)
    else return refused(answer)
  }
  return section === "# filename" || answer.trim() === "" ? Result.succeed({ paths, transaction }) : refused(answer)
}

/** `show ssl cert`: every path, and the transaction that is open. */
export const list: Command<CertificateList> = { words: ["show", "ssl", "cert"], parse: parseList }

/*
 * show ssl cert PATH (3.4.7; 3.0.11 and 3.2.26 have no Option lines, 3.0.11 no filenames but the first)
 *
 * Filename: /etc/haproxy/certs/example.com.pem
 * Crt filename: /etc/haproxy/certs/example.com.pem
 * Key filename: /etc/haproxy/certs/example.com.pem
 * OCSP filename: /etc/haproxy/certs/example.com.pem.ocsp
 * SCTL filename: /etc/haproxy/certs/example.com.pem.sctl
 * Option: ocsp-update off
 * Option: jwt off
 * Status: Used
 * Serial: 3B8E90014A94980C40A3EF4318E130636F6ACC59
 * notBefore: Nov 21 06:55:57 2026 GMT
 * notAfter: Dec 21 06:55:57 2026 GMT
 * Subject Alternative Name: DNS:example.com, DNS:*.example.com
 * Algorithm: EC256
 * SHA1 FingerPrint: D35231EC33EB86EDEF0EC25D6C846A7210CC2C44
 * Subject: /CN=example.com
 * Issuer: /C=DE/CN=Test CA 1
 * Chain Subject: /C=DE/CN=Test CA 1
 * Chain Issuer: /C=DE/CN=Test Root
 * OCSP Response Key:
 *
 * After `new` alone the status is Empty, and the lines from Serial on are missing. Or, for a path it does not know:
 *
 * Can't display the certificate: Not found or the certificate is a bundle!
 */
const parseShown = (path: string) => (answer: string): Verdict<ShownCertificate | null> => {
  if (answer.trim() === "Can't display the certificate: Not found or the certificate is a bundle!") {
    return Result.succeed(null)
  }
  if (!answer.startsWith(`Filename: ${path}\n`)) return refused(answer)
  // Subjects are texts of strangers, on one line each: a key counts only where a line begins, and its first place.
  const values = new Map<string, string>()
  let chain = 0
  for (const line of answer.split("\n")) {
    const colon = line.indexOf(": ")
    if (colon < 0) continue
    const key = line.slice(0, colon)
    if (key === "Chain Subject") chain++
    if (!values.has(key)) values.set(key, line.slice(colon + 2))
  }
  const status = values.get("Status")
  if (status === "Empty") {
    return Result.succeed({ path, status, serial: "", sha1: "", notAfter: 0, names: [], chain: 0 })
  }
  const sha1 = values.get("SHA1 FingerPrint") ?? ""
  const notAfter = Date.parse(values.get("notAfter") ?? "")
  if ((status !== "Used" && status !== "Unused") || !/^[0-9A-F]{40}$/.test(sha1) || Number.isNaN(notAfter)) {
    return refused(answer)
  }
  const names = (values.get("Subject Alternative Name") ?? "").split(", ")
  return Result.succeed({
    path,
    status,
    serial: plain(values.get("Serial") ?? "", 100),
    sha1,
    notAfter,
    names: names.flatMap((name) => name.startsWith("DNS:") ? [plain(name.slice(4), 255)] : []),
    chain
  })
}

/** `show ssl cert PATH`: what HAProxy has in memory under a path; null: nothing. */
export const show = (path: string): Command<ShownCertificate | null> => ({
  words: ["show", "ssl", "cert", path],
  parse: parseShown(path)
})

/*
 * new ssl cert PATH (3.0.11, 3.2.26, 3.4.7), or "Certificate 'PATH' already exists!"
 *
 * New empty certificate store '/etc/haproxy/certs/example.com.pem'!
 */
const parseNew = (path: string) => (answer: string): Verdict<"made" | "known"> => {
  const text = answer.trim()
  return text === `New empty certificate store '${path}'!`
    ? Result.succeed("made")
    : text === `Certificate '${path}' already exists!`
    ? Result.succeed("known")
    : refused(withoutPayload(answer, path))
}

/** `new ssl cert PATH`: an empty certificate, for `set` and `commit` to fill. */
export const make = (path: string): Command<"made" | "known"> => ({
  words: ["new", "ssl", "cert", path],
  parse: parseNew(path)
})

/**
 * An answer without anything that could be a line of a payload. When a payload is not taken as one, HAProxy runs its
 * lines as commands, names them in `Unknown command: '…'`, and adds its whole help (26 kB).
 */
export const withoutPayload = (answer: string, path: string): string => {
  const end = answer.search(/Unknown command|The following commands/)
  const text = (end < 0 ? answer : `${answer.slice(0, end)}and more`).slice(0, 2_000)
  // HAProxy's own sentence about another path, which may look like base64.
  if (otherTransaction(text) !== null) return text.split("\n")[0]!
  return text.split(path).map((part) => part.replace(/[A-Za-z0-9+/]{20,}={0,2}/g, "…")).join(path)
}

/** The certificate that another transaction is about, from the refusal of `set`, `commit` or `abort`; null: none. */
export const otherTransaction = (text: string): string | null =>
  /^The ongoing transaction is about '([^']+)' but /.exec(text)?.[1] ?? null

/*
 * set ssl cert PATH <<… (3.0.11, 3.2.26, 3.4.7); `updated` when its transaction is open already
 *
 * Transaction created for certificate /etc/haproxy/certs/example.com.pem!
 *
 * or, among others:
 *
 * unable to load certificate from file '/etc/haproxy/certs/example.com.pem': no start line.
 * Can't load the payload
 * Can't update /etc/haproxy/certs/example.com.pem!
 *
 * The ongoing transaction is about '/etc/haproxy/certs/a.pem' but you are trying to set '/etc/haproxy/certs/b.pem'
 * Can't update /etc/haproxy/certs/b.pem!
 *
 * Can't replace a certificate which is not referenced by the configuration!
 * Can't update /etc/haproxy/certs/example.com.pem!
 */
const parseSet = (path: string) => (answer: string): Verdict<void> => {
  const text = answer.trim()
  return text === `Transaction created for certificate ${path}!`
      || text === `Transaction updated for certificate ${path}!`
    ? Result.void
    : refused(withoutPayload(answer, path))
}

/** `set ssl cert PATH <<`: opens (or changes) the transaction with a PEM of certificate, chain and key. */
export const set = (path: string, lines: ReadonlyArray<string>): Command<void> => ({
  words: ["set", "ssl", "cert", path],
  payload: lines,
  isWhole: true,
  parse: parseSet(path)
})

/*
 * commit ssl cert PATH (3.0.11, 3.2.26, 3.4.7); a dot for each use, and warnings may stand before the last line
 *
 * Committing /etc/haproxy/certs/example.com.pem.
 * Success!
 *
 * or
 *
 * inconsistencies between private key and certificate loaded '/etc/haproxy/certs/example.com.pem'.
 * Can't commit /etc/haproxy/certs/example.com.pem!
 */
const parseCommit = (path: string) => (answer: string): Verdict<void> =>
  answer.startsWith(`Committing ${path}`) && answer.trimEnd().endsWith("\nSuccess!")
    ? Result.void
    : refused(withoutPayload(answer, path))

/** `commit ssl cert PATH`: new connections get the new certificate; those that are open keep theirs. */
export const commit = (path: string): Command<void> => ({
  words: ["commit", "ssl", "cert", path],
  parse: parseCommit(path)
})

/*
 * abort ssl cert PATH (3.0.11, 3.2.26, 3.4.7), or "No ongoing transaction!"
 *
 * Transaction aborted for certificate '/etc/haproxy/certs/example.com.pem'!
 */
const parseAbort = (path: string) => (answer: string): Verdict<"aborted" | "none"> => {
  const text = answer.trim()
  return text === `Transaction aborted for certificate '${path}'!`
    ? Result.succeed("aborted")
    : text === "No ongoing transaction!"
    ? Result.succeed("none")
    : refused(answer)
}

/** `abort ssl cert PATH`: gives up the transaction of this certificate; another's is refused. */
export const abort = (path: string): Command<"aborted" | "none"> => ({
  words: ["abort", "ssl", "cert", path],
  parse: parseAbort(path)
})

/*
 * del ssl cert PATH (3.0.11, 3.2.26, 3.4.7)
 *
 * Certificate '/etc/haproxy/certs/example.com.pem' deleted!
 *
 * or, after "Can't remove the certificate: ", one of
 *
 * certificate '/etc/haproxy/certs/example.com.pem' doesn't exist!
 * certificate '/etc/haproxy/certs/example.com.pem' in use, can't be deleted!
 * ongoing transaction for the certificate '/etc/haproxy/certs/example.com.pem'
 */
const parseDelete = (path: string) => (answer: string): Verdict<"deleted" | "not found"> => {
  const text = answer.trim()
  return text === `Certificate '${path}' deleted!`
    ? Result.succeed("deleted")
    : text === `Can't remove the certificate: certificate '${path}' doesn't exist!`
    ? Result.succeed("not found")
    : refused(answer)
}

/** `del ssl cert PATH`: forgets a certificate that no crt-list has. */
export const del = (path: string): Command<"deleted" | "not found"> => ({
  words: ["del", "ssl", "cert", path],
  parse: parseDelete(path)
})
