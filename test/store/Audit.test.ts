/** The audit chain: whatever was edited or taken out of the file is found, and named; what the program does itself is not. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { AuditReport, NotedCall } from "../../src/domain/Audit.ts"
import { examine, supersede } from "../../src/store/Replica.ts"
import type { Store } from "../../src/store/Store.ts"
import { add, draft, folder, withNewStore, withStore } from "./support/Fixture.ts"

const refusal = (tool: string, at = Date.now()): NotedCall => ({
  at,
  denied: true,
  via: "mcp",
  who: "a stranger",
  request_id: "r-2",
  token: null,
  tool,
  args: { domain: "a.example.com" },
  code: "FORBIDDEN"
})

/** Three domains, with their outcomes and a call that was refused. */
const fillIn = Effect.fnUntraced(function*(store: Store["Service"]) {
  for (const changeId of ["a", "b", "c"]) {
    yield* store.commit(add(store, `${changeId}.example.com`, { changeId, outcome: "pending" }))
    yield* store.settle(changeId, "applied")
  }
  yield* store.noted(refusal("haproxy_reload"))
  yield* store.flush
})

const records = (store: Store["Service"], after = 0) => store.auditRecords({ after, from: 0, limit: 1000 })

const faults = (report: AuditReport) => report.faults.map(({ change_id, seq, what }) => `${seq} ${change_id} ${what}`)

describe("the audit chain", () => {
  it.live("tells of changes, outcomes and refusals, in the commit that they are in", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* fillIn(store)
        const kinds = (yield* records(store)).map(({ kind }) => kind)
        assert.deepStrictEqual(kinds, ["change", "change", "outcome", "change", "outcome", "outcome", "refusals"])
        const [first] = yield* records(store)
        assert.deepInclude(JSON.parse(first!.payload), { change_id: "a", who: "somebody", tool: "haproxy_add_domain" })
        const report = yield* store.verifyAudit
        assert.deepInclude(report, { faults: [], records: 7, changes: 3 })
        // What a savepoint took back is not told of, and the chain goes on where it was.
        yield* store.commit(Effect.andThen(
          Effect.exit(store.savepoint(Effect.andThen(add(store, "d.example.com"), Effect.fail("no")))),
          add(store, "e.example.com")
        ))
        yield* Effect.exit(store.commit(Effect.andThen(add(store, "f.example.com"), Effect.fail("no"))))
        assert.strictEqual((yield* records(store)).length, 8)
        assert.deepStrictEqual((yield* store.verifyAudit).faults, [])
      })
    ))

  it.live("has a record of rows that are written without a change", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const edits = yield* store.commit(add(store, "a.example.com"))
        const back = edits.map((edit) => ({ ...edit, before: edit.after, after: edit.before })).toReversed()
        yield* store.commit(store.apply(back as typeof edits))
        assert.strictEqual((yield* records(store)).at(-1)?.kind, "rows")
      })
    ))

  it.live("is kept short, and verified from where it begins then", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        for (let index = 0; index < 600; index++) yield* store.commit(store.record(draft([])))
        const report = yield* store.verifyAudit
        assert.deepStrictEqual(faults(report), [])
        assert.isAbove(report.anchor.seq, 0)
        assert.strictEqual(report.records, report.head.seq - report.anchor.seq)
        assert.strictEqual((yield* records(store))[0]?.seq, report.anchor.seq + 1)
      }), { keepAudit: 100, keepChanges: 70 }))

  it.live("takes few refusals of a flood, and says how many it left out", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const at = Date.now()
        for (let round = 0; round < 4; round++) {
          for (let index = 0; index < 100; index++) yield* store.noted(refusal("haproxy_reload", at))
          yield* store.flush
        }
        const written = (yield* records(store)).map(({ payload }) => JSON.parse(payload))
        assert.deepStrictEqual(written.map(({ calls, left_out }) => [calls.length, left_out]), [[50, 50], [10, 90], [
          0,
          100
        ], [0, 100]])
      })
    ))
})

const edits: ReadonlyArray<readonly [what: string, sql: string, found: RegExp]> = [
  [
    "a flipped byte of a record",
    "UPDATE audit SET payload = replace(payload, 'somebody', 'somebodx') WHERE seq = 2",
    /^2 null it is not/
  ],
  ["a record's time", "UPDATE audit SET at = at + 1 WHERE seq = 3", /^3 null it is not/],
  [
    "a record's hash",
    "UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 4",
    /^4 null it is not/
  ],
  ["a record that is gone", "DELETE FROM audit WHERE seq = 3", /^4 null records 3 to 3 before it are missing/],
  ["the first record", "DELETE FROM audit WHERE seq = 1", /^2 null records 1 to 1/],
  ["the last record", "DELETE FROM audit WHERE seq = 7", /^7 null records 7 to 7 at the end/],
  ["all records", "DELETE FROM audit", /^7 null records 1 to 7 at the end/],
  [
    "a change's words",
    "UPDATE changes SET summary = 'x' WHERE change_id = 'b'",
    / b the change is not as it was written/
  ],
  ["a change's author", "UPDATE changes SET who = 'x' WHERE change_id = 'b'", / b the change is not as it was written/],
  [
    "a change's rows",
    "UPDATE changes SET edits = replace(edits, '10.0.0.1', '10.0.0.2') WHERE change_id = 'c'",
    / c the change is not as/
  ],
  ["a change's outcome", "UPDATE changes SET outcome = 'reverted' WHERE change_id = 'a'", / a its outcome is not/],
  ["a change that is gone", "DELETE FROM changes WHERE change_id = 'b'", / b the change is not in the log any more/],
  [
    "a change that nobody made",
    "INSERT INTO changes SELECT id + 10, 'z', revision, at, via, who, request_id, tool, summary, edits, outcome FROM changes WHERE id = 3",
    /^null z the chain does not know it/
  ]
]

describe("in the file", () => {
  it.live.each(edits)("%s is found", ([, sql, expected]) =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "desired.db")
      yield* withStore(file, fillIn)
      const db = new DatabaseSync(file)
      assert.isAbove(Number(db.prepare(sql).run().changes), 0)
      db.close()
      const report = yield* withStore(file, (store) => store.verifyAudit)
      assert.match(faults(report).join("\n"), expected)
    })))
})

describe("a content that an operator puts in place of another", () => {
  it.live("keeps its chain, and names the one that was replaced", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = yield* folder
      const file = join(path, "desired.db")
      const old = yield* withStore(file, (store) => Effect.andThen(fillIn(store), store.fullCopy))
      const newer = yield* withStore(file, (store) =>
        Effect.andThen(store.commit(add(store, "late.example.com")), store.fullCopy))
      const found = examine(newer.bytes)
      if (found.kind !== "ours") {
        throw new Error(found.kind)
      }
      const made = supersede(old.bytes, found.position)
      if (made.kind !== "ours") {
        throw new Error(made.kind)
      }
      const restored = join(path, "restored.db")
      yield* Effect.promise(async () =>
        (await import("node:fs/promises")).writeFile(restored, made.bytes)
      )
      yield* withStore(restored, (store) =>
        Effect.gen(function*() {
          const last = (yield* records(store)).at(-1)!
          assert.strictEqual(last.kind, "replaced")
          assert.deepStrictEqual(JSON.parse(last.payload).replaced.chain, found.position.chain)
          yield* store.commit(add(store, "next.example.com"))
          assert.deepStrictEqual((yield* store.verifyAudit).faults, [])
        }))
    })))
})
