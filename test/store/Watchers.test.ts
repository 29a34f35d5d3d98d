/** Who watches the store hears of what was committed, once its fate is known, and of nothing else. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { StorageFailed } from "../../src/domain/Errors.ts"
import type { Touched } from "../../src/store/Watchers.ts"
import { draft, ownerEdit, route, routeEdit, server, serverEdit, withNewStore, write } from "./support/Fixture.ts"

describe("watching the store", () => {
  it.live("tells committed changes when they are settled", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const heard: Array<Touched> = []
        const stop = store.watch((touched) => heard.push(touched))
        const keys = () => heard.map((touched) => [touched.revision, [...touched.keys ?? ["any"]].sort()])
        const edits = [
          ownerEdit(1, null, "a.example.com"),
          routeEdit(null, route("a.example.com", 1, 1)),
          serverEdit(null, server(1, 1))
        ]
        const refused = new StorageFailed({ message: "refused", hint: "" })

        // Pending: nobody knows yet whether it stays.
        yield* store.commit(write(store, edits, { changeId: "c1", outcome: "pending" }))
        assert.deepStrictEqual(heard, [])
        yield* store.settle("c1", "applied")
        assert.deepStrictEqual(keys(), [[1, ["member:1", "pool:1", "route:a.example.com"]]])

        // What is not committed is not told: the whole, or a savepoint.
        heard.length = 0
        const other = draft([], { changeId: "c2", outcome: "applied" })
        yield* Effect.ignore(store.commit(Effect.andThen(store.record(other), Effect.fail(refused))))
        yield* store.commit(Effect.andThen(
          Effect.ignore(store.savepoint(Effect.andThen(store.record(other), Effect.fail(refused)))),
          store.record(draft([], { changeId: "c3", outcome: "applied" }))
        ))
        assert.deepStrictEqual(keys(), [[2, []]])

        // One whose record was made by an earlier process: what it was about is not known.
        heard.length = 0
        yield* store.settle("earlier", "applied")
        assert.deepStrictEqual(keys(), [[0, ["any"]]])

        stop()
        heard.length = 0
        yield* store.settle("c3", "unknown")
        assert.deepStrictEqual(heard, [])
      })
    ))
})
