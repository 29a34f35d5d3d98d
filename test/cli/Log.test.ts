/** `haproxy-mcp changes` and `haproxy-mcp foreign`, through a running `serve` and without one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { DatabaseSync } from "node:sqlite"
import { changesText, changeText } from "../../src/cli/Changes.ts"
import { adoptText, foreignText } from "../../src/cli/Foreign.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { newestLine, startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"

const limit = 60_000

const change = {
  time: "2026-02-08T12:03:50.123Z",
  revision: 7,
  change_id: "chg_1",
  via: "mcp",
  who: "ann\u001b[2J",
  request_id: "r-1",
  tool: "haproxy_add_domain",
  summary: "shop.example.com is routed\nto pool_1",
  outcome: "applied"
} as const

describe("the text", () => {
  it("of changes is a table without control characters", () => {
    assert.strictEqual(changesText([]), "No change.\n")
    const [head, row] = changesText([change]).split("\n")
    assert.match(head!, /^time \(UTC\) +rev +who +tool +outcome +change +what$/)
    assert.match(
      row!,
      /^2026-02-08 12:03:50 +7 +mcp ann\?\[2J +haproxy_add_domain +applied +chg_1 +shop\.example\.com is routed\?to pool_1$/
    )
    const text = changeText({
      summary: "s",
      change,
      edits: [{ what: "shop.example.com", before: null, after: "pool_1" }],
      edit_count: 900
    })
    assert.match(text, /^shop\.example\.com +- +pool_1$/m)
    assert.match(text, /and 899 more/)
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(text, /[\u0000-\u0009\u000b-\u001f]/)
  })

  it("of foreign entries says what to do", () => {
    const entry = {
      map: "domains",
      key: "a\u0007.com",
      value: "be_a",
      where: "both",
      why: "it leads to be_a",
      adopt_as: null,
      hint: "Leave it."
    } as const
    const text = foreignText({ summary: "1 foreign entry", entries: [entry], total: 4, warnings: [] })
    assert.match(text, /^domains +a\?\.com +be_a +file, HAProxy +it leads to be_a +Leave it\.$/m)
    assert.match(text, /and 3 more: --limit 4/)
    const done = adoptText({
      summary: "1 entry adopted; 1 cannot be",
      dry_run: false,
      adopted: [{ domain: "b.com", backend: "pool_2" }],
      refused: [entry],
      changed: true,
      revision: 2,
      warnings: []
    })
    assert.include(done, "  b.com → pool_2\n  a?.com: it leads to be_a. Leave it.\n")
  })
})

describe("the commands", () => {
  it.live("answer through a running serve, and alone", () =>
    Effect.gen(function*() {
      const shape = { pools: 4, slots: 2 }
      const { site } = yield* startHaproxy({
        binary: newestLine,
        ...shape,
        domains: ["shop.example.com pool_1", "Loud.example.com pool_2", "site.example.com be_site"]
      })
      const env = settingsOf(site, shape)
      const run = (...args: ReadonlyArray<string>) => runNode(program, args, { env, limit })
      const server = yield* startServer({ env })
      yield* Effect.promise(async () => {
        await server.ready()
        const list = await run("foreign", "list")
        assert.deepStrictEqual([list.code, list.stderr], [0, ""])
        assert.match(list.stdout, /^2 foreign entries, 1 of them can be adopted/)
        assert.match(
          list.stdout,
          /Loud\.example\.com +pool_2 +file, HAProxy +.*haproxy-mcp foreign adopt loud\.example\.com$/m
        )
        const none = await run("foreign", "adopt", "site.example.com")
        assert.strictEqual(none.code, 1)
        assert.match(none.stdout, /site\.example\.com: it leads to be_site, which is none of our pools/)
        const adopted = await run("foreign", "adopt", "--all", "--json")
        assert.deepInclude(JSON.parse(adopted.stdout), {
          changed: true,
          adopted: [{ domain: "loud.example.com", backend: "pool_2" }]
        })
        assert.strictEqual((await run("foreign", "adopt")).code, 2)
        const changes = await run("changes", "--json")
        const logged = JSON.parse(changes.stdout) as ReadonlyArray<Record<string, string>>
        assert.deepStrictEqual(logged.map(({ tool }) => tool), ["adopt_foreign", "migration"])
        assert.match((await run("changes", "--limit", "1")).stdout, /adopt_foreign +applied/)
        assert.strictEqual(JSON.parse((await run("changes", "--since", "1", "--json")).stdout).length, 1)
        const who = logged[0]!["who"]!
        const by = async (...args: ReadonlyArray<string>) =>
          (JSON.parse((await run("changes", "--json", ...args)).stdout) as ReadonlyArray<unknown>).length
        assert.strictEqual(await by("--who", who, "--from", logged[0]!["time"]!), 1)
        assert.strictEqual(await by("--who", "nobody"), 0)
        assert.strictEqual(await by("--until", "2020-01-01"), 0)
        const noTime = await run("changes", "--from", "yesterday")
        assert.strictEqual(noTime.code, 2)
        assert.match(noTime.stderr, /from "yesterday" is no time/)
        const shown = await run("changes", logged[0]!["change_id"]!)
        assert.match(shown.stdout, /^loud\.example\.com +- +pool_2$/m)
        assert.strictEqual((await server.stop()).code, 0)
        const alone = await run("changes", "--domain", "shop.example.com", "--json")
        assert.strictEqual(alone.code, 0, alone.stderr)
        assert.deepStrictEqual(
          (JSON.parse(alone.stdout) as ReadonlyArray<Record<string, string>>).map(({ tool }) => tool),
          ["migration"]
        )
      })
    }).pipe(Effect.scoped), limit)

  it.live(
    "on the audit chain verify and write it out, through a running serve and alone",
    () =>
      Effect.gen(function*() {
        const shape = { pools: 4, slots: 2 }
        const { site } = yield* startHaproxy({ binary: newestLine, ...shape })
        const env = settingsOf(site, { ...shape, env: { MCP_TOOLSETS: "runtime" } })
        const run = (...args: ReadonlyArray<string>) => runNode(program, args, { env, limit })
        const server = yield* startServer({ env })
        yield* Effect.promise(async () => {
          await server.ready()
          const client = server.client()
          const added = await client.good("haproxy_add_domain", { domain: "a.example.com", ip: "10.0.0.1" })
          await client.call("haproxy_add_domain", { domain: "a.example.com", ip: "no address" })
          // A dry run leaves no trace here, refused or not.
          await client.call("haproxy_add_domain", { domain: "b.example.com", ip: "no address", dry_run: true })
          // What no change tells of: a file, and HAProxy's own memory. Looking is not told of.
          await client.good("haproxy_save_state")
          await client.good("haproxy_counters_clear")
          await client.good("haproxy_counters_clear", { dry_run: true })
          await client.good("haproxy_health")
          const dry = await run("changes", String(added["change_id"]), "--revert", "--dry-run")
          assert.deepStrictEqual([dry.code, dry.stderr], [0, ""])
          assert.match(dry.stdout, /^Dry run, nothing was changed\. .*: Took back chg_/)
          assert.match(dry.stdout, /^a\.example\.com +pool_1 +-$/m)
          assert.match(dry.stdout, /\n\d+ commands to HAProxy; 0 sessions are open .*\nDomains: a\.example\.com\n$/)
          const verified = await run("audit", "verify")
          assert.deepStrictEqual([verified.code, verified.stderr], [0, ""])
          assert.match(verified.stdout, /^\d records and 1 changes are as .*\nends with record \d {2}[0-9a-f]{64}\n$/)
          assert.strictEqual((await server.stop()).code, 0)
          const out = (await run("audit", "export", "--since", "2026-01-01")).stdout
          const told = out.trimEnd().split("\n").map((line) => JSON.parse(line).content)
          assert.deepInclude(told[0], { change_id: added["change_id"], tool: "haproxy_add_domain" })
          assert.deepStrictEqual(told[0].args, { domain: "a.example.com", ip: "10.0.0.1" })
          const calls = told.flatMap((content) => content.calls ?? [])
          assert.deepStrictEqual(calls.map(({ code, denied, tool }) => [tool, code, denied]).sort(), [
            ["haproxy_add_domain", "INVALID_INPUT", false],
            ["haproxy_counters_clear", "OK", false],
            ["haproxy_save_state", "OK", false]
          ])
          const db = new DatabaseSync(env["HAPROXY_DB_FILE"]!)
          db.exec("UPDATE changes SET who = 'nobody'")
          db.close()
          const edited = await run("audit", "verify")
          assert.strictEqual(edited.code, 1)
          assert.include(edited.stdout, `${added["change_id"]}: the change is not as it was written`)
        })
      }).pipe(Effect.scoped),
    limit
  )
})
