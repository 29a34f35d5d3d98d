/** What is shipped of a database leads to the same database elsewhere, whatever happened between the commits. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Capture, Fetched, FullCopy } from "../../src/domain/Generation.ts"
import { relation } from "../../src/domain/Lineage.ts"
import * as DeltaFrame from "../../src/store/DeltaFrame.ts"
import * as DurableMark from "../../src/store/DurableMark.ts"
import { examineFile, install } from "../../src/store/Install.ts"
import { examine, materialise, supersede } from "../../src/store/Replica.ts"
import { digestOf } from "../../src/store/Snapshot.ts"
import type { Store } from "../../src/store/Store.ts"
import { add, draft, folder, route, routeEdit, withNewStore, withStore, write } from "./support/Fixture.ts"

const inFolder = <A, E>(program: (path: string) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(folder, program))

/** All rows of all tables. */
const rowsOf = (bytes: Uint8Array): unknown => {
  const db = new DatabaseSync(":memory:")
  db.deserialize(Uint8Array.from(bytes))
  try {
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all()
    return Object.fromEntries(
      tables.map(({ name }) => [name, db.prepare(`SELECT * FROM ${String(name)} ORDER BY 1, 2`).all()])
    )
  } finally {
    db.close()
  }
}

/** Enough rows for the database not to be small any more. */
const grow = (store: Store["Service"], count: number) =>
  store.commit(write(
    store,
    Array.from({ length: count }, (_, index) =>
      routeEdit(null, route(`www.customer-${index}.example.com`, 1, 1000 + index)))
  ))

const full = (capture: Capture | null): FullCopy => {
  assert.strictEqual(capture?.kind, "full")
  return capture as FullCopy
}

const fetched = (base: FullCopy, deltas: ReadonlyArray<Capture | null>): Fetched => ({
  full: base.bytes,
  deltas: deltas.map((delta) => {
    assert.strictEqual(delta?.kind, "delta")
    return delta!.bytes
  }),
  state: deltas.at(-1)?.state ?? base.state
})

const bytesOf = (found: ReturnType<typeof materialise>): Uint8Array => {
  if (found.kind !== "ours") assert.fail(JSON.stringify(found))
  assert.strictEqual(digestOf(found.bytes), found.sha256)
  return found.bytes
}

const replicate = { replicate: true }

describe("what is shipped", () => {
  it.live("leads to the same rows: rollbacks, savepoints and outcomes included", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* grow(store, 4000)
        const base = full(yield* store.capture(null))
        assert.isNull(yield* store.capture(base.state))
        yield* store.acknowledge(base.state.commits)
        yield* store.commit(add(store, "a.example.org", { changeId: "a", outcome: "pending" }))
        yield* Effect.exit(store.commit(Effect.andThen(add(store, "gone.example.org"), Effect.fail("no"))))
        yield* store.commit(Effect.gen(function*() {
          yield* Effect.exit(store.savepoint(Effect.andThen(add(store, "undone.example.org"), Effect.fail("no"))))
          yield* store.savepoint(add(store, "b.example.org"))
        }))
        const first = yield* store.capture(base.state)
        yield* store.settle("a", "applied")
        yield* store.commit(store.record(draft([])))
        const second = yield* store.capture(first!.state)
        // Not acknowledged: it can be told again, in one piece with what came after.
        const both = yield* store.capture(base.state)
        const now = rowsOf((yield* store.fullCopy).bytes)
        assert.deepStrictEqual(rowsOf(bytesOf(materialise(fetched(base, [first, second])))), now)
        assert.deepStrictEqual(rowsOf(bytesOf(materialise(fetched(base, [both])))), now)
        // A copy within a delta: what it holds already is left out.
        assert.deepStrictEqual(
          rowsOf(bytesOf(materialise({ ...fetched(base, [both]), deltas: [first!.bytes, both!.bytes] }))),
          now
        )
        assert.strictEqual(materialise(fetched(base, [second])).kind, "damaged")
      }), replicate))

  it.live("is a whole copy where the commits cannot be told", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const before = yield* withStore(file, (store) =>
          Effect.gen(function*() {
            yield* grow(store, 4000)
            const base = full(yield* store.capture(null))
            yield* store.commit(add(store, "a.example.org"))
            // An import is not kept as a changeset.
            yield* store.commit(write(
              store,
              Array.from({ length: 21_000 }, (_, i) => routeEdit(null, route(`i${i}.example.net`, 1, 9000 + i)))
            ))
            full(yield* store.capture(base.state))
            return (yield* store.fullCopy).state
          }), replicate)
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            // From where this process began, and from nowhere before.
            assert.isNull(yield* store.capture(before))
            yield* store.commit(add(store, "b.example.org"))
            assert.strictEqual((yield* store.capture(before))?.kind, "delta")
            full(yield* store.capture({ ...before, commits: before.commits - 1 }))
            full(yield* store.capture({ ...before, schema: 2 }))
            full(yield* store.capture({ ...before, life: "somebody else" }))
          }), replicate)
      })
    ))

  it.live("is a whole copy while the database is small, and without replication", () =>
    Effect.gen(function*() {
      for (const options of [replicate, {}]) {
        yield* withNewStore((store) =>
          Effect.gen(function*() {
            const base = full(yield* store.capture(null))
            yield* store.commit(add(store, "a.example.org"))
            const next = full(yield* store.capture(base.state))
            assert.strictEqual(examine(next.bytes).kind, "ours")
            if (options === replicate) return
            yield* grow(store, 4000)
            full(yield* store.capture(next.state))
          }), options)
      }
    }))
})

describe("a delta", () => {
  it("is one or none: no prefix and no gap is accepted", () => {
    const steps = [{ from: 3, to: 4, changeset: Buffer.from("abc") }, { from: 4, to: 6, changeset: Buffer.alloc(0) }]
    const frame = DeltaFrame.encode(steps)
    assert.deepStrictEqual(DeltaFrame.decode(frame)?.map(({ from, to }) => [from, to]), [[3, 4], [4, 6]])
    // A cut between two steps is a frame of its own: its hash and its last commit tell.
    const whole = new Set([frame.length, 8 + 20 + 3])
    for (let length = 0; length <= frame.length; length++) {
      assert.strictEqual(DeltaFrame.decode(frame.subarray(0, length)) !== null, whole.has(length), String(length))
    }
    assert.isNull(DeltaFrame.decode(DeltaFrame.encode([steps[0]!, { ...steps[1]!, from: 5 }])))
  })
})

describe("the mark of what is durable", () => {
  it.live("is overwritten in place, and is none when it is torn", () =>
    inFolder((path) =>
      Effect.sync(() => {
        const file = join(path, "desired.db")
        assert.isNull(DurableMark.read(file))
        const mark = (commits: number, remote = "edge:/a.db") => ({
          remote,
          by: "l2",
          state: { lineage: "a", life: "l1", commits }
        })
        for (const commits of [1_000_000, 7]) {
          DurableMark.write(file, mark(commits, "edge:/ä.db"))
          assert.deepStrictEqual(DurableMark.read(file), mark(commits, "edge:/ä.db"))
        }
        const whole = readFileSync(`${file}.durable`)
        for (const length of [0, 10, 60]) {
          writeFileSync(`${file}.durable`, whole.subarray(0, length))
          assert.isNull(DurableMark.read(file))
        }
        writeFileSync(`${file}.durable`, Buffer.alloc(whole.length))
        assert.isNull(DurableMark.read(file))
        // One that does not fit would be torn.
        DurableMark.write(file, mark(8, "x".repeat(2_000)))
        assert.isNull(DurableMark.read(file))
      })
    ))
})

describe("the local file", () => {
  it.live("is replaced as a whole, and the old one kept with its log", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        assert.deepStrictEqual(yield* examineFile(file), { kind: "none" })
        const copies: Array<FullCopy> = []
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            for (const name of ["a", "b"]) {
              yield* store.commit(add(store, `${name}.example.org`))
              copies.push(yield* store.fullCopy)
            }
          }))
        const [older, newer] = copies
        assert.isNull(yield* install(join(path, "elsewhere.db"), older!.bytes))
        assert.strictEqual(yield* install(file, newer!.bytes, "aside"), `${file}.aside-1`)
        for (let round = 1; round <= 7; round++) {
          assert.strictEqual(yield* install(file, (round % 2 === 0 ? newer! : older!).bytes), `${file}.before-${round}`)
        }
        assert.deepStrictEqual(
          (yield* Effect.forEach([0, 2, 3, 7, 8], (n) => examineFile(`${file}.before-${n}`))).map(({ kind }) => kind),
          ["none", "none", "ours", "ours", "none"]
        )
        assert.strictEqual((yield* examineFile(`${file}.aside-1`)).kind, "ours")
        assert.strictEqual(yield* install(file, older!.bytes, "aside"), `${file}.aside-2`)
        const found = yield* examineFile(file)
        assert.strictEqual(found.kind === "ours" ? found.position.commits : null, older!.state.commits)
        yield* withStore(file, (store) => store.commit(add(store, "c.example.org")))
        const branch = yield* examineFile(file)
        const other = examine(newer!.bytes)
        if (branch.kind !== "ours" || other.kind !== "ours") return assert.fail("not ours")
        assert.strictEqual(relation(branch.position, other.position), "diverged")
        // An operator decides for the local one: who has the other sees one that is ahead.
        const decided = supersede((yield* withStore(file, (store) => store.fullCopy)).bytes, other.position)
        if (decided.kind !== "ours") return assert.fail(decided.kind)
        assert.strictEqual(relation(other.position, decided.position), "remote ahead")
        assert.strictEqual(relation(branch.position, decided.position), "diverged")
      })
    ))
})
