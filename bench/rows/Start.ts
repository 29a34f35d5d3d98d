/**
 * Start of the built program, as a service manager or a pod starts it: from the spawn to the first 200 of /readyz, with
 * an empty database and a HAProxy that runs, against a Node that does nothing. V8's compile cache is warm, as it is from
 * the second start on; the first start after an update is stated beside it.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { cleanEnv } from "../../test/support/Process.ts"
import { startHaproxy } from "../../test/support/RealHaproxy.ts"
import { bundle } from "../Bundle.ts"
import { get, RawHttp } from "../RawHttp.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf } from "../Samples.ts"
import { ownPort } from "../World.ts"

const ended = (child: ReturnType<typeof spawn>) =>
  new Promise<void>((resolve) =>
    child.exitCode === null && child.signalCode === null ? child.once("close", () => resolve()) : resolve()
  )

/** Milliseconds until Node has run nothing and ended. */
const nothing = async (): Promise<number> => {
  const began = performance.now()
  const child = spawn(process.execPath, ["-e", "0"], { stdio: "ignore", env: cleanEnv({}) })
  await ended(child)
  return performance.now() - began
}

const ready = async (port: number, child: ReturnType<typeof spawn>): Promise<void> => {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`serve ended with ${child.exitCode}`)
    const good = await RawHttp.connect(port).then(async (connection) => {
      const { status } = await connection.send(get("localhost", "/readyz")).finally(() => connection.close())
      return status === 200
    }, () => false)
    if (good) return
    await new Promise<void>((resolve) => setTimeout(resolve, 1))
  }
}

export const start: Row = {
  name: "start",
  title: "Start of the bundle to ready, empty database, against a Node that does nothing",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("start: building")
    const program = yield* Effect.promise(() => bundle(bench))
    const haproxy = yield* startHaproxy({ binary: bench.haproxy, pools: 100, slots: 10 })
    const port = yield* ownPort
    const { site } = haproxy
    return yield* Effect.promise(async () => {
      const serve = async (): Promise<number> => {
        const folder = mkdtempSync(join(bench.folder, "start-"))
        const began = performance.now()
        const child = spawn(process.execPath, [program, "serve"], {
          stdio: "ignore",
          env: cleanEnv({
            MCP_HOST: "127.0.0.1",
            MCP_PORT: String(port),
            MCP_TOKEN: "a-token-of-the-benchmark",
            HAPROXY_RUNTIME_MODE: "unix",
            HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
            HAPROXY_MAP_FILE: site.domainsMap,
            HAPROXY_DB_FILE: join(folder, "haproxy_mcp.db"),
            NODE_COMPILE_CACHE: join(bench.folder, "compile-cache")
          })
        })
        try {
          await ready(port, child)
          return performance.now() - began
        } finally {
          child.kill("SIGTERM")
          await ended(child)
          rmSync(folder, { recursive: true, force: true })
        }
      }
      const first = await serve()
      await serve()
      bench.say("start: measuring")
      const rounds = await interleave({ rounds: bench.quick ? 3 : 5, samples: bench.quick ? 3 : 8 }, { serve, nothing })
      const measurement: Measurement = {
        name: "empty database",
        subject: duration("serve, ready", pool(rounds, "serve")),
        against: duration("node -e 0", pool(rounds, "nothing")),
        ratio: ratioOf(rounds.map((round) => median(round.serve) / median(round.nothing))),
        target: { atMost: 5 },
        details: { "the first start after an update": first }
      }
      return [measurement]
    })
  })
}
