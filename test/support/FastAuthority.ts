/**
 * A CA that signs some thousands of certificates in a second: DER written by hand (RFC 5280), signed by node:crypto.
 * Root, intermediates, and below them as many sites as wanted; each comes with its key, in the order in which HAProxy
 * wants them.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign
} from "node:crypto"

/** One element of DER: tag, length, content. */
const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const octets = (content: Uint8Array) => der(0x04, content)
const bits = (content: Uint8Array, unused = 0) => der(0x03, Buffer.from([unused]), content)
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))
const yes = Buffer.from([0x01, 0x01, 0xff])

const ids = {
  ecdsaWithSha256: oid("2a8648ce3d040302"),
  commonName: oid("550403"),
  subjectKeyId: oid("551d0e"),
  keyUsage: oid("551d0f"),
  alternativeNames: oid("551d11"),
  basicConstraints: oid("551d13"),
  authorityKeyId: oid("551d23"),
  extendedKeyUsage: oid("551d25"),
  serverAuth: oid("2b06010505070301")
}

const algorithm = sequence(ids.ecdsaWithSha256)

/** UTCTime until 2049, GeneralizedTime after. */
const time = (milliseconds: number): Buffer => {
  const text = new Date(milliseconds).toISOString().replaceAll(/[-:T]|\.\d+/g, "")
  return Number(text.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

const nameOf = (commonName: string) => sequence(der(0x31, sequence(ids.commonName, der(0x0c, Buffer.from(commonName)))))

const extension = (id: Buffer, value: Buffer, critical = false) =>
  sequence(id, ...(critical ? [yes] : []), octets(value))

const pemOf = (kind: string, content: Uint8Array): string =>
  `-----BEGIN ${kind}-----\n${
    Buffer.from(content).toString("base64").replaceAll(/.{1,64}/g, "$&\n")
  }-----END ${kind}-----\n`

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey

interface Party {
  readonly name: string
  readonly key: KeyObject
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer
  readonly keyId: Buffer
}

const party = (name: string, key: KeyObject): Party => {
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" })
  return { name, key, publicKey, keyId: createHash("sha1").update(publicKey).digest() }
}

interface Wanted {
  readonly subject: Party
  readonly issuer: Party
  /** Empty: a CA. */
  readonly names: ReadonlyArray<string>
  readonly notBefore: number
  readonly notAfter: number
}

/** One certificate as DER. */
const certificate = ({ issuer, names, notAfter, notBefore, subject }: Wanted): Buffer => {
  const isCa = names.length === 0
  // Positive, as an INTEGER must be.
  const serial = randomBytes(16)
  serial[0] = serial[0]! & 0x3f | 0x40
  const extensions = sequence(
    extension(ids.basicConstraints, isCa ? sequence(yes) : sequence(), true),
    extension(ids.keyUsage, isCa ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7), true),
    extension(ids.subjectKeyId, octets(subject.keyId)),
    extension(ids.authorityKeyId, sequence(der(0x80, issuer.keyId))),
    ...(isCa ? [] : [
      extension(ids.extendedKeyUsage, sequence(ids.serverAuth)),
      extension(ids.alternativeNames, sequence(...names.map((name) => der(0x82, Buffer.from(name)))))
    ])
  )
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    nameOf(issuer.name),
    sequence(time(notBefore), time(notAfter)),
    nameOf(subject.name),
    subject.publicKey,
    der(0xa3, extensions)
  )
  return sequence(content, algorithm, bits(sign("sha256", content, issuer.key)))
}

/** A certificate of a site with all that belongs to it. */
export interface FastCertificate {
  readonly names: ReadonlyArray<string>
  /** PEM: its own certificate, then the intermediates. */
  readonly chain: string
  /** PEM, `EC PRIVATE KEY` as acme.sh writes it; PKCS #8 for other kinds. */
  readonly key: string
  /** Both: a file that HAProxy loads. */
  readonly text: string
  /** SHA-1 of its DER as `show ssl cert` prints it: upper case, no colons. */
  readonly sha1: string
  /** Milliseconds since 1970, whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface FastOptions {
  /** Default: one of its own. */
  readonly key?: KeyObject
  /** Signed by its own key, with nothing after it. */
  readonly selfSigned?: boolean
  /** Milliseconds since 1970; default: an hour ago, and 90 days later. */
  readonly notBefore?: number
  readonly notAfter?: number
}

const day = 86_400_000
const wholeSecond = (milliseconds: number) => Math.floor(milliseconds / 1000) * 1000

interface Kept {
  readonly signer: string
  /** PEM. */
  readonly key: string
  readonly root: string
  readonly pems: string
}

export class FastAuthority {
  /** PEM of the root: what a client trusts. */
  readonly root: string
  private readonly intermediate: Party
  private readonly intermediatePems: string
  private readonly keys: Array<KeyObject> = []

  /** `depth`: intermediates between the root and the sites. `kept`: what {@link keep} answered, for the same CA again. */
  constructor(name = "Fast Test CA", depth = 1, kept?: string) {
    if (kept !== undefined) {
      const { key, pems, root, signer } = JSON.parse(kept) as Kept
      this.root = root
      this.intermediate = party(signer, createPrivateKey(key))
      this.intermediatePems = pems
      return
    }
    const root = party(`${name} Root`, newKey())
    const [notBefore, notAfter] = [wholeSecond(Date.now() - day), wholeSecond(Date.now() + 3650 * day)]
    const ca = (subject: Party, issuer: Party) =>
      pemOf("CERTIFICATE", certificate({ subject, issuer, names: [], notBefore, notAfter }))
    this.root = ca(root, root)
    let issuer = root
    let pems = ""
    for (let level = 1; level <= depth; level++) {
      const next = party(depth === 1 ? `${name} Intermediate` : `${name} Intermediate ${level}`, newKey())
      pems = ca(next, issuer) + pems
      issuer = next
    }
    this.intermediate = issuer
    this.intermediatePems = pems
  }

  /** All of it as text, its key too: another process can be the same CA. */
  keep(): string {
    const { name: signer } = this.intermediate
    const key = this.intermediate.key.export({ type: "pkcs8", format: "pem" }).toString()
    return JSON.stringify({ signer, key, root: this.root, pems: this.intermediatePems } satisfies Kept)
  }

  /** Signs a certificate for these names. */
  issue(names: ReadonlyArray<string>, options: FastOptions = {}): FastCertificate {
    const key = options.key ?? newKey()
    const notBefore = wholeSecond(options.notBefore ?? Date.now() - 3_600_000)
    const notAfter = wholeSecond(options.notAfter ?? notBefore + 90 * day)
    const subject = party(names[0]!, key)
    const isAlone = options.selfSigned === true
    const own = certificate({ subject, issuer: isAlone ? subject : this.intermediate, names, notBefore, notAfter })
    const chain = pemOf("CERTIFICATE", own) + (isAlone ? "" : this.intermediatePems)
    const keyText = key.export({ type: key.asymmetricKeyType === "ec" ? "sec1" : "pkcs8", format: "pem" }).toString()
    return {
      names,
      chain,
      key: keyText,
      text: chain + keyText,
      sha1: createHash("sha1").update(own).digest("hex").toUpperCase(),
      notBefore,
      notAfter
    }
  }

  /** The same by a key that some thousands share: making a key takes longer than signing. */
  issueMany(names: ReadonlyArray<string>, options: Omit<FastOptions, "key"> = {}): ReadonlyArray<FastCertificate> {
    return names.map((name, index) => {
      const key = this.keys[index % 64] ??= newKey()
      return this.issue([name], { ...options, key })
    })
  }
}
