/** The demo itself, as a process: it proves every step, says clearly why it cannot start, and leaves nothing behind. */
import { readdirSync, readFileSync } from "node:fs"
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import { runNode, startNode } from "../support/Process.ts"
import { filesBelow, Secrets } from "../support/Secrets.ts"
import { freeOffset, listen } from "./support/Offset.ts"

const demo = join(import.meta.dirname, "../../scripts/demo.ts")
/** Above the demo's own limit. */
const limit = 150_000
const cache = process.env["HAPROXY_MCP_CACHE"]
const options = { limit, env: cache === undefined ? {} : { HAPROXY_MCP_CACHE: cache } }

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Processes that were started with a file of the demo's folder among their arguments. */
const remaining = (): ReadonlyArray<string> => {
  const folder = resolve(import.meta.dirname, "../../.demo")
  const commandOf = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
    } catch {
      return ""
    }
  }
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(commandOf).filter((text) =>
    text.includes(folder)
  )
}

/** Where the keys of the demo that has just ended are seen, besides their own files. */
const leaks = (output: string): ReadonlyArray<string> => {
  const root = resolve(import.meta.dirname, "../../.demo")
  const [certificates, acme] = [join(root, "certs"), join(root, "acme")]
  const secrets = new Secrets()
  const keys = filesBelow(certificates).map(({ content }) => content.toString())
  expect(keys.length).toBeGreaterThan(0)
  for (const key of keys) secrets.addKey("a key", key)
  const others = filesBelow(root, [certificates, acme]).map(({ content, path }) => ({ path, text: content }))
  return [{ path: "the output", text: output }, ...others].filter(({ text }) => secrets.in(text).length > 0)
    .map(({ path }) => path)
}

const controlPlanePid = (output: string): number =>
  Number(/The control plane is ready.*\(pid (\d+)\)/.exec(output)?.[1])

// One after the other: the demo has one work folder.
describe("the demo", () => {
  it("ends before anything is started when a port is taken, and names the way out", async () => {
    const offset = await freeOffset()
    const close = await listen(9999 + offset)
    try {
      const ended = await runNode(demo, ["--once", "--port-offset", String(offset)], options)
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain(`Port ${9999 + offset} (HAProxy's Runtime API) is taken`)
      expect(ended.stderr).toMatch(/npm run demo -- --port-offset \d+/)
      expect(ended.stdout).not.toContain("✓")
      expect(ended.stderr).not.toContain("    at ")
    } finally {
      await close()
    }
  })

  it("proves every step and is gone", { timeout: limit }, async () => {
    const ended = await runNode(demo, ["--once", "--port-offset", String(await freeOffset())], options)
    expect(ended.stderr).toBe("")
    expect(ended.stdout).toMatch(/\n14 passed, 0 failed\n$/)
    expect(ended.stdout).toMatch(/Swapped A for B under load: [\d,]+ requests, 0 failed/)
    expect(ended.stdout).toMatch(
      /Two calls from nothing to HTTPS on example\.net, with a (?:certificate that Pebble issued|self-signed certificate)/
    )
    expect(ended.stdout).toMatch(/certificate for .*, issuer .*, \d+ days left/)
    expect(ended.stdout).toMatch(
      /200 from origin B over HTTP\/2(?: and over HTTP\/3)? \(TLSv1\.3\), the chain verified/
    )
    expect(ended.code).toBe(0)
    expect(leaks(ended.stdout + ended.stderr)).toEqual([])
    expect(remaining()).toEqual([])
    const pid = controlPlanePid(ended.stdout)
    expect(pid).toBeGreaterThan(0)
    expect(isAlive(pid)).toBe(false)
  })

  it("without a CA shows a certificate that signs itself, and says so", { timeout: limit }, async () => {
    // A machine that has HAProxy, but neither openssl nor curl, and no Debian to fetch them from.
    const bare = await mkdtemp(join(tmpdir(), "haproxy-mcp-bare-"))
    const tools = join(bare, "bin")
    await mkdir(tools)
    await symlink("/usr/bin/readlink", join(tools, "readlink"))
    await symlink(join(cacheFolder(), "haproxy"), join(bare, "haproxy"))
    const env = { HAPROXY_MCP_CACHE: bare, PATH: tools }
    const ended = await runNode(demo, ["--once", "--port-offset", String(await freeOffset())], { ...options, env })
      .finally(() => rm(bare, { recursive: true, force: true }))
    expect(ended.stderr).toBe("")
    expect(ended.stdout).toMatch(/No CA here, so the certificate of this tour will be a self-signed one/)
    expect(ended.stdout).toMatch(/openssl could not be fetched: \S+ cannot be run on this machine/)
    expect(ended.stdout).toMatch(/Two calls from nothing to HTTPS on example\.net, with a self-signed certificate/)
    expect(ended.stdout).toMatch(/issuer example\.net, 89 days left/)
    expect(ended.stdout).toMatch(/Node's HTTP\/2: 200 from origin B over HTTP\/2 \(TLSv1\.3\), the chain verified/)
    expect(ended.stdout).toMatch(
      /HTTP\/3 skipped, not shown: curl could not be fetched: \S+ cannot be run on this machine/
    )
    expect(ended.stdout).toMatch(/\n14 passed, 0 failed\n$/)
    expect(ended.code).toBe(0)
  })

  it("that is stopped half-way fails, and is gone too", { timeout: limit }, async () => {
    const running = startNode(demo, ["--once", "--port-offset", String(await freeOffset())], options)
    const output = await running.until("The control plane is ready")
    running.signal("SIGTERM")
    const ended = await running.ended
    expect(ended.code).toBe(128 + 15)
    expect(ended.stdout).toMatch(/\d passed, 1 failed, \d not run\n$/)
    expect(isAlive(controlPlanePid(output))).toBe(false)
    expect(remaining()).toEqual([])
  })
})
