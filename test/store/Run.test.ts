/** The changesets that wait to be shipped: whole steps, in bounded memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Database } from "../../src/store/Database.ts"
import { sizeOf } from "../../src/store/DeltaFrame.ts"
import { Run } from "../../src/store/Run.ts"
import { folder } from "./support/Fixture.ts"

const megabyte = 1 << 20
const largest = 8 * megabyte

/** A database with a table, and a run on it whose commits are made here. */
const withRun = (test: (db: Database, run: Run, commit: (write: () => void) => void) => void) =>
  Effect.scoped(Effect.flatMap(folder, (path) =>
    Effect.sync(() => {
      const db = Database.open(join(path, "run.db"))
      try {
        db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB) STRICT")
        const run = new Run(db)
        run.begin(0)
        let commits = 0
        test(db, run, (write) => {
          db.exec("BEGIN IMMEDIATE")
          write()
          db.exec("COMMIT")
          run.committed(commits, ++commits)
        })
      } finally {
        db.close()
      }
    })))

const waiting = (run: Run, from: number) => run.after(from)?.reduce((sum, step) => sum + sizeOf(step), 0) ?? null

describe("a run of commits", () => {
  it.effect("holds no more than 8 MiB: what is more is a whole copy's work, and then it begins anew", () =>
    withRun((db, run, commit) => {
      let from = 0
      let broken = 0
      for (let commits = 1; commits <= 40; commits++) {
        // A third of a megabyte to one and a third.
        const size = megabyte / 3 + commits % 4 * megabyte / 3
        commit(() => db.run("INSERT INTO t (data) VALUES (randomblob(?))", Math.floor(size)))
        const held = waiting(run, from)
        if (held === null) {
          broken += 1
          from = commits
          assert.deepStrictEqual(run.after(commits), [])
        } else {
          assert.isAtMost(held, largest)
          assert.lengthOf(run.after(from)!, commits - from)
        }
      }
      assert.isAbove(broken, 2)
    }))

  it.effect("goes on without end where what is durable is forgotten, and holds what is not", () =>
    withRun((db, run, commit) => {
      for (let commits = 1; commits <= 40; commits++) {
        commit(() => db.run("INSERT INTO t (data) VALUES (randomblob(?))", megabyte))
        assert.isNotNull(run.after(commits - 1), `commit ${commits}`)
        if (commits > 3) run.forget(commits - 3)
        assert.lengthOf(run.after(Math.max(0, commits - 3))!, Math.min(3, commits))
      }
    }))

  it.effect("does not tell one commit of very many rows, nor one that is larger than all of it", () =>
    withRun((db, run, commit) => {
      const rows = (count: number) => () =>
        db.run(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO t (data) SELECT NULL FROM n",
          count
        )
      commit(rows(20_000))
      assert.lengthOf(run.after(0)!, 1)
      commit(rows(20_001))
      assert.isNull(run.after(0))
      assert.deepStrictEqual(run.after(2), [])
      commit(() => db.run("INSERT INTO t (data) VALUES (randomblob(?))", largest + 1))
      assert.isNull(run.after(2))
      commit(rows(1))
      assert.lengthOf(run.after(3)!, 1)
    }))
})
