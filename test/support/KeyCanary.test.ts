/** The canary is heard in every form that a key may take, and in nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { createPrivateKey } from "node:crypto"
import { makeCertificate } from "./Certificates.ts"
import { holdsKey } from "./KeyCanary.ts"

const { chain, key } = makeCertificate(["canary.example.com"])
const keyObject = createPrivateKey(key)
const jwk = keyObject.export({ format: "jwk" })
const der = (type: "pkcs8" | "sec1") => keyObject.export({ type, format: "der" })

describe("a key is recognised", () => {
  it.each([
    ["as SEC 1", key],
    ["as PKCS #8", keyObject.export({ type: "pkcs8", format: "pem" }).toString()],
    ["within JSON", JSON.stringify({ log: `a line\n${key}` })],
    ["in lines of another length", der("pkcs8").toString("base64").replaceAll(/.{31}/g, "$&\r\n")],
    ["as URL-safe base64", `x${der("sec1").toString("base64url")}`],
    ["as hexadecimal with colons", der("sec1").toString("hex").toUpperCase().replaceAll(/../g, "$&:")],
    ["as JWK", JSON.stringify(jwk)]
  ])("%s", (_, text) => assert.isTrue(holdsKey(`before ${text} after`, key)))

  it("and its certificate, another key and the public one are not", () => {
    assert.isFalse(holdsKey(chain, key))
    assert.isFalse(holdsKey(makeCertificate(["canary.example.com"]).text, key))
    assert.isFalse(holdsKey(JSON.stringify({ ...jwk, d: undefined }), key))
  })
})
