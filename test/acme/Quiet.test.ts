/** The shell functions that keep secrets out of argument lists, in the shells that run acme.sh. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import { createHmac } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { quiet } from "../../src/acme/Quiet.ts"
import { available } from "../support/Available.ts"
import { commandLines } from "../support/CommandLines.ts"

const secret = "canary-\"quoted\\\"-$HOME-`id`-'x'-\\n-%s-ä"
const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-quiet-"))
const functions = join(folder, "quiet.sh")
writeFileSync(functions, quiet(process.execPath))

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

const shells = [["dash"], ["bash"], ["busybox", "sh"]].filter(([program = "", ...words]) =>
  available(`the quiet functions in ${program}`, program, ...words, "-c", ":")
)

describe.each(shells.map((shell) => [shell.join(" "), shell] as const))("%s", (_, shell) => {
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
