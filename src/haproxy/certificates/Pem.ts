/**
 * Makes a {@link CertificateBundle} of PEM texts: pure, by node:crypto.
 *
 * Guarantees: the key belongs to the first certificate, each certificate after it signed the one before, and the text
 * is the same for any order of blocks, any line endings and any text around them. What it refuses HAProxy would
 * refuse as well, or could not serve. A problem says what is wrong in our own words: nothing of a key, nor of the
 * content, is ever in it. Not here: whether anybody trusts the certificate, and whether it is still valid.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { InvalidInput } from "../../domain/Errors.ts"
import type { CertificateBundle } from "./Bundle.ts"
import { orderChain } from "./ChainOrder.ts"
import { type PemBlock, pemBlocks, pemLines } from "./PemBlocks.ts"
import { factsOf, keyTypeOf, namesOf } from "./X509Facts.ts"

/** Characters of a PEM text; a certificate with its chain and its key has 3,000 to 20,000. */
export const largestPem = 1024 * 1024
/** Chains have 2 to 4; each one more is compared with all the others. */
const mostCertificates = 32
/** OpenSSL's security level 1 has it at 1,024, Debian's level 2 at 2,048: "ee key too small" (3.0, 3.2, 3.4). */
const smallestRsa = 2048

/** Why a text is no certificate with its key. */
export interface PemProblem {
  /** Goes after the file's name: `holds no private key`. */
  readonly problem: string
  /** What to do about it, in one sentence. */
  readonly hint: string
}

/** A file's content, or what acme.sh gives. */
export type PemInput = string | { readonly chain: string; readonly key: Redacted.Redacted<string> }

/** The refusal of a file, or of what else is named: `certs/example.com.pem holds no private key.` */
export const pemRefused = (what: string, { hint, problem }: PemProblem): InvalidInput =>
  new InvalidInput({ message: `${what} ${problem}.`, hint })

class Refusal {
  readonly problem: PemProblem
  constructor(problem: string, hint: string) {
    this.problem = { problem, hint }
  }
}

const order = "Give the site's certificate, the certificates of its issuers and the private key, each as a PEM block."

const readBlocks = (text: string): ReadonlyArray<PemBlock> => {
  if (text.length > largestPem) throw new Refusal("is larger than 1 MB", "A certificate has some thousand bytes.")
  const blocks = pemBlocks(text)
  if (blocks === null) throw new Refusal("has a PEM block that is cut off or damaged", "Copy the file again, whole.")
  if (blocks.length === 0) {
    throw new Refusal("holds no PEM block", `${order} A file in DER or PKCS #12 form must be converted first.`)
  }
  return blocks
}

const isCertificate = ({ label }: PemBlock): boolean => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label)
const isKey = ({ label }: PemBlock): boolean => label.endsWith("PRIVATE KEY")

const readCertificates = (blocks: ReadonlyArray<PemBlock>): ReadonlyArray<X509Certificate> => {
  const found = blocks.filter(isCertificate)
  if (found.length === 0) throw new Refusal("holds no certificate", order)
  if (found.length > mostCertificates) {
    throw new Refusal(
      `holds ${found.length} certificates`,
      `Leave out all but the site's own and those of its issuers; at most ${mostCertificates} are read.`
    )
  }
  return found.map(({ der }) => {
    try {
      const certificate = new X509Certificate(der)
      // What cannot be read later on is no use either.
      keyTypeOf(certificate.publicKey)
      return certificate
    } catch {
      throw new Refusal("has a block CERTIFICATE that is no certificate", "Copy the file again, whole.")
    }
  })
}

const readKey = (blocks: ReadonlyArray<PemBlock>): KeyObject => {
  const found = blocks.filter(isKey)
  if (found.length === 0) throw new Refusal("holds no private key", order)
  const keys = new Map<string, KeyObject>()
  for (const { der, encrypted, label } of found) {
    if (encrypted) {
      throw new Refusal(
        "has a private key with a passphrase, which nobody could type in when HAProxy starts",
        "Take the passphrase off (openssl pkey), and keep the file at mode 0600."
      )
    }
    try {
      const key = createPrivateKey({ key: pemLines(label, der).join("\n"), format: "pem" })
      keys.set(key.export({ type: "pkcs8", format: "der" }).toString("base64"), key)
    } catch {
      throw new Refusal(
        label.startsWith("OPENSSH")
          ? "has a private key in the form of OpenSSH"
          : "has a private key that cannot be read",
        "Give the key in PKCS #8, PKCS #1 or SEC 1 form, as openssl writes it."
      )
    }
  }
  const [key] = keys.values()
  if (key === undefined || keys.size > 1) {
    throw new Refusal("holds several private keys", "Leave out all but the one of the site's certificate.")
  }
  return key
}

/** 3.0 to 3.4: "inconsistencies between private key and certificate loaded". */
const misplaced = "Another certificate came before the site's own: HAProxy does not start with a file like that."

const named = (certificate: X509Certificate): string => namesOf(certificate)[0] ?? "a certificate without a name"

const build = (blocks: ReadonlyArray<PemBlock>): CertificateBundle => {
  const certificates = readCertificates(blocks)
  const key = readKey(blocks)
  const ordered = orderChain(certificates, key)
  if (ordered === null) {
    throw new Refusal(
      "has a private key that belongs to none of its certificates",
      "Give the key that the certificate was requested with."
    )
  }
  const { chain, unrelated } = ordered
  const leaf = chain[0]!
  const facts = factsOf(leaf, chain.length - 1)
  const { asymmetricKeyDetails, asymmetricKeyType } = leaf.publicKey
  if (asymmetricKeyType?.startsWith("rsa") === true && (asymmetricKeyDetails?.modulusLength ?? 0) < smallestRsa) {
    throw new Refusal(
      `has an RSA key of ${asymmetricKeyDetails?.modulusLength ?? 0} bits`,
      `HAProxy refuses RSA keys under ${smallestRsa} bits: get a certificate for a larger key.`
    )
  }
  const certificateLines = chain.flatMap((one) => pemLines("CERTIFICATE", one.raw))
  const lines = [...certificateLines, ...pemLines("PRIVATE KEY", key.export({ type: "pkcs8", format: "der" }))]
  return {
    facts,
    lines: Redacted.make(lines),
    text: Redacted.make(`${lines.join("\n")}\n`),
    chainText: `${certificateLines.join("\n")}\n`,
    warnings: [
      ...(certificates[0]!.fingerprint256 === leaf.fingerprint256 ? [] : [misplaced]),
      ...unrelated.map((one) => `Left out ${named(one)}: it is not in the chain of ${named(leaf)}.`)
    ]
  }
}

/** Checks PEM texts and puts them in order; see the module's head. */
export const parseBundle = (input: PemInput): Result.Result<CertificateBundle, PemProblem> => {
  try {
    const blocks = typeof input === "string"
      ? readBlocks(input)
      : [...readBlocks(input.chain), ...readBlocks(Redacted.value(input.key)).filter(isKey)]
    return Result.succeed(build(blocks))
  } catch (cause) {
    if (cause instanceof Refusal) return Result.fail(cause.problem)
    throw cause
  }
}
