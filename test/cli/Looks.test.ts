/** `doctor` and `status --nagios` beside a process that serves, and the exit codes that scripts rely on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmod, readFile } from "node:fs/promises"
import { join } from "node:path"
import type { Finding, Report } from "../../src/doctor/Finding.ts"
import { becomes } from "../support/Poll.ts"
import { runNode, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"

const limit = 120_000
const secret = "a5_Jq2VwXo9LzRt7Kd0NcHs4GmBeUy1PfIb8TvQ6xYk"

/** Findings that depend on the machine that tests. */
const ofMachine = ["Disk", "Free space", "File system", "Clock"]

const notWell = (report: Report): ReadonlyArray<Finding> =>
  report.findings.filter(({ level, name }) => level !== "ok" && !ofMachine.includes(name))

describe("looking from outside", () => {
  it.live(
    "sees a serving process through its socket, changes nothing, and says with the exit code how it is",
    () =>
      Effect.gen(function*() {
        const haproxy = yield* startHaproxy({ poolsFile: true, sections: ["defaults haproxy_mcp_pools from base", ""] })
        const { site } = haproxy
        const db = join(site.dir, "state.db")
        const env = {
          MCP_HOST: "127.0.0.1",
          MCP_PORT: "0",
          MCP_TOKEN: secret,
          HAPROXY_RUNTIME_MODE: "unix",
          HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
          HAPROXY_MAP_FILE: site.domainsMap,
          HAPROXY_POOLS_FILE: site.poolsFile,
          HAPROXY_DB_FILE: db,
          HAPROXY_POOL_COUNT: "4",
          HAPROXY_MAX_SLOTS: "3"
        }
        const run = (...args: ReadonlyArray<string>) => Effect.promise(() => runNode(program, args, { env, limit }))
        const serving = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const running = startNode(program, ["serve"], { env, limit })
            await running.until("listening for MCP")
            return running
          }),
          (running) =>
            Effect.promise(async () => {
              running.signal("SIGKILL")
              await running.ended
            })
        )
        yield* Effect.promise(() =>
          becomes("in sync", async () =>
            (await runNode(program, ["status", "--nagios"], { env, limit })).stdout.startsWith("HAPROXY-MCP OK"))
        )
        const nagios = yield* run("status", "--nagios")
        assert.strictEqual(nagios.code, 0)
        assert.match(
          nagios.stdout,
          /^HAPROXY-MCP OK - .* \| domains=0 pools=0;;;0;4 servers=0 drift=0 queue=0 certificates=0 certificates_failing=0\n$/
        )

        const files = [db, `${db}-wal`, site.domainsMap, site.wildcardsMap, site.poolsFile]
        const bytes = Effect.promise(() =>
          Promise.all(files.map((file) =>
            readFile(file, "latin1")
          ))
        )
        const before = yield* bytes
        const well = yield* run("doctor", "--json")
        const report = JSON.parse(well.stdout) as Report
        // This token stands in the environment, which is worth a word.
        assert.deepStrictEqual(
          notWell(report).map(({ level, name }) => [name, level]),
          [["MCP_TOKEN", "warning"]],
          well.stdout
        )
        assert.strictEqual(well.code, report.status === "ok" ? 0 : 3)
        assert.include(JSON.stringify(report), `serves as process ${serving.pid}`)
        assert.notInclude(well.stdout + well.stderr, secret)
        assert.deepStrictEqual(yield* bytes, before)

        // Other settings than those of serve, and a file that everybody may write.
        yield* Effect.promise(() => chmod(site.wildcardsMap, 0o666))
        const bad = yield* run("doctor", "--haproxy-pool-count", "3")
        assert.strictEqual(bad.code, 1)
        assert.match(bad.stdout, /^ {2}error +wildcards\.map: .*\n +mend: +`chmod o-w /m)
        assert.include(bad.stdout, "serve has HAPROXY_POOL_COUNT 4, here it is 3")
        assert.notInclude(bad.stdout, "\u001b")
        yield* Effect.promise(() => chmod(site.wildcardsMap, 0o644))

        yield* haproxy.kill
        yield* Effect.promise(() =>
          becomes(
            "HAProxy's absence is seen",
            async () => (await runNode(program, ["status"], { env, limit })).code !== 0
          )
        )
        assert.include([1, 2], (yield* run("status", "--nagios")).code)
        assert.strictEqual((yield* run("doctor")).code, 1)

        serving.signal("SIGTERM")
        assert.strictEqual((yield* Effect.promise(() => serving.ended)).code, 0)
        const nobody = yield* run("status", "--nagios")
        assert.deepStrictEqual([nobody.code, nobody.stdout.slice(0, 20)], [2, "HAPROXY-MCP CRITICAL"])
        assert.strictEqual((yield* run("status", "--json")).code, 1)
        assert.strictEqual((yield* run("status", "--mcp-port", "1")).code, 2)
        assert.strictEqual((yield* run("doctor", "extra")).code, 2)
      }).pipe(Effect.scoped),
    limit
  )
})
