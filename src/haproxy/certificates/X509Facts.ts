/**
 * What a certificate says of itself. Its texts are those of strangers: control characters are taken out and lengths
 * are capped. Nothing here judges whether the certificate is trusted.
 */
import type { KeyObject, X509Certificate } from "node:crypto"
import type { CertificateFacts } from "../../domain/Certificate.ts"

/** Characters of a name or an issuer that are kept. A DNS name has 253 at most. */
const longest = 253

// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

const clean = (text: string): string => text.replaceAll(controls, "").trim().slice(0, longest)

/** DNS entries; Node quotes those with a comma or a quote in them, which are no DNS names. */
const alternativeNames = (text: string): ReadonlyArray<string> =>
  text.split(", ").flatMap((entry) => entry.startsWith("DNS:") ? [entry.slice(4)] : [])

/** A name that a client may ask for: printable ASCII without anything that quotes. */
const isName = (name: string): boolean => /^[a-z0-9*_.-]{1,253}$/.test(name)

/** `\,` and `\0A`: as OpenSSL escapes (RFC 2253, 2.4), so that no value can look like another line. */
const unescape = (value: string): string =>
  value.replaceAll(
    /\\(?:([0-9A-Fa-f]{2})|(.))/g,
    (_, code: string | undefined, sign: string | undefined) => sign ?? String.fromCharCode(Number.parseInt(code!, 16))
  )

/**
 * The last value of an attribute in a name as Node writes it, one attribute a line (`C=DE\nCN=Some CA`); empty without.
 *
 * Not by `toLegacyObject()`: in a process that has not loaded node:tls yet, it leaves that module without
 * `createSecureContext` for good (Node 24.21: `internal/tls/common` and `tls` load each other).
 */
const attribute = (name: string, key: string): string =>
  clean(unescape(
    name.split(/\n| \+ /).findLast((line) => line.startsWith(`${key}=`))?.slice(key.length + 1) ?? ""
  ))

/**
 * DNS names, lower case, each once. Without a subject alternative name the common name counts, as it does for HAProxy;
 * browsers know no common names any more.
 */
export const namesOf = ({ subject, subjectAltName }: X509Certificate): ReadonlyArray<string> => {
  const found = subjectAltName === undefined ? [attribute(subject ?? "", "CN")] : alternativeNames(subjectAltName)
  return [...new Set(found.map((name) => name.toLowerCase()).filter(isName))]
}

/** The issuer's common name, else its organisation. */
export const issuerOf = ({ issuer }: X509Certificate): string =>
  attribute(issuer ?? "", "CN") || attribute(issuer ?? "", "O")

const curves: Readonly<Record<string, string>> = { prime256v1: "256", secp384r1: "384", secp521r1: "521" }

/** `EC256`, `RSA2048`, `ED25519`: what `show ssl cert` calls the algorithm. */
export const keyTypeOf = ({ asymmetricKeyDetails, asymmetricKeyType }: KeyObject): string => {
  if (asymmetricKeyType !== "ec") {
    return `${(asymmetricKeyType ?? "").toUpperCase()}${asymmetricKeyDetails?.modulusLength ?? ""}`
  }
  const curve = asymmetricKeyDetails?.namedCurve ?? ""
  return `EC${curves[curve] ?? `-${curve}`}`
}

const hex = (fingerprint: string): string => fingerprint.replaceAll(":", "").toUpperCase()

/** The facts of a certificate that so many others follow. */
export const factsOf = (certificate: X509Certificate, chain: number): CertificateFacts => ({
  names: namesOf(certificate),
  issuer: issuerOf(certificate),
  serial: certificate.serialNumber.toUpperCase(),
  sha256: hex(certificate.fingerprint256),
  sha1: hex(certificate.fingerprint),
  notBefore: certificate.validFromDate.getTime(),
  notAfter: certificate.validToDate.getTime(),
  keyType: keyTypeOf(certificate.publicKey),
  chain
})
