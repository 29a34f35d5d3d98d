/**
 * `kill -9` of the serving process, again and again on the same database, files and HAProxy: at its start, and while
 * six clients write over HTTP. HAProxy serves on without it, the next life finds what was acknowledged, and makes all
 * three the same again.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { Dice } from "../program/Verbs.model.ts"
import { dumpFiles, dumpRuntime } from "../support/Dump.ts"
import { poll } from "../support/Poll.ts"
import { realLines, type Site, startHaproxy } from "../support/RealHaproxy.ts"
import { databaseOf, settingsOf } from "../support/Settings.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { Life, type Shipped, shipped, storedAfterKill } from "./Life.ts"
import { acknowledgedBy, base, Writer, writeUntilGone } from "./Writers.ts"

const shape = { pools: 24, slots: 3, poolsFile: true }
const clients = 6
const kills = 10
/** A life is killed within so many milliseconds of its start; or so many of some acknowledged write, of the first 20. */
const startTime = 250
const writes = 20
const writeTime = 8

const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const dumpLive = (site: Site) => dumpRuntime(site.runtimeSocket, [site.runtimeDomainsMap, site.runtimeWildcardsMap])
const dumpDisk = (site: Site) =>
  dumpFiles({ domains: site.domainsMap, wildcards: site.wildcardsMap, pools: site.poolsFile })

const chain = (program: Shipped, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const binary = realLines[seed % realLines.length]!
    const { site } = yield* startHaproxy({
      ...shape,
      binary,
      sections: [`defaults ${poolsDefaults} from base`, ""]
    })
    const env = settingsOf(site, { ...shape, env: { LOG_LEVEL: "INFO" } })
    const writers = Array.from({ length: clients }, (_, id) => new Writer(id, new Dice(seed * 64 + id)))
    const tally: Record<string, number> = { [`on ${binary.line}`]: kills }
    const count = counting(tally)
    const database = () => storedAfterKill(databaseOf(site), shape)
    const acknowledged = () => acknowledgedBy(writers)
    /** Starts one and waits; it is killed at once when the scope ends before its time. */
    const life = Effect.acquireRelease(
      Effect.sync(() => new Life(program, env)),
      (one) => Effect.promise(() => one.kill())
    )
    const agree = Effect.fnUntraced(function*(dump: string, note: string) {
      assert.strictEqual(yield* dumpLive(site), dump, `HAProxy is not the database ${note}`)
      assert.strictEqual(yield* dumpDisk(site), dump, `the files are not the database ${note}`)
    })
    yield* Effect.scoped(Effect.gen(function*() {
      const first = yield* life
      yield* Effect.promise(async () => {
        await first.ready()
        const code = await first.client()("haproxy_add_domain", { domain: base.domain, ip: base.ip })
        assert.strictEqual(code, "OK")
      })
    }))
    for (let kill = 1; kill <= kills; kill++) {
      const note = `(seed ${seed}, kill ${kill})`
      yield* Effect.scoped(Effect.gen(function*() {
        const before = yield* database()
        const one = yield* life
        if (dice.next(4) === 0) {
          yield* Effect.promise(async () => {
            await after(dice.next(startTime))
            await one.kill()
          })
          count("killed at its start")
          return
        }
        assert.isTrue(yield* Effect.promise(() => one.ready()))
        yield* agree(before, `after its start ${note}`)
        for (const writer of writers) writer.learn(before)
        yield* Effect.promise(async () => {
          const writing = Promise.all(writers.map((writer) => writeUntilGone(writer, one.client())))
          const begun = acknowledged()
          const enough = 1 + dice.next(writes)
          const moment = poll("writes go through", () => acknowledged() >= begun + enough ? true : undefined)
          await Promise.race([moment, writing])
          await after(dice.next(writeTime))
          await one.kill()
          await writing
        })
        count("killed while it wrote")
      }))
      const now = yield* database()
      for (
        const [where, dump] of [["in the database", now], ["live", yield* dumpLive(site)], [
          "in the files",
          yield* dumpDisk(site)
        ]] as const
      ) {
        for (const writer of writers) writer.check(dump, `${where} ${note}`)
      }
    }
    yield* Effect.scoped(Effect.gen(function*() {
      const before = yield* database()
      const last = yield* life
      assert.isTrue(yield* Effect.promise(() => last.ready()))
      yield* agree(before, `at the end (seed ${seed})`)
    }))
    count("acknowledged", acknowledged())
    return tally
  }).pipe(Effect.scoped)

export const killed: Campaign = {
  name: "kills",
  title:
    "kill -9 of the serving process at its start and under six clients; what was acknowledged is there, live, on disk",
  unit: "kills",
  perCase: kills,
  full: 2_000,
  short: 10,
  minutes: 8,
  concurrency: 3,
  limit: 120_000,
  inMemory: false,
  mustSee: ["killed at its start", "killed while it wrote", "acknowledged"],
  open: Effect.map(shipped, (program) => ({ run: (seed) => chain(program, seed) }))
}
