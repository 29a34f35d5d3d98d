/** Rows of tokens, and what stays revoked when an older database comes back. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Token } from "../../src/domain/Token.ts"
import { exchange, stage } from "../../src/program/backup/Restore.ts"
import { hashOf } from "../../src/program/TokenIndex.ts"
import { revocationsIn, supersede } from "../../src/store/Replica.ts"
import type { Store } from "../../src/store/Store.ts"
import { keepRevocations, type Revocations, revocations } from "../../src/store/Tokens.ts"
import { add, folder, withStore } from "./support/Fixture.ts"

const secret = (id: string) => `hmcp_${id}_${"s".repeat(43)}`

const token = (id: string, over: Partial<Token> = {}): Token => ({
  id,
  hash: hashOf(secret(id)),
  name: `name-${id}`,
  scopes: ["read", "certs"],
  domains: null,
  created: 1,
  expires: null,
  revokedAt: null,
  lastUsed: null,
  ...over
})

const inFolder = <A, E>(program: (path: string) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(folder, program))

/** Id and time of revocation of every row. */
const fates = (db: DatabaseSync) =>
  Object.fromEntries(db.prepare("SELECT id, revoked_at FROM tokens").all().map((row) => [row["id"], row["revoked_at"]]))

describe("tokens in the database", () => {
  it.effect("are what was put there, after a reopen too, and no file holds a secret", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const all = [
          token("aaaaaaaaaa"),
          token("bbbbbbbbbb", { created: 2, domains: ["*.example.com"], expires: 99, scopes: ["admin"] })
        ]
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            for (const one of all) yield* store.commit(store.putToken(one))
            yield* store.commit(store.touchTokens(new Map([["aaaaaaaaaa", 7]])))
            yield* store.commit(store.revokeToken("bbbbbbbbbb", 50))
            yield* store.commit(store.revokeToken("bbbbbbbbbb", 60))
          }))
        const found = yield* withStore(file, (store) => store.tokens)
        assert.deepStrictEqual(found, [{ ...all[0]!, lastUsed: 7 }, { ...all[1]!, revokedAt: 50 }])
        assert.notInclude(readFileSync(file, "latin1"), "s".repeat(43))
      })
    ))
})

describe("an older database that comes back", () => {
  it.effect("revives no token that was revoked since, nor one that the newer one does not know", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const older = join(path, "older.db")
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            for (const id of ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"]) yield* store.commit(store.putToken(token(id)))
            yield* store.commit(store.revokeToken("cccccccccc", 10))
          }))
        copyFileSync(file, older)
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            yield* store.commit(store.revokeToken("aaaaaaaaaa", 20))
            yield* store.commit(store.putToken(token("dddddddddd")))
            yield* store.commit(store.putToken(token("eeeeeeeeee")))
            yield* store.commit(store.revokeToken("dddddddddd", 30))
          }))
        const newer = new DatabaseSync(file, { readOnly: true })
        const kept = revocations(newer)
        newer.close()
        const restored = new DatabaseSync(older)
        // Another database's token, put there by hand.
        restored.exec("INSERT INTO tokens VALUES ('ffffffffff', 'x', 'x', '[\"admin\"]', NULL, 1, NULL, NULL, NULL)")
        assert.strictEqual(keepRevocations(kept, restored, 40), 2)
        const expected = {
          aaaaaaaaaa: 20,
          bbbbbbbbbb: null,
          cccccccccc: 10,
          // Never in the older one; it is known as revoked, so that a restore of this restore knows it as well.
          dddddddddd: 30,
          ffffffffff: 40
        }
        assert.deepStrictEqual(fates(restored), expected)
        assert.strictEqual(keepRevocations(kept, restored, 50), 0)
        assert.deepStrictEqual(fates(restored), expected)
        restored.close()
        // It is a database as any other, and the younger token is unknown to it.
        yield* withStore(older, (store) =>
          Effect.gen(function*() {
            yield* store.commit(add(store, "a.example.com"))
            assert.strictEqual((yield* store.tokens).length, 5)
          }))
      })
    ))

  it.effect("does not through a restore either", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const backup = join(path, "backup.db")
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            yield* store.commit(store.putToken(token("aaaaaaaaaa")))
            yield* store.commit(store.putToken(token("bbbbbbbbbb")))
            const { bytes } = yield* store.image
            writeFileSync(backup, bytes)
            yield* store.commit(store.revokeToken("aaaaaaaaaa", 20))
          }))
        yield* Effect.scoped(Effect.flatMap(stage(backup, file), (staged) => exchange(staged, file, 40)))
        const tokens = yield* withStore(file, (store) => store.tokens)
        assert.deepStrictEqual(tokens.map(({ id, revokedAt }) => [id, revokedAt]), [["aaaaaaaaaa", 20], [
          "bbbbbbbbbb",
          null
        ]])
      })
    ))

  it.effect("does not through a choice about the remote copy either, which leaves tokens that only one side knows", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const copy = (store: Store["Service"]) => Effect.map(store.fullCopy, ({ bytes }) => bytes)
        const [older, newer] = yield* withStore(join(path, "desired.db"), (store) =>
          Effect.gen(function*() {
            for (const id of ["aaaaaaaaaa", "bbbbbbbbbb"]) yield* store.commit(store.putToken(token(id)))
            const first = yield* copy(store)
            yield* store.commit(store.revokeToken("aaaaaaaaaa", 20))
            return [first, yield* copy(store)] as const
          }))
        const after = (ended: Revocations) => {
          const made = supersede(older, null, ended)
          assert(made.kind === "ours")
          return revocationsIn(made.bytes).revoked.map((row) => [row["id"], row["revoked_at"]])
        }
        assert.deepStrictEqual(after(revocationsIn(newer)), [["aaaaaaaaaa", 20]])
        const elsewhere = { known: ["cccccccccc"], revoked: [] }
        assert.strictEqual(after(elsewhere).length, 2)
        assert.strictEqual(after({ ...elsewhere, known: null }).length, 0)
      })
    ))

  it("may be older than tokens are", () => {
    const db = new DatabaseSync(":memory:")
    assert.deepStrictEqual(revocations(db), { known: [], revoked: [] })
    assert.strictEqual(keepRevocations({ known: ["aaaaaaaaaa"], revoked: [] }, db, 1), 0)
    db.close()
  })
})
