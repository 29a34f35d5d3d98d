/** Certificates and crt-lists as HAProxy shows them, what must not pass for a success, and what must not get out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Certificates from "../../src/haproxy/CertificateCommands.ts"
import * as CrtListFile from "../../src/haproxy/certificates/CrtListFile.ts"
import { findList, folderOfList, type PlaceOptions } from "../../src/haproxy/certificates/Place.ts"
import { payloadOf } from "../../src/haproxy/certificates/Refusals.ts"
import type { Command, Verdict } from "../../src/haproxy/Command.ts"
import * as CrtLists from "../../src/haproxy/CrtListCommands.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import * as Info from "../../src/haproxy/InfoCommands.ts"
import { makeBundle, makeCertificate } from "../support/Certificates.ts"

const value = <A>(verdict: Verdict<A>): A =>
  Result.isSuccess(verdict) ? verdict.success : assert.fail(`refused: ${verdict.failure.text}`)
const refusal = (verdict: Verdict<unknown>): string =>
  Result.isFailure(verdict) ? verdict.failure.text : assert.fail("it passed for a success")

const path = "/etc/haproxy/certs/a.pem"
const list = "/etc/haproxy/certs"

describe("every command on certificates", () => {
  const commands: ReadonlyArray<Command<unknown>> = [
    Certificates.list,
    Certificates.show(path),
    Certificates.make(path),
    Certificates.set(path, ["x"]),
    Certificates.commit(path),
    Certificates.abort(path),
    Certificates.del(path),
    CrtLists.lists,
    CrtLists.show(list),
    CrtLists.add(list, path),
    CrtLists.del(list, path)
  ]
  const strange = [
    "Unknown command: 'show', but maybe one of the following ones is a better match:\n  show info\n",
    "Permission denied\n",
    "[6]:Unknown command\n",
    `Committing ${path}.\nunable to load SSL private key\nFailed!\n`,
    "Transaction created for certificate /etc/haproxy/certs/another.pem!\n",
    "Success!\n"
  ]
  for (const command of commands) {
    it(`takes nothing strange for a success: ${command.words.join(" ")}`, () => {
      for (const answer of strange) {
        if (command === CrtLists.lists && answer === "Success!\n") continue
        assert.isTrue(Result.isFailure(command.parse(answer)), answer)
      }
      // Silent are the lists of a HAProxy that has nothing to list.
      assert.strictEqual(
        Result.isSuccess(command.parse("")),
        command === CrtLists.lists || command === Certificates.list
      )
    })
  }

  it("believes a subject nothing but itself", () => {
    const shown = value(
      Certificates.show(path).parse(
        `Filename: ${path}\nStatus: Unused\nSerial: 0A\nnotBefore: Nov  1 06:55:57 2026 GMT\n`
          + "notAfter: Dec  1 06:55:57 2026 GMT\nSubject Alternative Name: DNS:a.test, , DNS:*.a.test\n"
          + `Algorithm: EC256\nSHA1 FingerPrint: ${"AB".repeat(20)}\n`
          + "Subject: /CN=x: Status: Used\nIssuer: /CN=Chain Subject: y\nSerial: 0B\nStatus: Used\n"
          + "Chain Subject: /CN=one\nChain Issuer: /CN=two\nChain Subject: /CN=two\nChain Issuer: /CN=two\n"
          + "OCSP Response Key: \n"
      )
    )
    assert.deepStrictEqual(shown, {
      path,
      status: "Unused",
      serial: "0A",
      sha1: "AB".repeat(20),
      notAfter: Date.UTC(2026, 11, 1, 6, 55, 57),
      names: ["a.test", "*.a.test"],
      chain: 2
    })
    const empty = value(Certificates.show(path).parse(`Filename: ${path}\nStatus: Empty\nOCSP Response Key: \n`))
    assert.deepInclude(empty, { status: "Empty", sha1: "", chain: 0 })
  })

  it("takes a commit with warnings before its last line", () => {
    value(Certificates.commit(path).parse(`Committing ${path}..\nsome warning\nSuccess!\n`))
  })

  it("reads the lines of a list with their options", () => {
    assert.deepStrictEqual(
      value(
        CrtLists.show("/l").parse(
          "# /l\n/c/a b.pem:1\n/c/b.pem:12 [alpn h2\0,http/1.1\0 verify none] b.test !x.b.test\n"
        )
      ),
      [
        { certificate: "/c/a b.pem", line: 1, rest: "" },
        { certificate: "/c/b.pem", line: 12, rest: "[alpn h2,http/1.1 verify none] b.test !x.b.test" }
      ]
    )
    assert.isNull(value(CrtLists.show("/l").parse("didn't find the specified filename\n")))
  })

  it("lets no line of a payload out, even when HAProxy took it for a command", () => {
    const { text } = makeCertificate(["a.test"], { key: "RSA2048" })
    for (const line of text.split("\n").filter((one) => /^[A-Za-z0-9+/]{20,}=*$/.test(one))) {
      for (
        const answer of [
          `Unknown command: '${line}'\n`,
          `unable to load '${line}'\n`,
          `bad base64 at ${line}.\nCan't update ${path}!\n`,
          `x\n${line}\n`
        ]
      ) {
        for (const command of [Certificates.set(path, ["x"]), Certificates.commit(path), Certificates.make(path)]) {
          assert.notInclude(refusal(command.parse(answer)), line.slice(0, 16))
        }
      }
    }
    const open =
      "The ongoing transaction is about '/etc/haproxy/certificates/customers/b.pem' but you are trying to set"
    const other = refusal(Certificates.set(path, ["x"]).parse(`${open} '${path}'\nCan't update ${path}!\n`))
    assert.strictEqual(Certificates.otherTransaction(other), "/etc/haproxy/certificates/customers/b.pem")
    // A path is no such line.
    const long = `/etc/haproxy/certificates/customers-of-the-north/${"a".repeat(60)}.example.com.pem`
    assert.include(refusal(Certificates.set(long, ["x"]).parse(`Can't update ${long}!`)), long)
  })
})

describe("a payload", () => {
  const capabilities = (version: string) => Info.capabilities(version, new Set(), true)
  it("is as long as the line of HAProxy takes", () => {
    const bundle = makeBundle(Array.from({ length: 600 }, (_, n) => `n${n}.long-name.example.com`), { chain: 3 })
    const on30 = payloadOf(path, "a.pem", bundle, capabilities("3.0.11"))
    assert("_tag" in on30)
    assert.include(on30.hint, "3.4")
    const on34 = payloadOf(path, "a.pem", bundle, capabilities("3.4.7"))
    assert(!("_tag" in on34))
    assert.isAbove(on34.join("\n").length, 99_000)
    assert.isBelow(on34.join("\n").length, 120_000)
    assert("_tag" in payloadOf("/certs/a b.pem", "a b.pem", makeBundle(["a.test"]), capabilities("3.4.7")))
  })
})

describe("the place", () => {
  const options = (more: Partial<PlaceOptions> = {}): PlaceOptions => ({
    folder: "/opt/haproxy/certs",
    runtimeFolder: null,
    listFile: null,
    ...more
  })
  const kind = (lists: ReadonlyArray<string>, more: Partial<PlaceOptions> = {}) => {
    const found = findList(lists, options(more))
    return typeof found === "string" ? found : found.kind
  }

  it("is the one that is set, ours exactly, or the only one of that name", () => {
    assert.strictEqual(kind([]), "no-tls")
    assert.strictEqual(kind(["/etc/haproxy/ssl"]), "not-loaded")
    assert.strictEqual(kind(["/etc/haproxy/ssl", "/etc/haproxy/certs"]), "/etc/haproxy/certs")
    assert.strictEqual(kind(["/etc/haproxy/certs/", "/opt/haproxy/certs"]), "/opt/haproxy/certs")
    assert.strictEqual(kind(["/a/certs", "/b/certs"]), "ambiguous")
    assert.strictEqual(kind(["/a/certs", "/b/certs"], { runtimeFolder: "/b/certs/" }), "/b/certs")
    assert.strictEqual(kind(["/a/certs"], { runtimeFolder: "/b/certs" }), "not-loaded")
    assert.strictEqual(kind(["/my certs/certs"]), "unusable")
    assert.strictEqual(kind(["/certs"], { folder: "/opt/certs/" }), "/certs")
    const listFile = "/opt/haproxy/list.txt"
    assert.strictEqual(kind(["/opt/haproxy/certs"], { listFile }), "not-loaded")
    assert.strictEqual(kind(["/etc/haproxy/list.txt", "/opt/haproxy/certs"], { listFile }), "/etc/haproxy/list.txt")
  })

  it("finds the folder of a list of a file", () => {
    const file = options({ listFile: "/opt/haproxy/list.txt" })
    const folder = (certificates: ReadonlyArray<string>, at = "/etc/haproxy/list.txt", more = file) =>
      folderOfList(at, certificates, more)
    assert.strictEqual(folder(["/etc/haproxy/certs/a.pem", "/else/b.pem"]), "/etc/haproxy/certs")
    assert.strictEqual(folder(["/x/certs/a.pem", "/opt/haproxy/certs/b.pem"]), "/opt/haproxy/certs")
    assert.strictEqual(folder([]), "/etc/haproxy/certs")
    assert.strictEqual(folder([], "/opt/haproxy/list.txt"), "/opt/haproxy/certs")
    assert.strictEqual(folder([], undefined, { ...file, runtimeFolder: "/r/certs/" }), "/r/certs")
  })
})

describe("the file of a crt-list", () => {
  it.live("keeps what is not ours byte for byte, there and back", () =>
    Effect.gen(function*() {
      const file = join(tmpdir(), `crt-list-${process.pid}.txt`)
      yield* Effect.addFinalizer(() => Effect.promise(() => rm(file, { force: true })))
      const texts = [
        "",
        "# only a comment",
        "/c/a.pem\r\n\r\n  /c/b.pem [alpn h2] b.test\n#/c/x.pem\n/c/x.pem2\n",
        "/c/a.pem\n/c/b.pem[alpn h2]"
      ]
      const read = Effect.promise(() => readFile(file, "utf8"))
      for (const text of texts) {
        yield* Effect.promise(() => writeFile(file, text))
        const ended = text === "" || text.endsWith("\n") ? text : `${text}\n`
        const takeBack = yield* CrtListFile.append(localDisk, file, ["/c/x.pem", "/c/b.pem"])
        const added = text.includes("/c/b.pem") ? "/c/x.pem\n" : "/c/x.pem\n/c/b.pem\n"
        assert.strictEqual(yield* read, ended + added)
        yield* takeBack
        assert.strictEqual(yield* read, ended)
        const putBack = yield* CrtListFile.remove(localDisk, file, "/c/b.pem")
        assert.notMatch(yield* read, /^\s*\/c\/b\.pem(?!2)/m)
        yield* putBack
        assert.strictEqual(yield* read, ended)
      }
      yield* Effect.promise(() => rm(file))
      const error = yield* Effect.flip(CrtListFile.append(localDisk, file, ["/c/x.pem"]))
      assert.strictEqual(error._tag, "StorageFailed")
    }).pipe(Effect.scoped))
})
