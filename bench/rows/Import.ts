/**
 * `haproxy-mcp import` of 100,000 domains into a running `serve`, from the start of the command to its end: the file is
 * read and checked, one commit, live and read back, files written. Against DESIGN's five seconds, and for information
 * against the raw swap of the same map entries. Each round has a database and a HAProxy of its own.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { bundle } from "../Bundle.ts"
import { rawSwap } from "../floors/RawSwap.ts"
import { RuntimeLinkFloor } from "../floors/RuntimeLink.ts"
import { nameOf, ownerOf } from "../Population.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { median, ratioOf, timed } from "../Samples.ts"
import { startServe } from "../Serve.ts"
import { makeWorld, startOrigin, startTwin, type World } from "../World.ts"

/** Owners that are there before. */
const owners = 40

/** Milliseconds that DESIGN gives it. */
const limit = 5_000

const namesOf = (domains: number) => Array.from({ length: domains }, (_, index) => nameOf(index + owners))

const runImport = (program: string, world: World, file: string): Promise<void> => {
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  const child = spawn(process.execPath, [program, "import", file], {
    env: { PATH: process.env["PATH"], HAPROXY_DB_FILE: world.database },
    stdio: ["ignore", "ignore", "pipe"]
  })
  let said = ""
  child.stderr.on("data", (chunk: Buffer) => said += chunk.toString())
  child.once("close", (code) => code === 0 ? resolve() : reject(new Error(`the import ends with ${code}: ${said}`)))
  return promise
}

const round = Effect.fnUntraced(function*(bench: Bench, domains: number, originPort: number) {
  const world = yield* makeWorld(bench, { domains: 0, originPort, poolsFile: true })
  const { site } = world.haproxy
  const program = yield* Effect.promise(() => bundle(bench))
  yield* startServe(bench, world, "import", program)
  const names = namesOf(domains)
  const file = join(site.dir, "import.csv")
  writeFileSync(file, `domain,shares_with\n${names.map((name, index) => `${name},${ownerOf(index)}\n`).join("")}`)
  const ours = yield* Effect.promise(() => timed(() => runImport(program, world, file)))
  const twin = yield* startTwin(bench, site)
  const link = yield* Effect.acquireRelease(
    Effect.promise(() => RuntimeLinkFloor.connect(twin.site.runtimeSocket)),
    (floor) => Effect.sync(() => floor.close())
  )
  const exact = names.map((name, index) => `${name} pool_${index % owners + 1}`)
  const wild = names.flatMap((name, index) =>
    name.startsWith("customer-") ? [`.${name} pool_${index % owners + 1}`] : []
  )
  const raw = yield* Effect.promise(() =>
    timed(async () => {
      await rawSwap(link, twin.site.runtimeDomainsMap, exact)
      await rawSwap(link, twin.site.runtimeWildcardsMap, wild)
    })
  )
  return { ours, raw }
})

export const importRow: Row = {
  name: "import",
  title: "Import of 100k domains: validated, durable, live",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const domains = bench.quick ? 10_000 : 100_000
    const originPort = yield* startOrigin(bench)
    const rounds: Array<{ readonly ours: number; readonly raw: number }> = []
    for (let turn = 0; turn < (bench.quick ? 1 : 3); turn++) {
      bench.say(`import: round ${turn + 1}`)
      rounds.push(yield* Effect.scoped(round(bench, domains, originPort)))
    }
    const ours = rounds.map((each) => each.ours)
    const raw = rounds.map((each) => each.raw)
    const scale = domains / 100_000
    const subject = duration("haproxy-mcp import", ours)
    const measurements: ReadonlyArray<Measurement> = [
      {
        name: `${domains / 1000}k domains`,
        subject,
        against: { what: "limit", value: limit * scale, unit: "ms" },
        ratio: ratioOf(ours.map((value) => value / (limit * scale))),
        // A tenth of the rows takes more than a tenth of the time: the command has to start.
        ...(bench.quick ? {} : { target: { atMost: 1 } }),
        details: { "domains per second": domains / median(ours) * 1_000 }
      },
      {
        name: `${domains / 1000}k domains, raw`,
        subject,
        against: duration("raw map swap", raw),
        ratio: ratioOf(rounds.map((each) => each.ours / each.raw))
      }
    ]
    return measurements
  })
}
