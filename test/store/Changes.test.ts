import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import type { Edit } from "../../src/domain/Change.ts"
import { decodeEdits, encodeEdits } from "../../src/store/EditJson.ts"
import {
  add,
  draft,
  folder,
  name,
  ownerEdit,
  route,
  routeEdit,
  server,
  serverEdit,
  withNewStore,
  withStore,
  write
} from "./support/Fixture.ts"

const ids = (changes: ReadonlyArray<{ readonly changeId: string }>) => changes.map((change) => change.changeId)

describe("the change log", () => {
  it.live("holds who, what, when and the rows before and after", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const began = Date.now()
        const edits = yield* store.commit(add(store, "a.example.com", { changeId: "a", outcome: "pending" }))
        const change = (yield* store.change("a"))!
        const { at, ...rest } = change
        const { outcome, ...drafted } = draft(edits, { changeId: "a" })
        assert.strictEqual(outcome, "applied")
        assert.deepStrictEqual(rest, { ...drafted, revision: 1, outcome: "pending" })
        assert.isAtLeast(at, began)
        assert.isAtMost(at, Date.now())
        assert.isNull(yield* store.change("b"))
      })
    ))

  it.live("keeps the newest changes, and every pending one", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        for (let index = 1; index <= 128; index++) {
          const outcome = index === 3 ? "pending" as const : "applied" as const
          yield* store.commit(store.record(draft([], { changeId: `c${index}`, outcome })))
        }
        assert.isNotNull(yield* store.change("c3"))
        assert.isNull(yield* store.change("c4"))
        assert.isNull(yield* store.change("c118"))
        assert.isNotNull(yield* store.change("c119"))
        assert.isNotNull(yield* store.change("c128"))
      }), { keepChanges: 10 }))
})

describe("outcomes", () => {
  it.live("are seen at once, written with the next commit, and survive", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "desired.db")
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          for (const changeId of ["a", "b", "c", "d"]) {
            yield* store.commit(store.record(draft([], { changeId, outcome: "pending" })))
          }
          assert.deepStrictEqual(ids(yield* store.pendingChanges), ["a", "b", "c", "d"])
          yield* store.settle("a", "applied")
          assert.strictEqual((yield* store.change("a"))?.outcome, "applied")
          assert.deepStrictEqual(ids(yield* store.pendingChanges), ["b", "c", "d"])
          // A failed commit takes no outcome along, and loses none.
          yield* Effect.exit(store.commit(Effect.andThen(store.apply([]), Effect.fail("no"))))
          yield* store.commit(store.record(draft([], { changeId: "e", outcome: "applied" })))
          yield* store.settle("b", "reverted")
          yield* store.flush
          assert.strictEqual(yield* store.revision, 5)
          // Written when the layer closes.
          yield* store.settle("c", "unknown")
        }))
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* store.revision, 5)
          assert.strictEqual((yield* store.change("a"))?.outcome, "applied")
          assert.strictEqual((yield* store.change("b"))?.outcome, "reverted")
          assert.strictEqual((yield* store.change("c"))?.outcome, "unknown")
          assert.deepStrictEqual(ids(yield* store.pendingChanges), ["d"])
        }))
    })))

  it.live("of a change that was taken back are forgotten", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* Effect.exit(store.commit(
          Effect.andThen(write(store, [], { changeId: "a", outcome: "pending" }), Effect.fail("no"))
        ))
        yield* store.settle("a", "unknown")
        yield* store.flush
        assert.isNull(yield* store.change("a"))
      })
    ))
})

describe("the text form of edits", () => {
  it("gives back what it was made of", () => {
    const { seq, ...rest } = route("*.example.com", 3, 9, true)
    const edits: ReadonlyArray<Edit> = [
      routeEdit(null, { ...rest, seq }),
      routeEdit(route("a.example.com", 1, 1), route("a.example.com", 2, 1)),
      routeEdit(route("a.example.com", 2, 1), null),
      serverEdit(null, server(3, 1)),
      serverEdit(server(3, 1), { ...server(3, 1, "2001:db8::1"), state: "drain" }),
      serverEdit(server(3, 1), null),
      ownerEdit(3, null, "a.example.com"),
      ownerEdit(3, "a.example.com", null)
    ]
    assert.deepStrictEqual(decodeEdits(encodeEdits(edits)), edits)
    assert.isBelow(encodeEdits(edits).length, JSON.stringify(edits).length / 2)
  })
})

describe("a list of changes", () => {
  it.live("comes newest first, page by page, from a revision on, or of one name", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        for (let n = 0; n < 450; n++) {
          yield* store.commit(store.record({
            ...draft([], { changeId: `c${n}` }),
            summary: n % 100 === 7
              ? `a.example.com, server ${n}`
              : n % 2 === 0
              ? "xa.example.com"
              : "a.example.com.x.org"
          }))
        }
        yield* store.commit(add(store, "a.example.com", { changeId: "added" }))
        yield* store.settle("added", "unknown")
        const first = yield* store.changes({ limit: 3 })
        assert.deepStrictEqual(ids(first.changes), ["added", "c449", "c448"])
        assert.strictEqual(first.changes[0]!.outcome, "unknown")
        assert.isFalse("edits" in first.changes[0]!)
        const second = yield* store.changes({ limit: 3, before: first.next! })
        assert.deepStrictEqual(ids(second.changes), ["c447", "c446", "c445"])
        assert.deepStrictEqual(ids((yield* store.changes({ limit: 10, since: 449 })).changes), ["added", "c449"])
        const made = (revision: number) =>
          Effect.map(store.changes({ limit: 10, revision }), ({ changes }) => ids(changes))
        assert.deepStrictEqual(yield* made(450), ["c449"])
        assert.deepStrictEqual(yield* made(451), ["added"])
        assert.deepStrictEqual(yield* made(452), [])
        assert.deepStrictEqual(yield* store.revisions("45", 10), [451, 450, 45])
        assert.deepStrictEqual(yield* store.revisions("", 2), [451, 450])
        const of = (limit: number, before?: number) =>
          store.changes({ limit, name: name("a.example.com"), ...(before === undefined ? {} : { before }) })
        const page = yield* of(2)
        assert.deepStrictEqual(ids(page.changes), ["added", "c407"])
        const rest = yield* of(10, page.next!)
        assert.deepStrictEqual(ids(rest.changes), ["c307", "c207", "c107", "c7"])
        assert.isNull(rest.next)
        assert.strictEqual((yield* store.changes({ limit: 1_000 })).changes.length, 451)
      })
    ))
})
