/** The predecessor's database: recognised, read without a trace, and moved aside whatever interrupts that. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Legacy from "../../src/store/Legacy.ts"
import { leaveDatabase, type PredecessorRows, snapshot } from "../support/Predecessor.ts"
import { folder, withStore } from "./support/Fixture.ts"

const rows: PredecessorRows = {
  domains: [
    { domain: "b.example.com", pool: "pool_2" },
    { domain: "a.example.com", pool: "pool_1" },
    { domain: "w.example.com", pool: "pool_1", sharesWith: "a.example.com" },
    { domain: ".a.example.com", pool: "pool_1", isWildcard: true }
  ],
  servers: [{ domain: "a.example.com", slot: 2, ip: "10.0.0.1", port: 8080 }]
}

const make = (file: string, sql: string) => {
  const db = new DatabaseSync(file)
  db.exec(sql)
  db.close()
}

describe("the predecessor's database", () => {
  it.live("is read with its log, moved aside as it is, and makes way for ours", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const file = join(dir, "haproxy_mcp.db")
      leaveDatabase(file, rows)
      const before = [...snapshot(dir, /./).values()]
      yield* Legacy.makeWay(file)
      assert.deepStrictEqual(readdirSync(dir).sort(), ["haproxy_mcp.db.predecessor", "haproxy_mcp.db.predecessor-wal"])
      assert.deepStrictEqual(yield* Legacy.readKept(file), {
        file: `${file}.predecessor`,
        routes: [
          { name: "b.example.com", pool: "pool_2", sharesWith: null },
          { name: "a.example.com", pool: "pool_1", sharesWith: null },
          { name: "w.example.com", pool: "pool_1", sharesWith: "a.example.com" },
          { name: ".a.example.com", pool: "pool_1", sharesWith: null }
        ],
        servers: [{ of: "a.example.com", slot: 2, ip: "10.0.0.1", port: 8080, weight: null, state: null }],
        certificates: ["shop.example.com"]
      })
      yield* withStore(file, (store) => Effect.map(store.revision, (revision) => assert.strictEqual(revision, 0)))
      // Ours by now: nothing more to do.
      yield* Legacy.makeWay(file)
      assert.deepStrictEqual([...snapshot(dir, /predecessor/).values()], before)
    })))

  it.live("is found behind a link, and a second one is kept beside the first", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      mkdirSync(join(dir, "real"))
      const file = join(dir, "real", "x.db")
      const link = join(dir, "haproxy_mcp.db")
      symlinkSync(file, link)
      leaveDatabase(file, rows)
      yield* Legacy.makeWay(link)
      leaveDatabase(file, { domains: [{ domain: "new.example.com", pool: "pool_7" }], servers: [] })
      yield* Legacy.makeWay(link)
      assert.isTrue(existsSync(`${file}.predecessor-wal`))
      assert.isTrue(existsSync(`${file}.predecessor-2-wal`))
      yield* withStore(link, (store) => store.revision)
      assert.strictEqual((yield* Legacy.readKept(link))?.routes[0]?.name, "new.example.com")
    })))

  it.live("is moved to the end by the next start when a process was killed between two renames", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const file = join(dir, "haproxy_mcp.db")
      leaveDatabase(file, rows)
      renameSync(file, `${file}.predecessor`)
      yield* Legacy.makeWay(file)
      assert.isFalse(existsSync(`${file}-wal`))
      assert.strictEqual((yield* Legacy.readKept(file))?.routes.length, 4)
    })))

  it.live("may have other columns: servers by pool or by id, pools as numbers, wildcards in a table of their own", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const first = join(dir, "first.db")
      make(
        first,
        `CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT, pool INTEGER);
        CREATE TABLE wildcards (domain TEXT, pool TEXT);
        CREATE TABLE servers (domain_id INTEGER, slot INTEGER, address TEXT, port INTEGER, weight INTEGER, state TEXT);
        INSERT INTO domains VALUES (7, 'a.example.com', 3);
        INSERT INTO wildcards VALUES ('a.example.com', 'pool_3');
        INSERT INTO servers VALUES (7, 1, '10.0.0.1', 80, 5, 'drain')`
      )
      yield* Legacy.makeWay(first)
      const { routes, servers } = (yield* Legacy.readKept(first))!
      assert.deepStrictEqual(routes.map(({ name, pool }) => `${name} ${pool}`), [
        "a.example.com pool_3",
        "*.a.example.com pool_3"
      ])
      assert.deepStrictEqual(servers, [
        { of: "a.example.com", slot: 1, ip: "10.0.0.1", port: 80, weight: 5, state: "drain" }
      ])
      const second = join(dir, "second.db")
      make(
        second,
        `CREATE TABLE domains (domain TEXT PRIMARY KEY, backend TEXT) WITHOUT ROWID;
        CREATE TABLE servers (backend TEXT, slot INTEGER, ip TEXT, http_port INTEGER);
        INSERT INTO domains VALUES ('a.example.com', 'pool_1');
        INSERT INTO servers VALUES ('pool_1', 2, '10.0.0.2', 81)`
      )
      yield* Legacy.makeWay(second)
      const other = (yield* Legacy.readKept(second))!
      assert.deepStrictEqual(other.servers.map(({ of, port }) => `${of} ${port}`), ["pool_1 81"])
      assert.isNull(other.certificates)
    })))

  it.live("names its certificates by domain, by id or, where neither is there, not at all", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const tables = {
        "name TEXT, expires_at TEXT": "('a.example.com', '2031-01-01')",
        "domain_id INTEGER, status TEXT": "(7, 'issued'), (8, 'issued')",
        "expires_at TEXT": "('2031-01-01')"
      }
      const found: Array<ReadonlyArray<string> | null> = []
      for (const [index, [columns, values]] of Object.entries(tables).entries()) {
        const file = join(dir, `${index}.db`)
        make(
          file,
          `CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT, pool TEXT);
          INSERT INTO domains VALUES (7, 'b.example.com', 'pool_1');
          CREATE TABLE certificates (${columns});
          INSERT INTO certificates VALUES ${values}`
        )
        yield* Legacy.makeWay(file)
        found.push((yield* Legacy.readKept(file))!.certificates)
      }
      // A certificate of a domain that is gone, and one that nothing names, are told as names that are empty.
      assert.deepStrictEqual(found, [["a.example.com"], ["b.example.com", ""], [""]])
    })))

  it.live("of another program stays where it is, and the refusal says what it holds", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const file = join(dir, "haproxy_mcp.db")
      make(file, "CREATE TABLE users (id INTEGER, mail TEXT)")
      const before = snapshot(dir, /./)
      const refused = yield* Effect.flip(Legacy.makeWay(file))
      assert.strictEqual(refused.code, "CONFIG_INVALID")
      assert.match(refused.message, /another program.*users \(id, mail\)/)
      assert.deepStrictEqual(snapshot(dir, /./), before)
      // Damaged behind a good header.
      const header = Buffer.alloc(4096)
      header.write("SQLite format 3\0", "latin1")
      writeFileSync(file, header)
      assert.match((yield* Effect.flip(Legacy.makeWay(file))).message, /cannot be read \(SQLite code/)
      assert.strictEqual(statSync(file).size, 4096)
    })))
})
