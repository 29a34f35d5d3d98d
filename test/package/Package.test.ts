/**
 * The package as its users get it: packed by `npm pack`, installed elsewhere from the tarball without any dependency
 * of development, then used: its program over a real HAProxy, its types in a consumer's project, its examples.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { afterAll } from "vitest"
import { copySources, installInto, pack, versionSaid } from "../../scripts/release/Package.ts"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { callMessage, post } from "../mcp/harness.ts"
import { startOrigin } from "../support/Origin.ts"
import { cleanEnv } from "../support/Process.ts"
import { newestLine, startHaproxy } from "../support/RealHaproxy.ts"
import { root, settingsOf, startServer } from "../support/ServerProcess.ts"

const run = promisify(execFile)
const token = "a-token-of-a-consumer"
const shape = { pools: 3, slots: 3 }

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const folderIn = (parent: string): string => {
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, "haproxy-mcp-"))
  folders.push(folder)
  return folder
}

/** A copy of the sources below the repository's packages: `npm pack` builds, and others use the repository's dist. */
const packed = (): Promise<string> => {
  const copy = folderIn(join(root, ".cache", "package"))
  copySources(root, copy)
  return pack(copy, cleanEnv())
}

/** A consumer's project with the tarball and the examples; nothing of the repository can be found from there. */
const installed = async (tarball: string): Promise<string> => {
  const consumer = folderIn(tmpdir())
  await installInto(consumer, tarball, cleanEnv())
  cpSync(join(consumer, "node_modules", "haproxy-mcp", "examples"), consumer, { recursive: true })
  return consumer
}

const filesBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))

let consumer = ""
beforeAll(async () => {
  consumer = await installed(await packed())
}, 360_000)

const inConsumer = (command: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  run(command, args, { cwd: consumer, env: cleanEnv(env), timeout: 60_000 })

describe("the package", () => {
  it("holds the program, the library, its types and what people read, and nothing else", () => {
    const folder = join(consumer, "node_modules", "haproxy-mcp")
    const files = filesBelow(folder)
    for (const file of ["LICENSE", "README.md", "CHANGELOG.md", "dist/haproxy-mcp.js", "docs/library.md"]) {
      assert.include(files, file)
    }
    const known =
      /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/[\w.-]+\.js|dist\/types\/.*\.d\.ts|docs\/.*|examples\/[\w.-]+)$/
    assert.deepStrictEqual(files.filter((file) => !known.test(file)), [])
    const machine = [root, tmpdir() + "/haproxy-mcp-", process.env["HOME"] ?? root].filter((path) => path.length > 5)
    for (const file of files) {
      const text = readFileSync(join(folder, file), "utf8")
      for (const path of machine) assert.notInclude(text, path, `${file} names a path of this machine`)
    }
    const types = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { readonly exports: object }
    for (const target of JSON.stringify(types.exports).matchAll(/"\.\/(dist\/[^"]+)"/g)) {
      assert.include(files, target[1])
    }
  })

  it("documents the examples as they are", () => {
    const guide = readFileSync(join(root, "docs", "library.md"), "utf8")
    for (const file of readdirSync(join(root, "examples"))) {
      assert.include(
        guide,
        readFileSync(join(root, "examples", file), "utf8").trim(),
        `${file} differs in docs/library.md`
      )
    }
  })

  it("shows its version and help through npx", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string }
    assert.strictEqual(await versionSaid(consumer, cleanEnv()), `haproxy-mcp ${version}`)
    assert.include((await inConsumer("npx", ["haproxy-mcp", "--help"])).stdout, "serve")
  })

  it("has types that compile in a consumer's project, its examples included", async () => {
    const compilerOptions = {
      target: "ES2024",
      lib: ["ES2024", "ESNext.Disposable", "ESNext.Iterator", "DOM"],
      module: "nodenext",
      moduleResolution: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      erasableSyntaxOnly: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [join(root, "node_modules", "@types")]
    }
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
    const require = createRequire(import.meta.url)
    const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc")
    const { stdout } = await inConsumer(process.execPath, [tsc, "-p", "."]).catch((
      error: { readonly stdout: string }
    ) => error)
    assert.strictEqual(stdout, "")
  })

  it("lets a user test a layer of his own with FakeHaproxy", async () => {
    const { stdout } = await inConsumer(process.execPath, ["--test", "--test-reporter=tap", "Shops.test.ts"])
    assert.match(stdout, /^# pass 3$/m)
    assert.match(stdout, /^# fail 0$/m)
  })

  it.live("serves a real HAProxy, and so do the examples", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ binary: newestLine, ...shape })
      const origin = yield* startOrigin("the origin")
      const env = { ...settingsOf(haproxy.site, shape), MCP_TOKEN: token }
      const start = (...command: [string, ...Array<string>]) => startServer({ env, token, command, cwd: consumer })
      const body = (host: string) => Effect.map(haproxy.get(host), ({ body }) => body)

      const program = yield* start(join(consumer, "node_modules", ".bin", "haproxy-mcp"), "serve")
      yield* Effect.promise(() => program.ready())
      const args = { domain: "packed.example.com", ip: "127.0.0.1", http_port: origin.port }
      const added = yield* Effect.promise(() => program.client().call("haproxy_add_domain", args))
      assert.strictEqual(added.code, "OK", JSON.stringify(added))
      assert.strictEqual(yield* body("packed.example.com"), "the origin")
      yield* Effect.promise(() => program.stop())

      const names = ["127.0.0.1", "one.example.com", "two.example.com", "0.example"]
      const lines = yield* Effect.promise(() => inConsumer(process.execPath, ["add-domains.ts", ...names], env))
      assert.include(lines.stdout, "one.example.com: pool_2\n")
      assert.include(lines.stdout, "two.example.com: pool_3\n")
      assert.match(lines.stderr, /0\.example: POOL_EXHAUSTED: /)

      const own = yield* start(process.execPath, "own-tool.ts")
      yield* Effect.promise(() => own.ready())
      const question = callMessage("domain_count", {})
      const counted = yield* Effect.promise(() =>
        post(`${own.url}/mcp`, question, { authorization: `Bearer ${token}` })
      )
      assert.deepInclude(JSON.parse(counted.text), { result: { content: [{ type: "text", text: "3" }] } })
      const health = yield* Effect.promise(() => own.client().call("haproxy_health", {}))
      assert.strictEqual(health.code, "OK", JSON.stringify(health))
      const { code } = yield* Effect.promise(() => own.stop())
      assert.oneOf(code, [0, 130, 143])
      console.log(
        `the package: ${defaultNames.length} tools and one of a consumer's own, HAProxy ${newestLine.version}`
      )
    }).pipe(Effect.scoped), 120_000)
})
