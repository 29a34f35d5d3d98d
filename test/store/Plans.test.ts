/** Every query of a tool call walks an index: SQLite is asked how it would run what the store really runs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import * as Certificates from "../../src/store/Certificates.ts"
import * as Changes from "../../src/store/Changes.ts"
import { Database, type Value } from "../../src/store/Database.ts"
import * as Edits from "../../src/store/Edits.ts"
import { migrate } from "../../src/store/Migrate.ts"
import * as Pools from "../../src/store/Pools.ts"
import * as Routes from "../../src/store/Routes.ts"
import * as Servers from "../../src/store/Servers.ts"
import {
  draft,
  folder,
  limits,
  name,
  ownerEdit,
  pool,
  route,
  routeEdit,
  server,
  serverEdit
} from "./support/Fixture.ts"

/** The plans of the statements that a function prepares. */
const plansOf = (db: Database, run: () => unknown): ReadonlyArray<string> => {
  const seen = new Map<string, ReadonlyArray<Value>>()
  const original = db.prepare.bind(db)
  db.prepare = (sql) => {
    seen.set(sql, [])
    return original(sql)
  }
  try {
    run()
  } finally {
    Reflect.deleteProperty(db, "prepare")
  }
  return [...seen.keys()].flatMap((sql) =>
    original(`EXPLAIN QUERY PLAN ${sql}`).all().map((row) => String(row["detail"]))
  )
}

/**
 * A walk over a table, where a search of an index was meant. A JSON array is as long as the question, and the index of
 * the pending changes as long as their number.
 */
const walks = (plans: ReadonlyArray<string>) =>
  plans.filter((plan) =>
    /^SCAN (?!json_each|CONSTANT|changes USING INDEX changes_pending)/.test(plan) ||
    /TEMP B-TREE FOR (GROUP|DISTINCT)/.test(plan)
  )

describe("plans", () => {
  it.live("search, and do not scan", () =>
    Effect.scoped(Effect.gen(function*() {
      const db = Database.open(join(yield* folder, "desired.db"))
      yield* Effect.addFinalizer(() => Effect.sync(() => db.close()))
      yield* migrate(db)
      Pools.declare(db, limits, "life")
      const settled = new Map()
      const a = route("a.example.com", 1, 1)
      const around = { declared: 20, usedSeq: () => {} }
      const hot: Record<string, () => unknown> = {
        route: () => Routes.find(db, name("a.example.com")),
        page: () => Routes.list(db, { includeWildcards: true, after: name("a.example.com"), limit: 10 }),
        ownedPage: () => Routes.listOwned(db, { includeWildcards: true, after: name("a.example.com"), limit: 10 }),
        nearest: () => Routes.nearest(db, "b.example.com", 5),
        ofPool: () => Routes.ofPool(db, pool(1), 5),
        countOfPool: () => Routes.countOfPool(db, pool(1)),
        owner: () => Pools.owner(db, pool(1)),
        owners: () => Pools.owners(db, [pool(1), pool(2)]),
        free: () => Pools.free(db, 0, 1),
        servers: () => Servers.ofPool(db, pool(1)),
        serversOf: () => Servers.ofPools(db, [pool(1), pool(2)]),
        change: () => Changes.find(db, "c", settled),
        changes: () => Changes.list(db, { limit: 5 }, settled),
        changesOf: () => Changes.list(db, { limit: 5, since: 3, before: 9, name: name("a.example.com") }, settled),
        pending: () => Changes.pending(db, settled),
        certificate: () => Certificates.find(db, "a.example.com"),
        routesOfNames: () => Certificates.routesUnder(db, ["a.example.com", "b.example.com"], 5),
        record: () => Changes.insert(db, draft([]), 1, 1, 0),
        apply: () =>
          Edits.write(db, [
            ownerEdit(1, null, "a.example.com"),
            routeEdit(null, a),
            routeEdit(a, { ...a, pool: pool(2) }),
            routeEdit({ ...a, pool: pool(2) }, null),
            serverEdit(null, server(30, 1)),
            serverEdit(server(30, 1), server(30, 1, "10.0.0.2")),
            serverEdit(server(30, 1, "10.0.0.2"), null)
          ], around)
      }
      for (const [what, run] of Object.entries(hot)) {
        const plans = plansOf(db, run)
        if (what !== "record") assert.isNotEmpty(plans, what)
        assert.deepStrictEqual(walks(plans), [], what)
      }
      assert.match(plansOf(db, hot["free"]!).join(), /pools_free \(pool>\?\)/)
      assert.match(plansOf(db, hot["pending"]!).join(), /changes_pending/)
      // The check can fail: these do read whole tables.
      assert.isNotEmpty(walks(plansOf(db, () => Routes.all(db))))
      assert.isNotEmpty(walks(plansOf(db, () => Servers.all(db))))
    })))
})
