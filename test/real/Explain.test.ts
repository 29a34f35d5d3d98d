/** What haproxy_explain says, against the request itself, on every line of HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import { explanationText } from "../../src/cli/Explain.ts"
import type { ExplainAnswer } from "../../src/program/explain/Shapes.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { startOrigin } from "../support/Origin.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { bad, type Data, good, rowsOf } from "../support/ToolCalls.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { makeWorld } from "../support/World.ts"

/** A file that haproxy.cfg names; gone with the test. */
const listFile = (text: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = join(await mkdtemp(join(tmpdir(), "lists-")), "paths.acl")
      await writeFile(file, text)
      return file
    }),
    (file) => Effect.promise(() => rm(join(file, ".."), { recursive: true }))
  )

const prepare = Effect.fnUntraced(function*(binary: HaproxyBinary) {
  const [own, foreign] = [yield* startOrigin("own"), yield* startOrigin("foreign")]
  const paths = yield* listFile("/wp-login.php\n/xmlrpc.php\n")
  const world = yield* makeWorld({
    binary,
    pools: 6,
    slots: 3,
    tls: true,
    certificates: { "a.pem": makeCertificate(["a.example.com", "*.a.example.com"]).text },
    domains: ["theirs.example.com web_backend", "lost.example.com nowhere"],
    frontend: [`http-request deny if { path -f ${paths} } { hdr(x-none) -m found }`],
    sections: ["backend web_backend from base", `  server w1 127.0.0.1:${foreign.port}`, ""]
  })
  const ask = (host: string, more: Data = {}) => good(world, "haproxy_explain", { host, ...more })
  const whats = (answer: Data) => rowsOf(answer, "problems").map(({ what }) => String(what)).join("; ")
  return { world, ask, whats, own, foreign }
})

describe.concurrent("haproxy_explain", () => {
  for (const binary of realLines) {
    it.live(`says what the request does: HAProxy ${binary.version}`, () =>
      Effect.gen(function*() {
        const { ask, foreign, own, whats, world } = yield* prepare(binary)
        const add = (domain: string, more: Data = {}) => good(world, "haproxy_add_domain", { domain, ...more })
        yield* add("a.example.com", { ip: "127.0.0.1", http_port: own.port })
        yield* add("*.wild.example.com", { ip: "127.0.0.1", http_port: own.port })
        yield* add("empty.example.com")

        const exact = yield* ask("A.example.com:80")
        assert.strictEqual((yield* world.haproxy.get("A.example.com:80")).body, "own")
        assert.deepInclude(exact, { outcome: "served", host: "a.example.com", domain: "a.example.com", problems: [] })
        assert.deepInclude(exact["route"], { key: "a.example.com", match: "exact", level: 0, ours: true })
        assert.deepInclude(rowsOf(exact, "servers")[0], { addr: `127.0.0.1:${own.port}`, takes: true })
        assert.deepInclude(exact["certificate"], { shown: true, name: "a", covers_host: true })
        assert.isTrue(exact["frontends_known"])
        const text = explanationText(exact as unknown as ExplainAnswer)
        assert.include(text, "outcome      served: a.example.com meets its own entry")
        assert.include(text, `server +     pool_1_1 127.0.0.1:${own.port}`)
        assert.deepStrictEqual(rowsOf(exact, "frontends").map(({ name, status }) => [name, status]), [["web", "OPEN"]])

        for (const [host, level] of [["x.wild.example.com", 1], ["z.y.x.wild.example.com", 3]] as const) {
          const answer = yield* ask(host)
          assert.strictEqual((yield* world.haproxy.get(host)).body, "own")
          assert.deepInclude(answer, { outcome: "served", domain: "*.wild.example.com" })
          assert.deepInclude(answer["route"], { key: ".wild.example.com", match: "wildcard", level, ours: true })
          // strict-sni: nobody stands for it.
          assert.deepInclude(answer["certificate"], { shown: false, covers_host: false })
          assert.include(whats(answer), "no certificate for")
        }
        const deep = "v.w.x.y.z.wild.example.com"
        assert.strictEqual((yield* world.haproxy.get(deep)).status, 404)
        assert.deepInclude(yield* ask(deep), { outcome: "no_route", route: null, domain: null })

        const theirs = yield* ask("theirs.example.com")
        assert.strictEqual((yield* world.haproxy.get("theirs.example.com")).body, "foreign")
        assert.deepInclude(theirs, { outcome: "served", domain: null })
        assert.deepInclude(theirs["route"], { backend: "web_backend", ours: false })
        assert.deepInclude(rowsOf(theirs, "servers")[0], { addr: `127.0.0.1:${foreign.port}` })
        assert.strictEqual((yield* world.haproxy.get("lost.example.com")).status, 503)
        assert.strictEqual((yield* ask("lost.example.com"))["outcome"], "no_backend")

        const empty = yield* ask("empty.example.com")
        assert.strictEqual((yield* world.haproxy.get("empty.example.com")).status, 503)
        assert.strictEqual(empty["outcome"], "no_server")
        assert.include(whats(empty), "has no servers")

        yield* good(world, "haproxy_set_domain_state", { domain: "a.example.com", state: "maint" })
        const down = yield* ask("a.example.com")
        assert.strictEqual((yield* world.haproxy.get("a.example.com")).status, 503)
        assert.strictEqual(down["outcome"], "no_server")
        assert.include(whats(down), "1 in maintenance")
        yield* good(world, "haproxy_set_domain_state", { domain: "a.example.com", state: "ready" })

        // What somebody else changed is said before it is repaired.
        const pool = String((exact["route"] as Data)["backend"])
        yield* world.haproxy.command(`set server ${pool}/${pool}_1 addr 127.0.0.1 port ${foreign.port}`)
        assert.include(whats(yield* ask("a.example.com")), "differ from the desired ones")
        yield* world.haproxy.command(`del map ${world.site.runtimeDomainsMap} a.example.com`)
        const gone = yield* ask("a.example.com")
        assert.strictEqual((yield* world.haproxy.get("a.example.com")).status, 404)
        assert.deepInclude(gone, { outcome: "no_route", domain: "a.example.com" })
        assert.include(whats(gone), "has no entry for it")

        const listed = yield* ask("empty.example.com", { path: "/wp-login.php?x", source_ip: "192.0.2.7" })
        assert.strictEqual(listed["path"], "/wp-login.php")
        assert.deepStrictEqual(
          rowsOf(listed, "meets").map(({ by, kind, pattern }) => [kind, by, pattern]),
          [["acl", "path", "/wp-login.php"]]
        )
        yield* world.haproxy.command("disable frontend web")
        assert.include(whats(yield* ask("empty.example.com")), "Frontend web is PAUSED")

        const odd = yield* ask("under_score.example.com")
        assert.include(whats(odd), "No domain can be named")
        for (
          const host of ["https://a.example.com/x", "*.example.com", "", "a b", "a;b", "x".repeat(300), "ä.example"]
        ) {
          assert.strictEqual((yield* bad(world, "haproxy_explain", { host }, "INVALID_INPUT"))["field"], "host")
        }
        yield* bad(world, "haproxy_explain", { host: "a.example.com", path: "x" }, "INVALID_INPUT")
        yield* bad(world, "haproxy_explain", { host: "a.example.com", source_ip: "a" }, "INVALID_INPUT")

        yield* world.haproxy.kill
        const away = yield* ask("a.example.com")
        assert.deepInclude(away, { outcome: "unknown", domain: "a.example.com", route: null, certificate: null })
        assert.include(whats(away), "HAProxy cannot be asked")
      }).pipe(quiet, Effect.scoped), 60_000)
  }
})
