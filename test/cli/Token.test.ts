/** `haproxy-mcp token`: strong, printed once, never those that are there; a file is good before, while and after. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeTokens, parseTokens, type TokenStore } from "../../src/mcp/Auth.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"

/** The name that a token goes by in logs. */
const nameOf = (found: ReturnType<TokenStore["find"]>) => typeof found === "string" ? found : found.principal.name

const limit = 60_000

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-token-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const token = (...args: ReadonlyArray<string>) => runNode(program, ["token", ...args], { limit })
const tokensIn = async (file: string) => parseTokens(await readFile(file, "utf8"))
const modeOf = async (file: string) => (await stat(file)).mode & 0o777

describe("token new", () => {
  it("prints one of 256 bits alone, and never the same", async () => {
    const [one, other] = await Promise.all([token("new"), token("new")])
    assert.deepStrictEqual([one.code, other.code], [0, 0])
    assert.match(one.stdout, /^[A-Za-z0-9_-]{43}\n$/)
    assert.notStrictEqual(one.stdout, other.stdout)
    assert.include(one.stderr, "Authorization: Bearer")
    assert.notInclude(one.stderr, one.stdout.trim())
    assert.match((await token("new", "--bytes", "16")).stdout, /^[A-Za-z0-9_-]{22}\n$/)
  })

  it.live(
    "writes a file that serve takes, and rotates in it without a moment when nobody may in",
    () =>
      Effect.gen(function*() {
        const dir = yield* folder
        yield* Effect.promise(async () => {
          const file = join(dir, "token.env")
          const first = await token("new", "--file", file)
          assert.deepStrictEqual([first.code, first.stdout], [0, ""])
          assert.strictEqual(await modeOf(file), 0o600)
          const [old] = await tokensIn(file)
          const store = makeTokens({ token: null, file, fileOptional: false })
          assert("find" in store)
          assert.strictEqual(nameOf(store.find(old!)), "token-1")

          const refused = await token("new", "--file", file)
          assert.strictEqual(refused.code, 2)
          assert.include(refused.stderr, "holds 1 token: say --add to keep them, or --replace")
          assert.deepStrictEqual(await tokensIn(file), [old!])

          const added = await token("new", "--file", file, "--add")
          assert.strictEqual(added.code, 0)
          const both = await tokensIn(file)
          assert.strictEqual(both.length, 2)
          assert.strictEqual(both[0], old)

          assert.strictEqual((await token("retire", "--file", file)).code, 0)
          assert.deepStrictEqual(await tokensIn(file), [both[1]!])
          assert.strictEqual((await token("new", "--file", file, "--replace")).code, 0)
          const last = await tokensIn(file)
          assert.strictEqual(last.length, 1)
          assert.notInclude(both, last[0]!)
          for (const said of [first, refused, added]) {
            for (const secret of [...both, ...last]) assert.notInclude(said.stdout + said.stderr, secret)
          }
          assert.deepStrictEqual(await readdir(dir), ["token.env"])
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live(
    "keeps what else is in the file, a link and the group's right to read, and takes others' rights away",
    () =>
      Effect.gen(function*() {
        const dir = yield* folder
        yield* Effect.promise(async () => {
          const file = join(dir, "real.env")
          const link = join(dir, "token.env")
          await writeFile(file, "# ours\nexport MCP_TOKEN='an-old-one-of-somebody'\nLOG_LEVEL=INFO\n")
          await chmod(file, 0o644)
          await symlink("real.env", link)
          assert.strictEqual((await token("new", "--file", link, "--add")).code, 0)
          const text = await readFile(file, "utf8")
          assert.match(
            text,
            /^# ours\nexport MCP_TOKEN='an-old-one-of-somebody'\nLOG_LEVEL=INFO\n# added .*\nMCP_TOKEN=.*\n$/
          )
          assert.strictEqual(await modeOf(file), 0o640)
          assert.strictEqual((await token("retire", "--file", link)).code, 0)
          assert.match(await readFile(file, "utf8"), /^# ours\nLOG_LEVEL=INFO\n# added .*\nMCP_TOKEN=.*\n$/)
          assert.deepStrictEqual((await readdir(dir)).sort(), ["real.env", "token.env"])
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.each([
    [["new", "--add"], "need --file"],
    [["new", "--file", "f", "--add", "--replace"], "exclude each other"],
    [["new", "--bytes", "8"], "from 16 to 256"],
    [["new", "--bytes", "many"], "--bytes"]
  ])("%j ends with 2 and writes nothing", async (args, says) => {
    const { code, stderr, stdout } = await token(...args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, says)
  })

  it("ends with 1 where nothing can be written, and where there is nothing to retire", async () => {
    const nowhere = await token("new", "--file", "/nowhere/token.env")
    assert.strictEqual(nowhere.code, 1)
    assert.include(nowhere.stderr, "/nowhere")
    assert.strictEqual((await token("retire", "--file", "/nowhere/token.env")).code, 1)
  })
})
