import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { execFileSync, spawnSync } from "node:child_process"
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { afterAll } from "vitest"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import { parseBundle, type PemInput, pemRefused } from "../../src/haproxy/certificates/Pem.ts"
import { authority, bundleOf, makeCertificate, mismatched } from "../support/Certificates.ts"
import { realLines } from "../support/RealHaproxy.ts"

const dir = mkdtempSync(join(tmpdir(), "pem-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const file = (name: string) => join(dir, name)
const read = (name: string) => readFileSync(file(name), "utf8")
const openssl = (...words: ReadonlyArray<string>) => execFileSync("openssl", words, { stdio: "pipe", cwd: dir })

const problemOf = (input: PemInput): string => {
  const parsed = parseBundle(input)
  assert.isTrue(Result.isFailure(parsed))
  return Result.isFailure(parsed) ? parsed.failure.problem : ""
}
const content = ({ chainText, facts, lines, text }: CertificateBundle) => ({
  facts,
  chainText,
  text: Redacted.value(text),
  lines: Redacted.value(lines)
})
const blocksOf = (text: string) => text.match(/-----BEGIN [^-]+-----\n[^-]+-----END [^-]+-----\n/g) ?? []

const one = makeCertificate(["example.com", "*.example.com"], { chain: 3 })
const canonical = content(bundleOf(one.text))

describe("a bundle", () => {
  it("holds own certificate, issuers and key, in lines that a payload takes", () => {
    const { chainText, facts, lines, text } = canonical
    assert.deepStrictEqual(
      lines.filter((line) => line.startsWith("-----BEGIN")),
      [...Array<string>(4).fill("-----BEGIN CERTIFICATE-----"), "-----BEGIN PRIVATE KEY-----"]
    )
    assert.strictEqual(text, `${lines.join("\n")}\n`)
    assert.isTrue(lines.every((line) => line !== "" && line.length <= 64 && line.trim() === line))
    assert.isTrue(text.startsWith(chainText))
    assert.notInclude(chainText, "PRIVATE")
    const chain = blocksOf(chainText).map((pem) => new X509Certificate(pem))
    chain.slice(1).forEach((issuer, index) => assert.isTrue(chain[index]!.verify(issuer.publicKey)))
    assert.isTrue(chain[0]!.checkPrivateKey(createPrivateKey(text)))
    assert.deepStrictEqual({ ...facts, serial: "", sha256: "" }, {
      names: ["example.com", "*.example.com"],
      issuer: "Test CA of 3 Intermediate 3",
      serial: "",
      sha256: "",
      sha1: one.sha1,
      notBefore: one.notBefore,
      notAfter: one.notAfter,
      keyType: "EC256",
      chain: 3
    })
    assert.match(facts.serial, /^[0-9A-F]{32}$/)
    assert.match(facts.sha256, /^[0-9A-F]{64}$/)
  })

  it("of its own text is the same", () => assert.deepStrictEqual(content(bundleOf(canonical.text)), canonical))

  const Mess = Schema.Array(Schema.Struct({
    /** Which block stands here; each comes at least once. */
    block: Schema.Literals([0, 1, 2, 3, 4, 5, 6]),
    before: Schema.Literals([
      "",
      "\n",
      "Bag Attributes\n    friendlyName: x\n",
      "subject=CN = y\nissuer=CN = z\n",
      "# a\n"
    ]),
    width: Schema.Literals([64, 76, 4096])
  }))
  const ending = Arbitrary.schema(Schema.Literals(["\n", "\r\n", "\r"]))
  const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
  // The root as well, and parameters that are no part of it.
  const blocks = [...blocksOf(one.text), authority(3).root, parameters]

  it.effect.prop(
    "is the same for any order of blocks, any repetition, any line endings and any text around them",
    [Arbitrary.schema(Mess), ending, Arbitrary.schema(Schema.Boolean)],
    ([mess, newline, isCut]) =>
      Effect.sync(() => {
        const missing = blocks.map((_, index) => index).filter((index) => !mess.some(({ block }) => block === index))
        const text = [...mess, ...missing.map((block) => ({ block, before: "", width: 64 }))].map((piece) => {
          const [head, ...body] = blocks[piece.block]!.trim().split("\n")
          const wide = body.slice(0, -1).join("").replaceAll(new RegExp(`.{1,${piece.width}}`, "g"), "$&\n")
          return `${piece.before}${head}\n${wide}${body.at(-1)}\n`
        }).join("").replaceAll("\n", newline)
        const bundle = bundleOf(isCut ? text.trimEnd() : text)
        assert.deepStrictEqual(content(bundle), canonical)
        assert.isTrue(bundle.warnings.every((warning) => warning.startsWith("Another certificate came before")))
      })
  )

  it("comes from a chain and a key that are apart", () => {
    const { chain, key } = one
    const parsed = parseBundle({ chain, key: Redacted.make(key) })
    assert.deepStrictEqual(Result.isSuccess(parsed) ? content(parsed.success) : null, canonical)
  })

  it("leaves out what has nothing to do with it, and says so", () => {
    const other = makeCertificate(["other.example.net"], { chain: 1 })
    const { chainText, warnings } = bundleOf(other.chain + one.text)
    assert.strictEqual(chainText, canonical.chainText)
    assert.strictEqual(warnings.length, 3)
    assert.match(warnings[0]!, /HAProxy does not start/)
    assert.isTrue(warnings.some((warning) => /^Left out other\.example\.net: .* example\.com\.$/.test(warning)))
  })

  it("keeps a certificate that is signed by itself", () => {
    const alone = bundleOf(makeCertificate(["alone.test"], { chain: 0 }).text)
    assert.deepStrictEqual([alone.facts.chain, alone.facts.issuer, alone.warnings], [0, "alone.test", []])
  })

  it("prefers the certificate of an issuer that another CA has signed, over its root", () => {
    const ca = (name: string) => {
      openssl(
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "9",
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.crt`,
        "-subj",
        `/CN=${name}`
      )
    }
    ca("Old")
    ca("New")
    writeFileSync(file("ca.ext"), "basicConstraints=critical,CA:TRUE")
    openssl("req", "-new", "-key", "New.key", "-subj", "/CN=New", "-out", "New.csr")
    openssl(
      "x509",
      "-req",
      "-in",
      "New.csr",
      "-CA",
      "Old.crt",
      "-CAkey",
      "Old.key",
      "-CAcreateserial",
      "-days",
      "9",
      "-extfile",
      "ca.ext",
      "-out",
      "cross.crt"
    )
    openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "site.key",
      "-subj",
      "/CN=cn.example.com",
      "-out",
      "site.csr"
    )
    openssl(
      "x509",
      "-req",
      "-in",
      "site.csr",
      "-CA",
      "New.crt",
      "-CAkey",
      "New.key",
      "-CAcreateserial",
      "-days",
      "9",
      "-out",
      "site.crt"
    )
    const parts = ["Old.crt", "New.crt", "site.key", "cross.crt", "site.crt"].map(read)
    const bundle = bundleOf(parts.join(""))
    assert.strictEqual(bundle.chainText, read("site.crt") + read("cross.crt"))
    // Without names of its own the common name counts.
    assert.deepStrictEqual([bundle.facts.names, bundle.facts.keyType], [["cn.example.com"], "RSA2048"])
    assert.strictEqual(bundleOf(parts.toReversed().join("")).chainText, bundle.chainText)
    assert.strictEqual(bundleOf(["New.crt", "site.key", "site.crt"].map(read).join("")).chainText, read("site.crt"))
  })

  it("cleans what strangers wrote", () => {
    writeFileSync(
      file("hostile.cnf"),
      [
        "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\nstring_mask=utf8only\nutf8=yes\n[dn]",
        `O=evil\u001b[2J\u202e ${"x".repeat(40)}`,
        "[ext]\nsubjectAltName=@names\n[names]",
        "DNS.1=UPPER.example.com\nDNS.2=upper.example.com\nDNS.3=has space\nDNS.4=<script>",
        "DNS.5=a\\, DNS:b\nIP.1=10.0.0.1\nDNS.6=_acme.example.com"
      ].join("\n")
    )
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ed25519",
      "-nodes",
      "-days",
      "9",
      "-config",
      "hostile.cnf",
      "-keyout",
      "h.key",
      "-out",
      "h.crt"
    )
    const { facts } = bundleOf(read("h.crt") + read("h.key"))
    assert.deepStrictEqual(facts.names, ["upper.example.com", "_acme.example.com"])
    assert.strictEqual(facts.issuer, `evil[2J ${"x".repeat(40)}`)
    assert.strictEqual(facts.keyType, "ED25519")
  })
})

describe("what is refused", () => {
  const key = createPrivateKey(one.key)
  const passphrase = { cipher: "aes-256-cbc", passphrase: "secret" } as const
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey
  const [leaf] = blocksOf(one.chain)
  const cases: ReadonlyArray<readonly [what: string, input: string, problem: RegExp]> = [
    ["nothing", "", /^holds no PEM block$/],
    ["garbage", "\u0000\u0001hello\n".repeat(50), /^holds no PEM block$/],
    ["DER", Buffer.from(new X509Certificate(leaf!).raw).toString("latin1"), /^holds no PEM block$/],
    ["no key", one.chain, /^holds no private key$/],
    ["no certificate", one.key, /^holds no certificate$/],
    ["a key of another certificate", mismatched(["example.com"]), /belongs to none of its certificates/],
    ["several keys", one.text + makeCertificate(["x.test"]).key, /^holds several private keys$/],
    ["a passphrase (PKCS #8)", one.chain + key.export({ type: "pkcs8", format: "pem", ...passphrase }), /passphrase/],
    ["a passphrase (RFC 1421)", one.chain + key.export({ type: "sec1", format: "pem", ...passphrase }), /passphrase/],
    [
      "a key of OpenSSH",
      `${one.chain}-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n`,
      /OpenSSH/
    ],
    [
      "a key that is none",
      `${one.chain}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`,
      /cannot be read/
    ],
    [
      "a certificate that is none",
      `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${one.text}`,
      /no certificate/
    ],
    ["a request", `${leaf!.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST")}${one.key}`, /^holds no certificate$/],
    ["a block that is cut off", one.text.slice(0, -40), /cut off or damaged/],
    ["a block with other characters", one.text.replace("\nMI", "\n<I"), /cut off or damaged/],
    ["a weak RSA key", authority(1).issue(["weak.test"], { key: weak }).text, /RSA key of 1024 bits/],
    [
      "too many certificates",
      authority(1).issueMany(Array.from({ length: 40 }, (_, n) => `n${n}.test`)).map(({ text }) => text).join(""),
      /^holds 80 certificates$/
    ],
    ["too much", one.text + " ".repeat(1024 * 1024), /larger than 1 MB/]
  ]

  it.each(cases)("%s", (_, input, problem) => {
    assert.match(problemOf(input), problem)
    const parsed = parseBundle(input)
    if (Result.isSuccess(parsed)) return
    const error = pemRefused("site.pem", parsed.failure)
    assert.match(error.message, /^site\.pem .*[^.]\.$/)
    assert.match(error.hint, /^[A-Z].*\.$/)
    // Nothing of what was given.
    for (const line of input.split("\n").filter((line) => line.length > 12 && !line.startsWith("-----"))) {
      assert.notInclude(`${error.message} ${error.hint}`, line)
    }
  })
})

it("a key is shown by nobody who prints a bundle", () => {
  const secret = canonical.lines.at(-2)!
  const bundle = bundleOf(one.text)
  for (const shown of [inspect(bundle, { depth: 9, showHidden: true }), JSON.stringify(bundle), String(bundle.text)]) {
    assert.notInclude(shown, secret)
  }
})

describe.each(realLines)("HAProxy $line", (binary) => {
  /** Does it start with this as its only certificate? */
  const starts = (text: string): string => {
    writeFileSync(file("check.pem"), text)
    writeFileSync(
      file("check.cfg"),
      `defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:1 ssl crt ${
        file("check.pem")
      }\n`
    )
    const { status, stderr } = spawnSync(binary.path, ["-c", "-f", file("check.cfg")], { encoding: "utf8" })
    return status === 0 ? "" : stderr
  }

  it("loads every kind of bundle, also of what it would not have loaded as it was", () => {
    const kinds = (["EC256", "EC384", "RSA2048", "ED25519"] as const).map((key) => makeCertificate(["k.test"], { key }))
    for (const { text } of [...kinds, one, makeCertificate(["alone.test"], { chain: 0 })]) {
      assert.strictEqual(starts(Redacted.value(bundleOf(text).text)), "")
    }
    const wrong = blocksOf(one.text).toReversed().join("")
    assert.match(starts(wrong), /inconsistencies between private key and certificate/)
    assert.strictEqual(starts(Redacted.value(bundleOf(wrong).text)), "")
  })

  it("refuses what is refused here", () => {
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey
    assert.match(starts(authority(1).issue(["weak.test"], { key: weak }).text), /ee key too small/)
    assert.match(starts(mismatched(["m.test"])), /inconsistencies/)
    assert.match(starts(one.chain), /No Private Key found/)
  })
})
