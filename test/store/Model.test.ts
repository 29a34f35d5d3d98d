/** Random commits of random edits, some of them taken back, against a model in memory; now and then a restart. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { type Edit, inverse, type Route } from "../../src/domain/Change.ts"
import type { Server } from "../../src/domain/Pool.ts"
import { isWildcard, type RouteName } from "../../src/domain/RouteName.ts"
import type { Store } from "../../src/store/Store.ts"
import {
  folder,
  limits,
  ownerEdit,
  pool,
  route,
  routeEdit,
  server,
  serverEdit,
  withStore,
  write
} from "./support/Fixture.ts"

/** mulberry32: the same numbers for the same seed, so that a failure can be repeated. */
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * below)
  }
}

class Model {
  routes = new Map<string, Route>()
  servers = new Map<string, Server>()
  owners = new Map<number, RouteName>()

  copy(): Model {
    const copy = new Model()
    copy.routes = new Map(this.routes)
    copy.servers = new Map(this.servers)
    copy.owners = new Map(this.owners)
    return copy
  }

  apply(edits: ReadonlyArray<Edit>): void {
    const put = <K, V>(map: Map<K, V>, key: K, value: V | null) =>
      void (value === null ? map.delete(key) : map.set(key, value))
    for (const edit of edits) {
      if (edit.kind === "route") put(this.routes, edit.name, edit.after)
      else if (edit.kind === "server") put(this.servers, `${edit.pool}/${edit.slot}`, edit.after)
      else put(this.owners, edit.pool, edit.after)
    }
  }

  /** One edit that fits, of any kind. */
  edit(below: (n: number) => number, seq: number): Edit {
    const kind = below(3)
    const number = 1 + below(limits.pools)
    if (kind === 0) {
      const text = `${below(4) === 0 ? "*" : "host"}${below(4)}.example.com`.replace(/^\*\d/, "*.w")
      const before = this.routes.get(text) ?? null
      const after = before !== null && below(2) === 0
        ? null
        : route(text, number, before?.seq ?? seq, below(2) === 0)
      return routeEdit(before, after)
    }
    if (kind === 1) {
      const index = 1 + below(limits.slots)
      const before = this.servers.get(`${number}/${index}`) ?? null
      const after = before !== null && below(2) === 0 ? null : server(number, index, `10.0.0.${1 + below(250)}`)
      return serverEdit(before, after)
    }
    const before = this.owners.get(number) ?? null
    return ownerEdit(number, before, before === null ? `host${below(4)}.example.com` : null)
  }
}

const seen = (store: Store["Service"]) =>
  Effect.gen(function*() {
    const sorted = <A>(rows: ReadonlyArray<A>) => rows.map((row) => JSON.stringify(row)).sort()
    const routesOf: Record<number, number> = {}
    for (let number = 1; number <= limits.pools; number++) {
      routesOf[number] = yield* store.countRoutesOf(pool(number))
      assert.strictEqual((yield* store.routesOf(pool(number), 100)).length, routesOf[number])
    }
    return {
      routes: sorted(yield* store.allRoutes),
      servers: sorted(yield* store.allServers),
      free: yield* store.freePools(0, limits.pools),
      counts: yield* store.counts,
      routesOf,
      revision: yield* store.revision
    }
  })

const expected = (model: Model, revision: number) => {
  const sorted = <A>(rows: Iterable<A>) => [...rows].map((row) => JSON.stringify(row)).sort()
  const all = Array.from({ length: limits.pools }, (_, index) => pool(index + 1))
  const routes = [...model.routes.values()]
  const filled = new Set<number>([...model.servers.values()].map((server) => server.pool))
  return {
    routes: sorted(routes),
    servers: sorted(model.servers.values()),
    free: all.filter((number) => !model.owners.has(number) && !filled.has(number)),
    counts: {
      domains: routes.filter((one) => !isWildcard(one.name)).length,
      wildcards: routes.filter((one) => isWildcard(one.name)).length,
      poolsUsed: model.owners.size,
      poolsDeclared: limits.pools,
      servers: model.servers.size
    },
    routesOf: Object.fromEntries(all.map((number) => [number, routes.filter((one) => one.pool === number).length])),
    revision
  }
}

describe("the store against a model", () => {
  for (const seed of [1, 2, 3]) {
    it.live(`agrees after every commit (seed ${seed})`, () =>
      Effect.scoped(Effect.gen(function*() {
        const file = join(yield* folder, "desired.db")
        const below = random(seed)
        let model = new Model()
        let revision = 0
        for (let life = 0; life < 4; life++) {
          yield* withStore(file, (store) =>
            Effect.gen(function*() {
              assert.deepStrictEqual(yield* seen(store), expected(model, revision))
              for (let round = 0; round < 25; round++) {
                let draft = model.copy()
                let recorded = false
                const whole = below(5) !== 0
                yield* Effect.exit(store.commit(Effect.gen(function*() {
                  for (let job = below(5); job > 0; job--) {
                    const attempt = draft.copy()
                    const keep = below(3) !== 0
                    yield* Effect.exit(store.savepoint(Effect.gen(function*() {
                      const edits: Array<Edit> = []
                      for (let count = 1 + below(4); count > 0; count--) {
                        const edit = attempt.edit(below, yield* store.nextSeq)
                        attempt.apply([edit])
                        edits.push(edit)
                      }
                      yield* write(store, edits)
                      if (below(4) === 0) {
                        attempt.apply(inverse(edits))
                        yield* write(store, inverse(edits))
                      }
                      if (!keep) return yield* Effect.fail("refused")
                    })))
                    if (keep) {
                      draft = attempt
                      recorded = true
                    }
                  }
                  if (!whole) return yield* Effect.fail("all refused")
                })))
                if (whole) {
                  model = draft
                  if (recorded) revision += 1
                }
                assert.deepStrictEqual(yield* seen(store), expected(model, revision))
              }
            }))
        }
        assert.isAbove(revision, 30)
      })))
  }
})
