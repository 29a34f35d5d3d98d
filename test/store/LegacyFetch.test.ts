/** The predecessor's database on HAProxy's host: fetched with its log, read, and left as it is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, copyFileSync, readdirSync, renameSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readFar } from "../../src/store/LegacyFetch.ts"
import { onEachDisk } from "../support/Disks.ts"
import { leaveDatabase, type PredecessorRows, snapshot } from "../support/Predecessor.ts"
import { folder, withStore } from "./support/Fixture.ts"

const rows: PredecessorRows = {
  domains: [{ domain: "a.example.com", pool: "pool_1" }],
  servers: [{ domain: "a.example.com", slot: 2, ip: "10.0.0.1", port: 8080 }]
}

const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith("haproxy-mcp-legacy-"))

onEachDisk((disk) =>
  describe("the predecessor's database on another host", () => {
    it.live("is read with its log where it lies, and where it was kept; nothing is changed", () =>
      Effect.scoped(Effect.gen(function*() {
        const file = join(yield* folder, "haproxy_mcp.db")
        assert.isNull(yield* readFar(disk(), file))
        leaveDatabase(file, rows)
        const before = [...snapshot(join(file, ".."), /./).values()]
        const kept = copies()
        const found = yield* readFar(disk(), file)
        assert.deepInclude(found, {
          file,
          servers: [{ of: "a.example.com", slot: 2, ip: "10.0.0.1", port: 8080, weight: null, state: null }]
        })
        assert.deepStrictEqual(found?.routes.map(({ name }) => name), ["a.example.com"])
        assert.deepStrictEqual([...snapshot(join(file, ".."), /./).values()], before)
        assert.deepStrictEqual(copies(), kept)
        // A copy of ours came to its place.
        renameSync(file, `${file}.before`)
        const ours = join(yield* folder, "ours.db")
        yield* withStore(ours, () => Effect.void)
        copyFileSync(ours, file)
        assert.strictEqual((yield* readFar(disk(), file))?.file, `${file}.before`)
      })))

    it.live("is none where another program's lies, and a folder in its place is none", () =>
      Effect.scoped(Effect.gen(function*() {
        const file = join(yield* folder, "haproxy_mcp.db")
        yield* withStore(file, () => Effect.void)
        assert.isNull(yield* readFar(disk(), file))
        writeFileSync(`${file}.before`, "no database")
        assert.isNull(yield* readFar(disk(), file))
        assert.isNull(yield* readFar(disk(), tmpdir()))
      })))

    it.live("that somebody goes on writing is refused", () =>
      Effect.scoped(Effect.gen(function*() {
        const file = join(yield* folder, "haproxy_mcp.db")
        leaveDatabase(file, rows)
        const far = disk()
        const error = yield* Effect.flip(readFar({
          ...far,
          readFile: async (path, largest) => {
            const bytes = await far.readFile(path, largest)
            appendFileSync(`${file}-wal`, "x")
            return bytes
          }
        }, file))
        assert.strictEqual(error._tag, "Conflict")
      })))
  })
)
