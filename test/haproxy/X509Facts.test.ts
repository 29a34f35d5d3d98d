/** What a certificate says of itself, also in a process that has not loaded TLS yet. */
import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { join } from "node:path"
import { issuerOf } from "../../src/haproxy/certificates/X509Facts.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { startCommand } from "../support/Process.ts"

describe("the issuer", () => {
  it.each([
    ["plain", "Plain CA"],
    ["with what names are built of", "A, B + C = \"D\" <E>; #F \\ G/CN=H"],
    ["in other scripts", "Zertifikat für 東京 ☃"],
    ["that looks like two lines", "evil\nCN=good.example.com"]
  ])("%s is the common name as it stands in the certificate", (_, name) => {
    const { chain } = new FastAuthority(name).issue(["a.example.com"])
    // oxlint-disable-next-line no-control-regex
    assert.strictEqual(issuerOf(new X509Certificate(chain)), `${name} Intermediate`.replace(/[\u0000-\u001f]/g, ""))
  })
})

describe("a process that reads a certificate before it speaks TLS", () => {
  it("can speak TLS then", async () => {
    const module = join(import.meta.dirname, "..", "..", "src", "haproxy", "certificates", "Pem.ts")
    const script = `
      const { parseBundle } = await import(${JSON.stringify(module)})
      const bundle = parseBundle(${JSON.stringify(makeCertificate(["a.example.com"]).text)})
      const tls = await import("node:tls")
      console.log(bundle._tag, typeof tls.createSecureContext)
    `
    const { stdout } = await startCommand(process.execPath, ["--input-type=module", "--eval", script]).ended
    assert.strictEqual(stdout, "Success function\n")
  })
})
