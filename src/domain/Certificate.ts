/**
 * Certificates as facts: which names one holds, how long it is valid, when it is due. Pure; no key is ever here.
 *
 * A certificate is named after its file without `.pem`: `example.com`. A wildcard name covers exactly one label
 * (RFC 9525, 6.3), so `*.example.com` does not cover `example.com` itself.
 */

/** Where a certificate comes from: issued and renewed here, or put there by somebody. */
export type CertificateSource = "acme" | "file"

/** What a PEM says about its own certificate and its chain. */
export interface CertificateFacts {
  /** DNS names of the subject alternative name, lower case, in the certificate's order. */
  readonly names: ReadonlyArray<string>
  /** Common name of the issuer, else its organisation; text of a stranger. */
  readonly issuer: string
  /** Hexadecimal, upper case, as HAProxy shows it. */
  readonly serial: string
  /** SHA-256 of the DER, hexadecimal, upper case, without colons. */
  readonly sha256: string
  /** SHA-1 of the DER in the same form: what `show ssl cert` prints. */
  readonly sha1: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  /** `EC256`, `RSA2048`, `ED25519`. */
  readonly keyType: string
  /** Certificates after the first. */
  readonly chain: number
}

/** Facts of a certificate that is not there (yet): the names that it is to have, at most. */
export const noFacts = (names: ReadonlyArray<string> = []): CertificateFacts => ({
  names,
  issuer: "",
  serial: "",
  sha256: "",
  sha1: "",
  notBefore: 0,
  notAfter: 0,
  keyType: "",
  chain: 0
})

/** A certificate as the database has it. */
export interface Certificate {
  readonly name: string
  readonly source: CertificateSource
  /** `issuing`: asked for, nothing is there yet; facts are empty. */
  readonly state: "issuing" | "active"
  readonly facts: CertificateFacts
  /** When its renewal is due, milliseconds since 1970; null: not renewed here. */
  readonly renewAt: number | null
  /** Not before this time is it tried again; null: nothing failed. */
  readonly nextAttempt: number | null
  /** Failures in a row. */
  readonly failures: number
  /** Why the last attempt failed, one line without secrets; null: it did not. */
  readonly lastError: string | null
}

/** A row for a certificate that has been asked for. */
export const issuingRow = (name: string, names: ReadonlyArray<string> = [name]): Certificate => ({
  name,
  source: "acme",
  state: "issuing",
  facts: noFacts(names),
  renewAt: null,
  nextAttempt: null,
  failures: 0,
  lastError: null
})

/** Does a name of a certificate stand for this host or wildcard? */
export const nameCovers = (name: string, host: string): boolean => {
  if (name === host) return true
  if (!name.startsWith("*.") || host.startsWith("*.")) return false
  const dot = host.indexOf(".")
  return dot > 0 && host.slice(dot) === name.slice(1)
}

/** Does one of the names stand for this host or wildcard? */
export const covers = (names: ReadonlyArray<string>, host: string): boolean =>
  names.some((name) => nameCovers(name, host))

/** A certificate is due with this part of its lifetime left; short-lived ones (RFC 9773 has none for them) as well. */
const lastPart = 1 / 3

/** When a certificate is due if its CA says nothing else, milliseconds since 1970. */
export const dueAt = (facts: Pick<CertificateFacts, "notBefore" | "notAfter">): number =>
  facts.notAfter - Math.floor((facts.notAfter - facts.notBefore) * lastPart)

/** How a certificate stands at a moment. */
export type Validity = "valid" | "expiring" | "expired" | "not_yet_valid"

/** `expiring`: a sixth of its lifetime is left, so a renewal has failed for some time or nobody renews it. */
export const validityAt = (facts: Pick<CertificateFacts, "notBefore" | "notAfter">, now: number): Validity =>
  now < facts.notBefore
    ? "not_yet_valid"
    : now >= facts.notAfter
    ? "expired"
    : facts.notAfter - now < (facts.notAfter - facts.notBefore) / 6
    ? "expiring"
    : "valid"

/** Whole days until a certificate ends; negative when it has. */
export const daysLeft = (facts: Pick<CertificateFacts, "notAfter">, now: number): number =>
  Math.floor((facts.notAfter - now) / 86_400_000)
