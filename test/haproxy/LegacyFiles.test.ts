import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { readCertificates, readMap, readServers } from "../../src/haproxy/LegacyFiles.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "legacy-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("the predecessor's files", () => {
  it.live("hold nothing where they are not there", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      assert.deepInclude(yield* readMap(localDisk, join(dir, "domains.map")), { isThere: false, entries: [] })
      assert.deepInclude(yield* readServers(localDisk, join(dir, "servers.json")), { isThere: false, servers: [] })
      writeFileSync(join(dir, "servers.json"), " \n")
      assert.deepInclude(yield* readServers(localDisk, join(dir, "servers.json")), { isThere: true, servers: [] })
    })))

  it.live("are read as HAProxy reads them, and a mark of ours is seen", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "domains.map")
      writeFileSync(file, "# a comment\n\n a.com \t pool_1 \r\nb\u00fc.com pool_2\nkey\n")
      assert.deepStrictEqual(yield* readMap(localDisk, file), {
        file,
        isThere: true,
        isMarked: false,
        entries: [
          { key: "a.com", value: "pool_1" },
          { key: Buffer.from("b\u00fc.com").toString("latin1"), value: "pool_2" },
          { key: "key", value: "" }
        ]
      })
      writeFileSync(file, "# mine\n# haproxy-mcp: entries …\n")
      assert.isTrue((yield* readMap(localDisk, file)).isMarked)
    })))

  it.live("of servers: what is a server, and what is not", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "servers.json")
      writeFileSync(
        file,
        JSON.stringify({
          "a.com": {
            1: { ip: "10.0.0.1", http_port: 8080 },
            2: { ip: "10.0.0.2", weight: 3, state: "drain" },
            3: null
          },
          _shares: "b.com",
          pool_7: { x: { ip: "10.0.0.3", http_port: "81" } }
        })
      )
      const { servers, strange } = yield* readServers(localDisk, file)
      assert.deepStrictEqual(servers, [
        { of: "a.com", slot: 1, ip: "10.0.0.1", port: 8080, weight: null, state: null },
        { of: "a.com", slot: 2, ip: "10.0.0.2", port: 80, weight: 3, state: "drain" },
        { of: "pool_7", slot: Number.NaN, ip: "10.0.0.3", port: 81, weight: null, state: null }
      ])
      assert.deepStrictEqual(strange, ["slot \"3\" of \"a.com\" holds no server", "\"_shares\" holds no slots"])
    })))

  it.live("of certificates: a list of domains, or domains with what is said of them", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "certificates.json")
      assert.deepStrictEqual(yield* readCertificates(localDisk, file), {
        file,
        isThere: false,
        domains: [],
        strange: []
      })
      const read = (content: unknown) =>
        Effect.suspend(() => {
          writeFileSync(file, JSON.stringify(content))
          return Effect.map(readCertificates(localDisk, file), ({ domains, strange }) => [domains, strange])
        })
      assert.deepStrictEqual(yield* read(["a.com", "b.com"]), [["a.com", "b.com"], []])
      assert.deepStrictEqual(
        yield* read([{ domain: "a.com", expires: "never" }, { name: "b.com" }, 7, { expires: 1 }]),
        [["a.com", "b.com"], ["\"7\" names no domain", "\"{\\\"expires\\\":1}\" names no domain"]]
      )
      assert.deepStrictEqual(yield* read({ "a.com": { expires: 1 }, "b.com": null }), [["a.com", "b.com"], []])
      for (const text of ["[\"a.com\"", "7"]) {
        writeFileSync(file, text)
        const refused = yield* Effect.flip(readCertificates(localDisk, file))
        assert.strictEqual(refused.field, "HAPROXY_CERTS_FILE")
        assert.match(refused.message, /certificates\.json (is not JSON|does not hold a list)/)
      }
    })))

  it.live("stop the start where they cannot be what they should be", () =>
    Effect.scoped(Effect.gen(function*() {
      const dir = yield* folder
      const json = join(dir, "servers.json")
      for (const text of ["{\"a.com\": ", "[1]", "null", "\"text\""]) {
        writeFileSync(json, text)
        const refused = yield* Effect.flip(readServers(localDisk, json))
        assert.strictEqual(refused.field, "HAPROXY_SERVERS_FILE")
        assert.match(refused.message, /servers\.json (is not JSON|does not hold an object)/)
        assert.match(refused.hint, /move it away/)
      }
      mkdirSync(join(dir, "domains.map"))
      assert.match((yield* Effect.flip(readMap(localDisk, join(dir, "domains.map")))).message, /not a regular file/)
      const big = join(dir, "wildcards.map")
      writeFileSync(big, "")
      truncateSync(big, 1024 ** 3)
      assert.match((yield* Effect.flip(readMap(localDisk, big))).message, /has 1024 MB, where 256 are the most/)
    })))
})
