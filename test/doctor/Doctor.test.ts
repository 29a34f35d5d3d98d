/** The doctor beside a real HAProxy, with everything that can be wrong made wrong. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFile, chmod, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { createConnection, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { examine } from "../../src/doctor/Doctor.ts"
import type { Report } from "../../src/doctor/Finding.ts"
import { Store } from "../../src/store/Store.ts"
import { newestLine, realLines, type Site, type SiteOptions, startHaproxy } from "../support/RealHaproxy.ts"
import { slotConfig } from "../support/SlotConfig.ts"

const limit = 60_000

const token = "tok_7Yw2mVq9ZtL4bXn0KdRfHsJcGpEaUi3o"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-doctor-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

type Env = Readonly<Record<string, string>>

const envOf = (site: Site, env: Env = {}): Env => ({
  MCP_HOST: "127.0.0.1",
  MCP_TOKEN: token,
  HAPROXY_RUNTIME_MODE: "unix",
  HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
  HAPROXY_MAP_FILE: site.domainsMap,
  HAPROXY_POOLS_FILE: site.poolsFile,
  HAPROXY_DB_FILE: join(site.dir, "state.db"),
  HAPROXY_POOL_COUNT: "4",
  HAPROXY_MAX_SLOTS: "3",
  ...env
})

/** A database of ours with nothing in it, closed again. */
const makeDatabase = (file: string) =>
  Effect.asVoid(Store).pipe(Effect.provide(Store.layer({ file, pools: { pools: 4, slots: 3 } })))

const findings = (report: Report, name: string) => report.findings.filter((finding) => finding.name === name)
const one = (report: Report, name: string) => {
  const found = findings(report, name)
  assert.strictEqual(found.length, 1, `${name}: ${JSON.stringify(found)}`)
  return found[0]!
}
/** What is not well, but for what the machine that tests may lack: a fast, large disk. */
const troubles = (report: Report) =>
  report.findings.filter(({ level }) => level !== "ok").map(({ name }) => name).filter((name) =>
    !["Disk", "Free space", "File system"].includes(name)
  )

/** Every file below a folder with its bytes. */
const contents = async (path: string): Promise<Readonly<Record<string, string>>> => {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(file, "latin1")])))
}

/** What HAProxy runs, without counters. */
const running = (haproxy: { readonly command: (line: string) => Effect.Effect<string> }, site: Site) =>
  Effect.all([
    haproxy.command(`show map ${site.domainsMap}`),
    haproxy.command(`show map ${site.wildcardsMap}`),
    haproxy.command("show map"),
    Effect.map(
      haproxy.command("show servers state"),
      (text) => text.replaceAll(/^(\S+ \S+ \S+ \S+ \S+ \S+).*$/gm, "$1")
    )
  ])

describe("a control plane that is well", () => {
  it.live.each(realLines.map((binary) => [binary.line, binary] as const))(
    "has nothing but the process and the token of the environment to find on %s, and nothing is changed",
    ([, binary]) =>
      Effect.gen(function*() {
        const haproxy = yield* startHaproxy({ binary, poolsFile: true, domains: ["a.example.com pool_1"] })
        const { site } = haproxy
        yield* makeDatabase(join(site.dir, "state.db"))
        yield* Effect.promise(() => writeFile(join(site.dir, "tokens.env"), `MCP_TOKEN=${token}x\n`, { mode: 0o600 }))
        const before = [yield* Effect.promise(() => contents(site.dir)), yield* running(haproxy, site)]
        const report = yield* examine({
          env: envOf(site, {
            MCP_TOKEN_FILE: join(site.dir, "tokens.env"),
            HAPROXY_MASTER_SOCKET: site.masterSocket,
            HAPROXY_BINARY: binary.path
          })
        })
        assert.deepStrictEqual(troubles(report), ["MCP_TOKEN", "Process"], JSON.stringify(report, null, 2))
        assert.strictEqual(report.status, "warning")
        assert.include(one(report, "Version").found, binary.line)
        assert.include(one(report, "Map files").found, "1 and 0 entries")
        assert.include(one(report, "Look-ups").found, "by tree")
        assert.include(one(report, "Pools").found, "4 pools of 3 slots")
        assert.include(one(report, "Cold start").found, "serves at once")
        assert.include(one(report, "Reload").found, site.masterSocket)
        assert.match(one(report, "Configuration").found, /^valid/)
        assert.include(one(report, "Contents").found, "revision 0")
        assert.include(one(report, "Token").found, "2 set")
        assert.include(one(report, "Exposure").found, "loopback")
        assert.notInclude(JSON.stringify(report), token)
        const after = [yield* Effect.promise(() => contents(site.dir)), yield* running(haproxy, site)]
        assert.deepStrictEqual(after, before)
      }).pipe(Effect.scoped),
    limit
  )
})

describe("settings", () => {
  it.live("that are wrong are all listed, unknown ones with the nearest", () =>
    Effect.gen(function*() {
      const report = yield* examine({
        env: { HAPROXY_PORT: "x", MCP_CALL_TIMEOUT: "1h", HAPROXY_MAPFILE: "a", MCP_TOKEN: "two words" }
      })
      const found = findings(report, "Settings").map((finding) => finding.found).join("\n")
      assert.strictEqual(report.status, "error")
      assert.strictEqual(findings(report, "Settings").length, 4)
      assert.include(found, "HAPROXY_PORT \"x\" must be a whole number")
      assert.include(found, "MCP_CALL_TIMEOUT")
      assert.include(found, "HAPROXY_MAPFILE is not a setting. Did you mean HAPROXY_MAP_FILE?")
      assert.notInclude(JSON.stringify(report), "two words")
    }))
})

/** Everything about the configuration that the doctor warns of. */
const badSite: SiteOptions = {
  domains: ["a.example.com pool_1", "b.example.com pool_2"],
  config: (site) =>
    slotConfig({
      pools: 4,
      slots: 3,
      httpPort: site.httpPort,
      runtimePort: site.runtimePort,
      runtimeSocket: site.runtimeSocket,
      domainsMap: site.domainsMap,
      wildcardsMap: site.wildcardsMap,
      frontend: [`http-request set-var(txn.slow) req.hdr(host),map_end(${site.wildcardsMap})`],
      sections: [
        "backend pool_5",
        "  server pool_5_1 0.0.0.0:80 disabled",
        "  server pool_5_2 192.0.2.1:1 disabled",
        "  server pool_5_3 192.0.2.1:1 disabled",
        ""
      ]
    }).replace(`ipv4@127.0.0.1:${site.runtimePort}`, `ipv4@0.0.0.0:${site.runtimePort}`)
}

describe("what is wrong is found, with the way to mend it", () => {
  it.live(
    "in haproxy.cfg, the maps, the files, the database and the tokens",
    () =>
      Effect.gen(function*() {
        const { site } = yield* startHaproxy(badSite)
        const db = join(site.dir, "state.db")
        const tokens = join(site.dir, "tokens.env")
        yield* Effect.promise(async () => {
          await appendFile(site.domainsMap, "c.example.com pool_3\n")
          await chmod(site.wildcardsMap, 0o666)
          await writeFile(db, "not a database at all".repeat(20))
          await chmod(db, 0o644)
          await writeFile(tokens, "hunter22\n", { mode: 0o644 })
          await mkdir(join(site.dir, "certs"))
          await writeFile(join(site.dir, "certs", "a.pem"), "key", { mode: 0o644 })
        })
        const { MCP_TOKEN: _, HAPROXY_POOLS_FILE: __, ...env } = envOf(site, {
          MCP_TOKEN_FILE: tokens,
          MCP_TRUSTED_CIDRS: "0.0.0.0/0",
          HAPROXY_CERT_DIR: join(site.dir, "certs"),
          HAPROXY_POOL_COUNT: "6",
          HAPROXY_MAX_SLOTS: "4"
        })
        const report = yield* examine({ env })
        const expected: ReadonlyArray<readonly [name: string, level: string, found: string, mend: string]> = [
          ["Exposure", "error", `0.0.0.0 port ${site.runtimePort}`, "stats socket"],
          ["Look-ups", "warning", "wildcards.map by map_end", "map_str"],
          ["Map files", "warning", "has 3, HAProxy 2", "serve"],
          ["Pools", "error", "lacks 1 of the 6 pools of HAPROXY_POOL_COUNT: pool_6", "HAPROXY_POOL_COUNT"],
          ["Slots", "error", "fewer than the 4 of HAPROXY_MAX_SLOTS in pool_1", "HAPROXY_MAX_SLOTS"],
          ["Placeholders", "error", "pool_5_1 at 0.0.0.0", "192.0.2.1:1 disabled"],
          ["Cold start", "warning", "answers 503", `HAPROXY_POOLS_FILE=${site.poolsFile}`],
          ["wildcards.map", "error", "mode 0666", "chmod o-w"],
          ["Certificates", "error", "a.pem", "chmod o="],
          ["Database", "warning", "mode 0644", "chmod 600"],
          ["Contents", "error", "another program", "HAPROXY_DB_FILE"],
          ["Token", "error", "could be guessed", "token new"],
          ["Token file", "error", "mode 0644", "chmod 600"],
          ["Trusted networks", "error", "0.0.0.0/0", "networks"]
        ]
        for (const [name, level, found, mend] of expected) {
          const finding = one(report, name)
          assert.strictEqual(finding.level, level, JSON.stringify(finding))
          assert.include(finding.found, found)
          assert.include(finding.mend, mend, name)
        }
        assert.notInclude(JSON.stringify(report), "hunter22")
        for (const { level, mend, name } of report.findings) assert.strictEqual(mend === null, level === "ok", name)
      }).pipe(Effect.scoped),
    limit
  )

  it.live(
    "when fewer pools are used than HAProxy has, and when HAProxy does not load pools.cfg or knows other maps",
    () =>
      Effect.gen(function*() {
        const { site } = yield* startHaproxy({ poolsFile: false })
        yield* Effect.promise(async () => {
          await writeFile(site.poolsFile, "")
          await appendFile(site.configFile, "\nbackend broken\n  bogus keyword\n")
        })
        const env = { HAPROXY_POOL_COUNT: "3", HAPROXY_MAX_SLOTS: "2", HAPROXY_BINARY: newestLine.path }
        const report = yield* examine({ env: envOf(site, env) })
        assert.include(one(report, "Pools").mend, "HAPROXY_POOL_COUNT=4")
        assert.include(one(report, "Slots").mend, "HAPROXY_MAX_SLOTS=3")
        assert.include(one(report, "Cold start").found, "a restart of it serves nothing by itself")
        assert.strictEqual(one(report, "Configuration").level, "error")
        assert.include(one(report, "Configuration").found, "bogus")
        const other = yield* examine({ env: envOf(site, { HAPROXY_MAP_FILE: join(site.dir, "hosts.map") }) })
        assert.include(one(other, "Maps").found, "HAProxy does not use")
        assert.strictEqual(one(other, "domains.map").level, "warning")
      }).pipe(Effect.scoped),
    limit
  )

  it.live("in a database with a broken page, which is not touched", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      const db = join(dir, "state.db")
      yield* makeDatabase(db)
      const size = (yield* Effect.promise(() => readFile(db))).length
      yield* Effect.promise(async () => {
        const file = await open(db, "r+")
        for (let page = 2; page < size / 4096; page++) await file.write(Buffer.alloc(2048, 0x5a), 0, 2048, page * 4096)
        await file.close()
      })
      const before = yield* Effect.promise(() => contents(dir))
      const report = yield* examine({ env: { HAPROXY_DB_FILE: db, HAPROXY_MAP_FILE: join(dir, "domains.map") } })
      assert.strictEqual(one(report, "Contents").level, "error")
      assert.include(one(report, "Contents").mend, "restore")
      assert.deepStrictEqual(yield* Effect.promise(() => contents(dir)), before)
    }).pipe(Effect.scoped))
})

describe("a Runtime API that does not answer as it should", () => {
  const lookAt = (env: Env) =>
    Effect.gen(function*() {
      const dir = yield* folder
      const report = yield* examine({
        env: { HAPROXY_MAP_FILE: join(dir, "domains.map"), HAPROXY_DB_FILE: join(dir, "state.db"), ...env }
      })
      const finding = one(report, "Runtime API")
      assert.strictEqual(finding.level, "error")
      assert.strictEqual(findings(report, "Maps").length, 0)
      return finding
    }).pipe(Effect.scoped)

  const server = (answer: (text: string) => string) =>
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
          const listener = createServer((socket) => {
            socket.on("error", () => {})
            socket.on("data", (chunk) => socket.write(answer(chunk.toString())))
          })
          listener.listen(0, "127.0.0.1", () => {
            const address = listener.address()
            assert(address !== null && typeof address === "object")
            resolve({ port: address.port, close: () => listener.close() })
          })
        })
      ),
      ({ close }) => Effect.sync(close)
    )

  it.live("is told apart: no socket, nobody there, another program, a name that is none", () =>
    Effect.gen(function*() {
      const absent = yield* lookAt({ HAPROXY_RUNTIME_MODE: "unix", HAPROXY_RUNTIME_SOCKET: "/nowhere/admin.sock" })
      assert.include(absent.found, "no Runtime API socket")
      assert.include(absent.mend, "HAPROXY_RUNTIME_SOCKET")
      const closed = yield* Effect.scoped(Effect.map(server(() => ""), ({ port }) => port))
      const refused = yield* lookAt({ HAPROXY_HOST: "127.0.0.1", HAPROXY_PORT: String(closed) })
      assert.include(refused.found, "nobody listens")
      assert.include(refused.mend, "systemctl start haproxy")
      const { port } = yield* server(() => "SSH-2.0-OpenSSH_9.2\r\n")
      const strange = yield* lookAt({ HAPROXY_HOST: "127.0.0.1", HAPROXY_PORT: String(port) })
      assert.include(strange.mend, "Another program")
    }).pipe(Effect.scoped))

  it.live("as one whose socket may not command, and one without a free connection", () =>
    Effect.gen(function*() {
      const sockets = yield* folder
      const user = join(sockets, "user.sock")
      const full = yield* startHaproxy({ global: ["stats maxconn 1", `stats socket ${user} mode 600 level user`] })
      const weak = yield* lookAt({ HAPROXY_RUNTIME_MODE: "unix", HAPROXY_RUNTIME_SOCKET: user })
      assert.include(weak.found, "level admin")
      assert.include(weak.mend, "level admin")
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<ReturnType<typeof createConnection>>((resolve) => {
            const socket = createConnection(full.site.runtimeSocket)
            socket.on("error", () => {})
            socket.once("data", () => resolve(socket))
            socket.write("prompt i; show version\n")
          })
        ),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const crowded = yield* lookAt({
        HAPROXY_RUNTIME_MODE: "unix",
        HAPROXY_RUNTIME_SOCKET: full.site.runtimeSocket
      })
      assert.include(crowded.found, "did not answer")
      assert.include(crowded.mend, "stats maxconn")
    }).pipe(Effect.scoped), limit)

  it.live("and a paused one, within ten seconds", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy()
      yield* Effect.acquireRelease(haproxy.pause, () => haproxy.resume)
      const begun = performance.now()
      const finding = yield* lookAt({
        HAPROXY_RUNTIME_MODE: "unix",
        HAPROXY_RUNTIME_SOCKET: haproxy.site.runtimeSocket
      })
      assert.include(finding.found, "did not answer")
      assert.isBelow(performance.now() - begun, 10_000)
    }).pipe(Effect.scoped), limit)
})
