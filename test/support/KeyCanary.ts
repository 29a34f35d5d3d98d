/** Recognises a private key in any text, however it was written: PEM of any form, rewrapped base64, hexadecimal. */
import { createPrivateKey } from "node:crypto"

/** Characters of a needle that are enough to be no accident. */
const enough = 24

/** The ways in which the secret number of an EC key may stand in a text. */
const needlesOf = (pem: string): ReadonlyArray<string> => {
  const { d } = createPrivateKey(pem).export({ format: "jwk" })
  if (d === undefined) throw new Error("not an EC key")
  const secret = Buffer.from(d, "base64url")
  const hex = secret.toString("hex")
  // Base64 of the same bytes differs with their place in what is encoded; the first and the last sign are of neighbours.
  const aligned = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), secret]).toString("base64").replace(/=+$/, "")
    const inner = text.slice(offset === 0 ? 0 : offset + 1, -1)
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")]
  })
  return [hex, ...aligned].map((needle) => needle.slice(0, enough))
}

/** Bytes as HAProxy and openssl print them, line ends and JSON's `\n` gone. */
const plain = (text: string): string => text.replaceAll(/\\[nr]|[\s:]/g, "")

/** Does a text hold this EC key (PEM), or the most part of it? */
export const holdsKey = (text: string, pem: string): boolean => {
  const searched = plain(text)
  const lower = searched.toLowerCase()
  return needlesOf(pem).some((needle, index) => (index === 0 ? lower : searched).includes(needle))
}
