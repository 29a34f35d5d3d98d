/**
 * The official MCP Inspector's command line as a client of our server. It is no dependency of the project: with what
 * its web page needs it would be 77 MB more in everybody's `npm ci`, so it is installed into the cache folder, by its
 * own lock file in test/inspector, when its test runs.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import type { AnyClient, CallAnswer, Target } from "../mcp/harness.ts"
import { cleanEnv, startNode } from "./Process.ts"
import { root } from "./ServerProcess.ts"

const run = promisify(execFile)
const manifest = join(root, "test", "inspector")
const exists = (path: string) => stat(path).then(() => true, () => false)

/** Installs it unless it is there; answers the package's folder. */
export const installInspector = async (): Promise<string> => {
  const lock = await readFile(join(manifest, "package-lock.json"))
  const { dependencies } = JSON.parse(await readFile(join(manifest, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const cache = join(cacheFolder(), "inspector")
  const folder = join(cache, dependencies["@modelcontextprotocol/inspector"]!)
  const installed = join(folder, "node_modules", "@modelcontextprotocol", "inspector")
  const same = await readFile(join(folder, "package-lock.json")).then((there) => there.equals(lock), () => false)
  if (same && await exists(installed)) return installed
  await mkdir(cache, { recursive: true })
  const fresh = await mkdtemp(join(cache, "new-"))
  try {
    for (const file of ["package.json", "package-lock.json"]) await copyFile(join(manifest, file), join(fresh, file))
    const args = ["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    await run("npm", args, { cwd: fresh, env: cleanEnv(), timeout: 240_000 })
    await rm(folder, { recursive: true, force: true })
    await rename(fresh, folder)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  return installed
}

/** The arguments that name a server; over HTTP the newer era of the protocol, over stdio the older one. */
const targetArgs = (target: Target): ReadonlyArray<string> =>
  "url" in target
    ? [
      "--transport",
      "http",
      "--protocol-era",
      "modern",
      "--server-url",
      target.url,
      ...Object.entries(target.headers ?? {}).flatMap(([name, value]) => ["--header", `${name}: ${value}`])
    ]
    : [
      ...Object.entries(target.env).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
      "--transport",
      "stdio",
      target.command,
      ...target.args
    ]

/** `mcp-inspector --cli` as people run it, one process per call; its standard output. */
export const inspectorCommand = async (
  installed: string,
  target: Target,
  args: ReadonlyArray<string>
): Promise<string> => {
  const launcher = join(installed, "clients", "launcher", "build", "index.js")
  const { stdout } = await run(process.execPath, [launcher, "--cli", ...targetArgs(target), ...args], {
    env: cleanEnv(),
    timeout: 30_000
  })
  return stdout
}

/** Its command line in one process for the rest of the scope, as a client. `dir`: for the files of its answers. */
export const inspectorClient = Effect.fnUntraced(function*(installed: string, target: Target, dir: string) {
  const runner = yield* Effect.acquireRelease(
    Effect.sync(() =>
      startNode(
        join(import.meta.dirname, "McpInspectorRunner.ts"),
        [join(installed, "clients", "cli", "build", "index.js")],
        { limit: 180_000, env: { MCP_CATALOG_PATH: join(dir, "catalog.json") } }
      )
    ),
    (started) =>
      Effect.promise(() => {
        started.closeInput()
        return started.ended
      })
  )
  let calls = 0
  const output = join(dir, "inspector.json")
  const invoke = async (args: ReadonlyArray<string>): Promise<unknown> => {
    const done = `{"done":${++calls},`
    runner.write(`${JSON.stringify([...targetArgs(target), "--quiet", "--output", output, ...args])}\n`)
    const said = await runner.until(done)
    const text = await readFile(output, "utf8").catch(() => "")
    await rm(output, { force: true })
    if (text === "") throw new Error(`${args.join(" ")}: ${said.slice(said.indexOf(done))}`)
    return JSON.parse(text)
  }
  const client: Pick<AnyClient, "listTools" | "call"> = {
    listTools: async () =>
      (await invoke(["--method", "tools/list"]) as { readonly tools: Awaited<ReturnType<AnyClient["listTools"]>> })
        .tools,
    call: async (name, args) =>
      await invoke([
        "--method",
        "tools/call",
        "--tool-name",
        name,
        "--tool-args-json",
        JSON.stringify(args)
      ]) as CallAnswer
  }
  return client
})
