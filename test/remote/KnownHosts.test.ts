import { assert, describe, it } from "@effect/vitest"
import { createHmac } from "node:crypto"
import { fingerprintOf, judge, offers, parseKnownHosts, pinned } from "../../src/remote/KnownHosts.ts"

const blob = (type: string, fill: number): Buffer => {
  const name = Buffer.from(type)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(name.length)
  return Buffer.concat([head, name, Buffer.alloc(40, fill)])
}
const ed = blob("ssh-ed25519", 1)
const rsa = blob("ssh-rsa", 2)
const line = (names: string, key: Buffer, type = key === rsa ? "ssh-rsa" : "ssh-ed25519") =>
  `${names} ${type} ${key.toString("base64")}`
const hashed = (name: string): string => {
  const salt = Buffer.alloc(20, 9)
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`
}
const verdict = (text: string, key = ed, host = "edge.example.com", port = 22) =>
  judge(parseKnownHosts(text, host, port), key)

describe("known_hosts", () => {
  it.each<readonly [what: string, text: string, port: number, is: string]>([
    ["a plain name", line("edge.example.com", ed), 22, "known"],
    ["one of several names", line("a,edge.example.com,10.0.0.1", ed), 22, "known"],
    ["a name in other letters", line("Edge.Example.COM", ed), 22, "known"],
    ["a wildcard", line("*.example.com", ed), 22, "known"],
    ["a question mark", line("edg?.example.com", ed), 22, "known"],
    ["a wildcard with an exception", line("*.example.com,!edge.example.com", ed), 22, "unknown"],
    ["a dot that is no wildcard", line("edge.exampleXcom", ed), 22, "unknown"],
    ["a hashed name", line(hashed("edge.example.com"), ed), 22, "known"],
    ["the hash of another name", line(hashed("other.example.com"), ed), 22, "unknown"],
    ["a hash of an unknown kind", line("|2|aaaa|bbbb", ed), 22, "unknown"],
    ["a port", line("[edge.example.com]:2222", ed), 2222, "known"],
    ["a hashed name with a port", line(hashed("[edge.example.com]:2222"), ed), 2222, "known"],
    ["another port", line("[edge.example.com]:2222", ed), 22, "unknown"],
    ["a name without the port that is used", line("edge.example.com", ed), 2222, "unknown"],
    ["another key", line("edge.example.com", blob("ssh-ed25519", 7)), 22, "changed"],
    ["a key of another type", line("edge.example.com", rsa), 22, "changed"],
    ["both keys", `${line("edge.example.com", rsa)}\n${line("edge.example.com", ed)}`, 22, "known"],
    ["a comment behind the key", `${line("edge.example.com", ed)} root@edge`, 22, "known"],
    ["a revoked key", `${line("edge.example.com", ed)}\n@revoked ${line("*", ed)}`, 22, "revoked"],
    ["an authority", `@cert-authority ${line("*.example.com", ed)}`, 22, "unknown"],
    [
      "comments, empty lines and rubbish",
      "# x\n\n \nedge.example.com\nedge.example.com ssh-ed25519 !!!\n",
      22,
      "unknown"
    ],
    ["a type that is not the key's", line("edge.example.com", ed, "ssh-rsa"), 22, "unknown"],
    ["an unknown marker", `@other ${line("edge.example.com", ed)}`, 22, "unknown"],
    ["a file of Windows", `${line("edge.example.com", ed)}\r\n`, 22, "known"]
  ])("knows %s", (_, text, port, is) => {
    assert.strictEqual(verdict(text, ed, "edge.example.com", port), is)
  })

  it("says the line of a key, and that an authority is there", () => {
    const known = parseKnownHosts(`# first\n${line("edge", ed)}\n@cert-authority ${line("edge", rsa)}`, "edge", 22)
    assert.deepStrictEqual(known.keys.map((key) => key.line), [2])
    assert.isTrue(known.hasAuthority)
  })
})

describe("pinned keys", () => {
  it("are keys and fingerprints, and nothing else is believed", () => {
    assert.strictEqual(judge(pinned([`ssh-ed25519 ${ed.toString("base64")}`]), ed), "known")
    assert.strictEqual(judge(pinned([fingerprintOf(ed)]), ed), "known")
    assert.strictEqual(judge(pinned([fingerprintOf(rsa), fingerprintOf(ed)]), ed), "known")
    assert.strictEqual(judge(pinned([fingerprintOf(rsa)]), ed), "changed")
  })
})

describe("the algorithms that are offered", () => {
  it("are those of the known keys, never SHA-1", () => {
    assert.deepStrictEqual(offers(parseKnownHosts(line("edge", rsa), "edge", 22)), [["rsa-sha2-512", "rsa-sha2-256"]])
    assert.deepStrictEqual(offers(parseKnownHosts(`${line("edge", rsa)}\n${line("edge", ed)}`, "edge", 22)), [
      ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"]
    ])
  })

  it("are tried by type where only a fingerprint is known, and all where nothing is", () => {
    assert.deepStrictEqual(offers(pinned([fingerprintOf(rsa)])).map(([first]) => first), [
      "ssh-ed25519",
      "ecdsa-sha2-nistp256",
      "rsa-sha2-512"
    ])
    assert.lengthOf(offers(parseKnownHosts("", "edge", 22)), 1)
    assert.notInclude(offers(parseKnownHosts("", "edge", 22)).flat() as ReadonlyArray<string>, "ssh-rsa")
  })
})
