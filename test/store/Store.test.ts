import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { join } from "node:path"
import { inverse } from "../../src/domain/Change.ts"
import { StorageFailed } from "../../src/domain/Errors.ts"
import type { Store } from "../../src/store/Store.ts"
import {
  add,
  draft,
  folder,
  name,
  ownerEdit,
  pool,
  route,
  routeEdit,
  server,
  serverEdit,
  withNewStore,
  withStore,
  write
} from "./support/Fixture.ts"

const names = (routes: ReadonlyArray<{ readonly name: string }>) => routes.map((found) => found.name as string)

describe("a new store", () => {
  it.live("is empty, at revision 0, with every declared pool free", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* store.revision, 0)
        assert.match(store.lineage, /^[0-9a-f-]{36}$/)
        assert.deepStrictEqual(yield* store.counts, {
          domains: 0,
          wildcards: 0,
          poolsUsed: 0,
          poolsDeclared: 20,
          servers: 0
        })
        assert.deepStrictEqual(yield* store.freePools(0, 3), [pool(1), pool(2), pool(3)])
        assert.deepStrictEqual(yield* store.allRoutes, [])
        assert.deepStrictEqual(yield* store.pendingChanges, [])
      })
    ))

  it.live("keeps everything when it is opened again", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "deep", "er", "desired.db")
      const look = (store: Store["Service"]) =>
        Effect.all({
          lineage: Effect.succeed(store.lineage),
          revision: store.revision,
          routes: store.allRoutes,
          servers: store.allServers,
          free: store.freePools(0, 30),
          counts: store.counts,
          change: store.change("a")
        })
      const before = yield* withStore(file, (store) =>
        Effect.gen(function*() {
          yield* store.commit(add(store, "a.example.com", { changeId: "a" }))
          yield* store.commit(write(store, [routeEdit(null, route("*.example.com", 1, 50, true))]))
          return yield* look(store)
        }))
      assert.strictEqual(before.revision, 2)
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* look(store), before)
          assert.isAbove(yield* store.nextSeq, 50)
        }))
    })))
})

describe("commit", () => {
  it.live("grows the revision by one, whatever the number of changes, and not without one", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const seen = yield* store.commit(Effect.gen(function*() {
          yield* add(store, "a.example.com", { changeId: "a" })
          yield* add(store, "b.example.com", { changeId: "b" })
          return [yield* store.nextRevision, yield* store.revision]
        }))
        assert.deepStrictEqual(seen, [1, 0])
        assert.strictEqual(yield* store.revision, 1)
        assert.strictEqual((yield* store.change("a"))?.revision, 1)
        assert.strictEqual((yield* store.change("b"))?.revision, 1)
        yield* store.commit(store.route(name("a.example.com")))
        assert.strictEqual(yield* store.revision, 1)
        yield* store.commit(add(store, "c.example.com"))
        assert.strictEqual(yield* store.revision, 2)
      })
    ))

  it.live("takes everything back when its body fails, dies or is interrupted", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const body = <A, E>(end: Effect.Effect<A, E>) =>
          Effect.exit(store.commit(Effect.andThen(add(store, "a.example.com"), end)))
        const failed = yield* body(Effect.fail("no" as const))
        assert.deepStrictEqual(failed, Exit.fail("no" as const))
        assert.isTrue(Exit.hasDies(yield* body(Effect.die("bug"))))
        const started = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          body(Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* store.revision, 0)
        assert.deepStrictEqual(yield* store.allRoutes, [])
        assert.deepStrictEqual(yield* store.freePools(0, 1), [pool(1)])
        assert.strictEqual((yield* store.counts).domains, 0)
        yield* store.commit(add(store, "a.example.com"))
        assert.strictEqual(yield* store.revision, 1)
      })
    ))

  it.live("lets others wait: no reader sees rows that may be taken back", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const written = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const writer = yield* Effect.forkChild(Effect.exit(store.commit(Effect.gen(function*() {
          yield* add(store, "a.example.com")
          yield* Deferred.succeed(written, undefined)
          yield* Deferred.await(goOn)
          assert.strictEqual((yield* store.allRoutes).length, 1)
          return yield* Effect.fail("taken back")
        }))))
        yield* Deferred.await(written)
        const reader = yield* Effect.forkChild(store.allRoutes, { startImmediately: true })
        const second = yield* Effect.forkChild(store.commit(add(store, "b.example.com")), { startImmediately: true })
        yield* Deferred.succeed(goOn, undefined)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(writer)))
        assert.deepStrictEqual(names(yield* Fiber.join(reader)).filter((found) => found === "a.example.com"), [])
        yield* Fiber.join(second)
        assert.deepStrictEqual(names(yield* store.allRoutes), ["b.example.com"])
      })
    ))

  it.live("is not for use inside itself, nor its parts outside", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const dies = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.map(Effect.exit(effect), (exit) => Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.isTrue(yield* dies(store.commit(store.commit(Effect.void))))
        assert.isTrue(yield* dies(store.savepoint(Effect.void)))
        assert.isTrue(yield* dies(store.apply([])))
        assert.isTrue(yield* dies(store.record(draft([]))))
        assert.isTrue(yield* dies(store.nextRevision))
      })
    ))
})

describe("savepoint", () => {
  it.live("undoes one of three and keeps the others", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const exits = yield* store.commit(Effect.forEach(
          ["a", "b", "c"],
          (letter) =>
            Effect.exit(store.savepoint(Effect.gen(function*() {
              yield* add(store, `${letter}.example.com`, { changeId: letter })
              if (letter === "b") return yield* Effect.fail("refused")
              return letter
            })))
        ))
        assert.deepStrictEqual(exits, [Exit.succeed("a"), Exit.fail("refused"), Exit.succeed("c")])
        assert.deepStrictEqual(names(yield* store.allRoutes), ["a.example.com", "c.example.com"])
        assert.deepStrictEqual(yield* store.freePools(0, 1), [pool(3)])
        assert.deepInclude(yield* store.counts, { domains: 2, poolsUsed: 2, servers: 2 })
        assert.isNull(yield* store.change("b"))
        assert.strictEqual((yield* store.change("c"))?.revision, 1)
      })
    ))

  it.live("leaves no trace of a commit whose every part failed", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(Effect.exit(store.savepoint(
          Effect.andThen(add(store, "a.example.com"), Effect.fail("refused"))
        )))
        assert.strictEqual(yield* store.revision, 0)
        assert.deepStrictEqual(yield* store.allRoutes, [])
      })
    ))

  it.live("nests", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(store.savepoint(Effect.gen(function*() {
          yield* add(store, "a.example.com")
          yield* Effect.exit(store.savepoint(Effect.andThen(add(store, "b.example.com"), Effect.fail("no"))))
          yield* store.savepoint(add(store, "c.example.com"))
        })))
        assert.deepStrictEqual(names(yield* store.allRoutes), ["a.example.com", "c.example.com"])
      })
    ))

  it.live("cannot keep an apply that ended half-way, even if the caller looks away", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const exit = yield* store.commit(Effect.exit(store.savepoint(
          // The first edit fits, the second does not.
          Effect.exit(store.apply([
            ownerEdit(1, null, "a.example.com"),
            routeEdit(route("a.example.com", 1, 1), null)
          ]))
        )))
        assert.isTrue(
          Exit.isFailure(exit) &&
            Cause.findErrorOption(exit.cause).pipe((found) =>
              found._tag === "Some" && found.value instanceof StorageFailed
            )
        )
        assert.isNull(yield* store.owner(pool(1)))
      })
    ))
})

describe("apply", () => {
  it.live("dies when the row before is not what is there", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(add(store, "a.example.com"))
        const there = (yield* store.route(name("a.example.com")))!
        const wrong = [
          [routeEdit(null, there)],
          [routeEdit({ ...there, seq: 99 }, null)],
          [routeEdit({ ...there, pool: pool(5) }, there)],
          [routeEdit(route("b.example.com", 1, 1), null)],
          [ownerEdit(1, null, "b.example.com")],
          [ownerEdit(2, "b.example.com", null)],
          [serverEdit(null, server(1, 1))],
          [serverEdit({ ...server(1, 1), weight: 7 as never }, null)],
          [serverEdit(server(1, 2), server(1, 2, "10.0.0.2"))]
        ]
        for (const edits of wrong) {
          const exit = yield* Effect.exit(store.commit(store.apply(edits)))
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), JSON.stringify(edits))
        }
        assert.strictEqual((yield* store.allRoutes).length, 1)
        assert.deepStrictEqual(yield* store.allServers, [server(1, 1)])
      })
    ))

  it.live("moves a route, changes a server, and its inverse brings all back", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(add(store, "a.example.com"))
        yield* store.commit(add(store, "b.example.com"))
        const snapshot = Effect.all([
          store.allRoutes,
          store.allServers,
          store.owners([pool(1), pool(2)]),
          store.countRoutesOf(pool(1)),
          store.countRoutesOf(pool(2)),
          store.freePools(0, 30),
          store.counts
        ])
        const before = yield* snapshot
        const a = (yield* store.route(name("a.example.com")))!
        const edits = [
          routeEdit(a, { ...a, pool: pool(2) }),
          serverEdit(server(1, 1), null),
          ownerEdit(1, "a.example.com", null),
          serverEdit(server(2, 1), { ...server(2, 1, "10.0.0.7"), state: "maint" })
        ]
        yield* store.commit(write(store, edits))
        assert.strictEqual(yield* store.countRoutesOf(pool(2)), 2)
        assert.deepStrictEqual(yield* store.freePools(0, 1), [pool(1)])
        assert.deepStrictEqual(yield* store.servers(pool(2)), [{ ...server(2, 1, "10.0.0.7"), state: "maint" }])
        yield* store.commit(write(store, inverse(edits)))
        assert.deepStrictEqual(yield* snapshot, before)
      })
    ))

  it.live("takes pools beyond the declared ones, which are never offered as free", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const edits = [
          routeEdit(null, route("a.example.com", 500, 1)),
          ownerEdit(500, null, "a.example.com"),
          serverEdit(null, server(500, 1))
        ]
        yield* store.commit(write(store, edits))
        assert.strictEqual(yield* store.owner(pool(500)), name("a.example.com"))
        yield* store.commit(write(store, inverse(edits)))
        assert.deepStrictEqual(yield* store.freePools(18, 10), [pool(19), pool(20)])
      })
    ))
})

describe("ages", () => {
  it.live("are never given twice", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const first = yield* store.nextSeq
        assert.isAbove(yield* store.nextSeq, first)
        const edits = [ownerEdit(1, null, "a.example.com"), routeEdit(null, route("a.example.com", 1, 50))]
        yield* store.commit(write(store, edits))
        yield* store.commit(write(store, inverse(edits)))
        assert.isAbove(yield* store.nextSeq, 50)
      })
    ))
})
