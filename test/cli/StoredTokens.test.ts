/** `haproxy-mcp token new --name`, `list` and `revoke`: alone, and through the process that serves. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseExpiry } from "../../src/cli/StoredTokens.ts"
import { tokenId } from "../../src/domain/Token.ts"
import { runNode, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"

const limit = 60_000

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-stored-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

describe("tokens of the database", () => {
  it.live(
    "are made alone, let in with their rights, and are refused within a second of being revoked",
    () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const env = {
          MCP_PORT: "0",
          MCP_HOST: "127.0.0.1",
          MCP_TOKEN_FILE: "",
          HAPROXY_RUNTIME_MODE: "unix",
          HAPROXY_RUNTIME_SOCKET: join(dir, "nobody.sock"),
          HAPROXY_MAP_FILE: join(dir, "domains.map"),
          HAPROXY_DB_FILE: join(dir, "state.db")
        }
        const run = (...args: ReadonlyArray<string>) =>
          Effect.promise(() => runNode(program, ["token", ...args], { env, limit }))

        const made = yield* run("new", "--name", "ci", "--scope", "config", "--scope", "traffic,certs")
        assert.strictEqual(made.code, 0, made.stderr)
        const first = made.stdout.trim()
        const id = tokenId(first)
        assert(id !== null, "it has the form of a stored token")
        assert.include(made.stderr, `Made the token ci (${id}): traffic, config, certs until `)
        assert.notInclude(made.stderr, first)

        const running = yield* Effect.acquireRelease(
          Effect.sync(() => startNode(program, ["serve"], { env, limit })),
          (serving) =>
            Effect.promise(async () => {
              serving.signal("SIGKILL")
              await serving.ended
            })
        )
        const log = yield* Effect.promise(() => running.until("listening for MCP"))
        const line = log.split("\n").find((text) => text.includes("listening for MCP"))!
        const { port } = JSON.parse(line) as { readonly port: number }
        const status = (token: string | null, method = "tools/list", params: object = {}) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
              method: "POST",
              headers: {
                "content-type": "application/json",
                accept: "application/json, text/event-stream",
                ...(token === null ? {} : { authorization: `Bearer ${token}` })
              },
              body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
            })
            return [response.status, await response.text()] as const
          })
        // The stored token is authentication: nobody is let in without one, on this machine either.
        assert.strictEqual((yield* status(null))[0], 401)
        const [good, listed] = yield* status(first)
        assert.strictEqual(good, 200)
        assert.include(listed, "haproxy_add_domain")

        // Two live at once: the new one is made through the process that serves.
        const second = yield* run("new", "--name", "agent", "--domain", "*.Example.com", "--expires", "2h")
        assert.strictEqual(second.code, 0, second.stderr)
        const [, few] = yield* status(second.stdout.trim())
        assert.include(few, "haproxy_list_domains")
        assert.notInclude(few, "haproxy_add_domain")
        const [, refused] = yield* status(second.stdout.trim(), "tools/call", { name: "haproxy_reload", arguments: {} })
        assert.include(refused, "needs the scope config")

        const table = yield* run("list")
        assert.match(table.stdout, new RegExp(`^${id} +ci +good +traffic,config,certs +all `, "m"))
        assert.match(table.stdout, / agent +good +read +\*\.example\.com /)
        const json = yield* run("list", "--json")
        assert.deepInclude((JSON.parse(json.stdout) as ReadonlyArray<object>)[0], { id, name: "ci", status: "good" })

        const revoked = yield* run("revoke", id)
        assert.strictEqual(revoked.code, 0, revoked.stderr)
        assert.strictEqual((yield* status(first))[0], 401)
        assert.strictEqual((yield* status(second.stdout.trim()))[0], 200)
        const again = yield* run("revoke", id)
        assert.include(again.stdout, "was revoked")
        const unknown = yield* run("revoke", "zzzzzzzzzz")
        assert.strictEqual(unknown.code, 1)
        assert.include(unknown.stderr, "There is no token \"zzzzzzzzzz\"")

        // A crash forgets nothing of it, and no secret is anywhere.
        running.signal("SIGKILL")
        const { stderr, stdout } = yield* Effect.promise(() => running.ended)
        const after = yield* run("list")
        assert.match(after.stdout, new RegExp(`^${id} +ci +revoked`, "m"))
        const secrets = [first, second.stdout.trim()].map((token) => token.slice(-43))
        const files = yield* Effect.promise(async () =>
          Promise.all(
            (await readdir(dir, { recursive: true })).map((file) => readFile(join(dir, file), "latin1").catch(() => ""))
          )
        )
        const everything = [stdout, stderr, table.stdout, json.stdout, ...files].join("\n")
        for (const secret of secrets) assert.notInclude(everything, secret)
      }).pipe(Effect.scoped),
    120_000
  )

  it.each([
    [["new", "--name", "two words"], "no name of a token"],
    [["new", "--name", "ci", "--scope", "root"], "\"root\" is no scope"],
    [["new", "--name", "ci", "--domain", "*.*.example.com"], "neither a domain"],
    [["new", "--name", "ci", "--expires", "soon"], "--expires must be"],
    [["new", "--name", "ci", "--expires", "2001-01-01"], "in the past"],
    [["new", "--name", "ci", "--file", "f"], "--name is for the tokens of the database"],
    [["new", "--scope", "read"], "need --name"]
  ])("%j ends with 2 and prints no token", async (args, says) => {
    const dir = await mkdtemp(join(tmpdir(), "haproxy-mcp-stored-"))
    const env = { HAPROXY_DB_FILE: join(dir, "state.db"), HAPROXY_MAP_FILE: join(dir, "domains.map") }
    const { code, stderr, stdout } = await runNode(program, ["token", ...args], { env, limit })
    assert.deepStrictEqual([code, stdout], [2, ""], stderr)
    assert.include(stderr, says)
    await rm(dir, { recursive: true, force: true })
  })

  it("end when they are told to", () => {
    const now = Date.parse("2026-01-01T00:00:00Z")
    assert.strictEqual(parseExpiry("90d", now), Date.parse("2026-04-01T00:00:00Z"))
    assert.strictEqual(parseExpiry("12h", now), now + 12 * 3_600_000)
    assert.strictEqual(parseExpiry("2027-01-31", now), Date.parse("2027-01-31"))
    assert.isNull(parseExpiry("never", now))
    for (const odd of ["", "90", "d", "-1d", "2027-13-01", "tomorrow", "1e9d"]) {
      assert.isUndefined(parseExpiry(odd, now))
    }
  })
})
