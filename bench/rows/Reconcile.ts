/**
 * Bringing a HAProxy that lost everything to the desired state of 100,000 domains and 1,000 servers: what comes after a
 * restart whose files were empty. Maps are cleared and slots put back by hand, so that rounds can follow one another.
 * Ours looks first, changes, and reads everything back; the floor sends the same bytes and waits for their answers.
 */
import * as Effect from "effect/Effect"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import type { Edit } from "../../src/domain/Change.ts"
import { defaultWeight, type PoolNumber, type SlotNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { Store } from "../../src/store/Store.ts"
import { rawServers, rawSwap } from "../floors/RawSwap.ts"
import { RuntimeLinkFloor } from "../floors/RuntimeLink.ts"
import { startPlane } from "../Plane.ts"
import { limits } from "../Population.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, pool, ratioOf, timed } from "../Samples.ts"
import { makeWorld, startOrigin, startTwin } from "../World.ts"

/** Every slot of every pool: 1,000. */
const allServers = (port: number) =>
  Array.from({ length: limits.pools * limits.slots }, (_, index) => ({
    pool: Math.floor(index / limits.slots) + 1,
    slot: index % limits.slots + 1,
    port
  }))

/** Servers for the slots that the population left empty, and owners for the free pools. */
const fill = (file: string, port: number) =>
  Effect.gen(function*() {
    const store = yield* Store
    const there = new Set((yield* store.allServers).map((server) => `${server.pool}/${server.slot}`))
    const owned = yield* store.owners(Array.from({ length: limits.pools }, (_, index) => index + 1 as PoolNumber))
    const edits: Array<Edit> = []
    for (let number = 1; number <= limits.pools; number++) {
      const own = number as PoolNumber
      if (owned.has(own)) continue
      const name = `full-${number}.example.net` as RouteName
      const seq = yield* store.nextSeq
      edits.push({ kind: "owner", pool: own, before: null, after: name })
      edits.push({ kind: "route", name, before: null, after: { name, pool: own, implicit: false, seq } })
    }
    for (const each of allServers(port)) {
      if (there.has(`${each.pool}/${each.slot}`)) continue
      const server = {
        pool: each.pool as PoolNumber,
        slot: each.slot as SlotNumber,
        ip: "127.0.0.1" as ServerIp,
        port: port as Port,
        weight: defaultWeight,
        state: "ready"
      } as const
      edits.push({ kind: "server", pool: server.pool, slot: server.slot, before: null, after: server })
    }
    yield* store.commit(store.apply(edits))
  }).pipe(Effect.provide(Store.layer({ file, pools: limits })))

/** Loses everything, as a restart with empty files does. */
const lose = async (link: RuntimeLinkFloor, maps: ReadonlyArray<string>) => {
  await link.exchange([
    ...maps.map((map) => `clear map ${map}`),
    ...allServers(1).flatMap(({ pool, slot }) => {
      const name = `pool_${pool}/pool_${pool}_${slot}`
      return [`set server ${name} state maint`, `set server ${name} addr 192.0.2.1 port 1`]
    })
  ])
}

export const reconcileRow: Row = {
  name: "reconcile",
  title: "Everything lost: back to 100k domains and 1,000 servers",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const domains = bench.quick ? 10_000 : 100_000
    bench.say("reconcile: preparing")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains, originPort })
    const { site } = world.haproxy
    yield* fill(world.database, originPort)
    const plane = yield* startPlane(site, world.database, false)
    const twin = yield* startTwin(bench, site)
    const connect = (path: string) =>
      Effect.acquireRelease(
        Effect.promise(() => RuntimeLinkFloor.connect(path)),
        (floor) => Effect.sync(() => floor.close())
      )
    const here = yield* connect(site.runtimeSocket)
    const there = yield* connect(twin.site.runtimeSocket)
    const routes = yield* Effect.promise(() => plane.run(Effect.flatMap(Store, (store) => store.allRoutes)))
    const entries = (wild: boolean) =>
      routes.filter(({ name }) => name.startsWith("*") === wild).map(({ name, pool }) =>
        `${wild ? name.slice(1) : name} pool_${pool}`
      )
    const [exact, wild] = [entries(false), entries(true)]
    const ours = [site.runtimeDomainsMap, site.runtimeWildcardsMap]
    const theirs = [twin.site.runtimeDomainsMap, twin.site.runtimeWildcardsMap]
    bench.say("reconcile: measuring")
    const repair = async () => {
      await lose(here, ours)
      const milliseconds = await timed(() =>
        plane.run(Effect.flatMap(PoolAllocator, (allocator) => allocator.reconcile))
      )
      const found = await here.exchange([`get map ${ours[0]} ${exact[0]!.split(" ")[0]}`])
      if (!found.includes("found=yes")) throw new Error(`it is not there again: ${found}`)
      return milliseconds
    }
    const rounds = yield* Effect.promise(() =>
      interleave({ rounds: bench.quick ? 2 : 5, samples: 1 }, {
        ours: repair,
        raw: async () => {
          await lose(there, theirs)
          return timed(async () => {
            await rawServers(there, allServers(originPort))
            await rawSwap(there, theirs[0]!, exact)
            await rawSwap(there, theirs[1]!, wild)
          })
        }
      })
    )
    yield* Effect.promise(() =>
      bench.profiler.record("reconcile", async () => {
        for (let turn = 0; turn < 10; turn++) await repair()
      })
    )
    const measurement: Measurement = {
      name: `${domains / 1000}k domains, 1,000 servers`,
      subject: duration("reconcile", pool(rounds, "ours")),
      against: duration("raw pipelined bytes", pool(rounds, "raw")),
      ratio: ratioOf(rounds.map((each) => each.ours[0]! / each.raw[0]!)),
      target: { atMost: 3 }
    }
    return [measurement]
  })
}
