/**
 * A certificate as HAProxy loads it from a PEM text: its own certificate, its chain and its key, and how
 * `show ssl cert` describes it. Real parsing by node:crypto; a text that is no certificate is refused.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"

/** What a PEM text holds. */
export interface CertificateContent {
  readonly leaf: X509Certificate
  readonly chain: ReadonlyArray<X509Certificate>
  readonly key: KeyObject | undefined
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----\n[\s\S]*?\n-----END \1-----/g

/** The content of a PEM text, or `undefined` when it holds no certificate. */
export const parsePem = (text: string): CertificateContent | undefined => {
  const certificates: Array<X509Certificate> = []
  let key: KeyObject | undefined
  try {
    for (const [pem, kind] of text.matchAll(block)) {
      if (kind === "CERTIFICATE") certificates.push(new X509Certificate(pem))
      else if (kind!.endsWith("PRIVATE KEY")) key = createPrivateKey(pem)
    }
  } catch {
    return undefined
  }
  const [leaf, ...chain] = certificates
  return leaf === undefined ? undefined : { leaf, chain, key }
}

/** `/C=DE/CN=example.com`, from Node's one attribute per line. */
const oneLine = (name: string): string => `/${name.split("\n").join("/").replaceAll(/\\(.)/g, "$1")}`

/** Names only; HAProxy prints an address as nothing, with its separator. */
const alternativeNames = (certificate: X509Certificate): string =>
  (certificate.subjectAltName ?? "").split(", ").map((name) => (name.startsWith("DNS:") ? name : "")).join(", ")

const curveBits: Readonly<Record<string, string>> = { prime256v1: "256", secp384r1: "384", secp521r1: "521" }

const algorithm = ({ asymmetricKeyDetails, asymmetricKeyType }: KeyObject): string =>
  asymmetricKeyType === "ec"
    ? `EC${curveBits[asymmetricKeyDetails?.namedCurve ?? ""] ?? ""}`
    : `${(asymmetricKeyType ?? "").toUpperCase()}${asymmetricKeyDetails?.modulusLength ?? ""}`

/** The lines of `show ssl cert FILE` that describe the content. */
export const describe = ({ chain, leaf }: CertificateContent): string =>
  [
    `Serial: ${leaf.serialNumber}`,
    `notBefore: ${leaf.validFrom}`,
    `notAfter: ${leaf.validTo}`,
    `Subject Alternative Name: ${alternativeNames(leaf)}`,
    `Algorithm: ${algorithm(leaf.publicKey)}`,
    `SHA1 FingerPrint: ${leaf.fingerprint.replaceAll(":", "")}`,
    `Subject: ${oneLine(leaf.subject)}`,
    `Issuer: ${oneLine(leaf.issuer)}`,
    ...chain.flatMap((one) => [`Chain Subject: ${oneLine(one.subject)}`, `Chain Issuer: ${oneLine(one.issuer)}`])
  ].map((line) => `${line}\n`).join("")
