/**
 * A certificate that signs itself, without any program: DER by hand (RFC 5280, X.690), signed by node:crypto. For the
 * demo on a machine that has neither openssl nor an ACME server, and for the ACME server's own HTTPS.
 */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto"

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
}

const day = 86_400_000

/** One element: tag, length, content. */
const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const object = (hex: string) => der(0x06, Buffer.from(hex, "hex"))

const ecdsaWithSha256 = sequence(object("2a8648ce3d040302"))
const commonName = (text: string) => sequence(der(0x31, sequence(object("550403"), der(0x0c, Buffer.from(text)))))
/** UTCTime, good until 2049. */
const time = (ms: number) => der(0x17, Buffer.from(new Date(ms).toISOString().slice(2).replaceAll(/[-:T]|\.\d+/g, "")))

/** An IPv4 address or a DNS name, as a subject alternative name. */
const alternative = (name: string) =>
  /^\d+\.\d+\.\d+\.\d+$/.test(name) ? der(0x87, Buffer.from(name.split(".").map(Number))) : der(0x82, Buffer.from(name))

/** A new key and its certificate for these names, valid from yesterday on. */
export const selfSigned = (names: ReadonlyArray<string>, days: number): SelfSigned => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  const serial = randomBytes(16)
  // Positive, as an INTEGER must be.
  serial[0] = serial[0]! & 0x3f | 0x40
  const name = commonName(names[0] ?? "")
  const alternatives = sequence(object("551d11"), der(0x04, sequence(...names.map(alternative))))
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    name,
    sequence(time(Date.now() - day), time(Date.now() + days * day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(alternatives))
  )
  const signature = der(0x03, Buffer.from([0]), sign("sha256", content, privateKey))
  const lines = sequence(content, ecdsaWithSha256, signature).toString("base64").replaceAll(/.{1,64}/g, "$&\n")
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}
