/** The shell functions that keep secrets out of argument lists, in the shells that run acme.sh. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import { createHmac } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { quiet } from "../../src/acme/Quiet.ts"
import { available } from "../support/Available.ts"
import { commandLines, recordArguments } from "../support/CommandLines.ts"

const secret = "canary-\"quoted\\\"-$HOME-`id`-'x'-\\n-%s-ä"
const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-quiet-"))
const functions = join(folder, "quiet.sh")
writeFileSync(functions, quiet)

let server: Server
let url = ""
let requests: Array<{ method: string; path: string; headers: Record<string, unknown>; body: string }> = []
let seen: Array<string> = []

beforeAll(() =>
  new Promise<void>((resolve) => {
    server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8")
      request.on("data", (part: string) => body += part)
      request.on("end", () => {
        seen.push(...commandLines().filter((line) => line.includes("canary-")))
        requests.push({ method: request.method!, path: request.url!, headers: request.headers, body })
        response.writeHead(201, { "X-Test": "yes" }).end("answer\n")
      })
    }).listen(0, "127.0.0.1", () => {
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      resolve()
    })
  })
)
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a script with the secret in its environment. */
const run = (shell: ReadonlyArray<string>, script: string) =>
  new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
    requests = []
    seen = []
    const [program = "", ...words] = shell
    const env = { PATH: process.env["PATH"], SECRET: secret, QUERY: "canary-query", URL: url, OUT: folder }
    execFile(
      program,
      [...words, "-c", `. '${functions}'; ${script}`],
      { env, timeout: 20_000 },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr })
    )
  })

const busybox = (await ensureProgram("busybox")).path
const shells = [["dash"], ["bash"], [busybox, "sh"]].filter(([program = "", ...words]) =>
  available(`the quiet functions in ${program}`, program, ...words, "-c", ":")
)

describe.each(shells.map((shell) => [basename(shell[0]!), shell] as const))("%s", (_, shell) => {
  it("curl sends what it was given and shows none of it", async () => {
    const { code, stdout } = await run(
      shell,
      `HEADERS="curl --silent --dump-header $OUT/header -L -g "
       $HEADERS --user-agent "a b" -X POST -H "Authorization: Bearer $SECRET" -H "" -H "X-Two: 2" --data "{\\"key\\":\\"$SECRET\\",
 \\"b\\": 1}" "$URL/path?token=$QUERY"`
    )
    assert.deepStrictEqual([code, stdout], [0, "answer\n"])
    const { body, headers, method, path } = requests[0]!
    assert.deepStrictEqual([method, path, headers["user-agent"], headers["x-two"]], [
      "POST",
      "/path?token=canary-query",
      "a b",
      "2"
    ])
    assert.strictEqual(Buffer.from(String(headers["authorization"]), "latin1").toString(), `Bearer ${secret}`)
    assert.strictEqual(body, `{"key":"${secret}",\n "b": 1}`)
    assert.match(readFileSync(join(folder, "header"), "utf8"), /^HTTP\/1\.1 201[\s\S]*X-Test: yes/)
    assert.deepStrictEqual(seen, [])
  })

  it("an option of curl that is not known goes to it as it is; its exit code comes back", async () => {
    const { stdout } = await run(shell, "curl --silent --http1.0 \"$URL/x\"; echo \"code $?\"")
    assert.strictEqual(stdout, "answer\ncode 0\n")
    const failed = await run(shell, "curl --silent http://127.0.0.1:1/; echo \"code $?\"; curl --version | head -c 4")
    assert.strictEqual(failed.stdout, "code 7\ncurl")
  })

  it("an HMAC is what openssl would make of it", async () => {
    const hex = Buffer.from(secret).toString("hex")
    const { stdout } = await run(
      shell,
      `printf '%s' message | _hmac sha256 ${hex} 1; printf '%s' message | _hmac sha1 ${hex} | od -An -tx1 | tr -d ' \\n'`
    )
    const expected = (algorithm: string) => createHmac(algorithm, Buffer.from(secret)).update("message").digest("hex")
    assert.strictEqual(stdout, `${expected("sha256")}\n${expected("sha1")}`)
  })

  it("an HMAC of each length of key, and of bytes that no text has", async () => {
    const keys = ([[1, "sha256"], [64, "sha256"], [65, "sha256"], [128, "sha512"], [129, "sha512"]] as const).map((
      [length, algorithm]
    ) => [Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length) & 0xff)), algorithm] as const)
    // RFC 4231, 4.2 and 4.7.
    const vectors = [
      [Buffer.alloc(20, 0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
      [
        Buffer.alloc(131, 0xaa),
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ]
    ] as const
    const hmac = (algorithm: string, key: Buffer, octets: string) =>
      `printf '${octets}' | _hmac ${algorithm} ${key.toString("hex")} 1`
    const { stdout } = await run(
      shell,
      [
        ...keys.map(([key, algorithm]) => hmac(algorithm, key, "a\\000b\\377")),
        ...vectors.map(([key, text]) => hmac("sha256", key, text)),
        "printf x | _hmac sha3 00 1 || echo refused"
      ].join("; ")
    )
    const data = Buffer.from([0x61, 0, 0x62, 0xff])
    const expected = keys.map(([key, algorithm]) => createHmac(algorithm, key).update(data).digest("hex"))
    assert.deepStrictEqual(stdout.trim().split("\n"), [...expected, ...vectors.map(([, , hex]) => hex), "refused"])
  })

  it("the key of an HMAC is in no argument list, whatever openssl does meanwhile", async () => {
    const { path, recorded } = recordArguments(mkdtempSync(join(folder, "hmac-")), ["openssl", "od", "tr", "cat"])
    const key = Buffer.from(`canary-${"long ".repeat(30)}`).toString("hex")
    const { stdout } = await run(shell, `PATH='${path}'; printf '%s' message | _hmac sha256 ${key} 1`)
    const expected = createHmac("sha256", Buffer.from(key, "hex")).update("message").digest("hex")
    assert.deepStrictEqual([stdout, recorded().includes("openssl dgst -sha256 -binary")], [`${expected}\n`, true])
    for (const part of [key.slice(0, 20), "canary", "\\1"]) assert.notInclude(recorded(), part)
  })

  it("a setting that is saved twice counts as it was saved last; a line break is refused", async () => {
    const { stdout } = await run(
      shell,
      `_setopt "$OUT/conf-$$" NAME = "'one&|'"; _setopt "$OUT/conf-$$" NAME = "'two'" ";"
       _setopt "$OUT/conf-$$" NAME = "'a
b'" || echo refused; . "$OUT/conf-$$"; echo "$NAME"`
    )
    assert.strictEqual(stdout, "refused\ntwo\n")
  })
})

it("the functions that they replace are acme.sh's own", async () => {
  const { acmeProgram, newAcmeProgram } = await import("../support/Pebble.ts")
  for (const file of [acmeProgram, await newAcmeProgram()]) {
    const names = ["_setopt", "_hmac"].filter((name) =>
      new RegExp(`^${name}\\(\\) \\{$`, "m").test(readFileSync(file, "utf8"))
    )
    assert.deepStrictEqual(names, ["_setopt", "_hmac"], file)
    assert.strictEqual(spawnSync("dash", ["-n", file]).status, 0)
  }
})
