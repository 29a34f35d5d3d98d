import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Edit } from "../../src/domain/Change.ts"
import type { LegacyServer } from "../../src/domain/Legacy.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { type MigrationSources, planMigration } from "../../src/program/MigrationPlan.ts"
import { acceptServer } from "../../src/program/TakeOver.ts"
import { planTakeOver, type TakeOverState } from "../../src/program/TakeOverPlan.ts"

const limits = { pools: 10, slots: 3 }
const suffixes = publicSuffixes([])
const rules = {
  limits,
  isRegistrable: (name: Parameters<typeof suffixes.registrable>[0]) => suffixes.registrable(name) === name,
  accept: acceptServer({
    pools: limits,
    suffixes,
    listeners: [{ ip: "127.0.0.1", port: 9999, name: "the Runtime API" }],
    localAddresses: new Set(),
    haproxyIsHere: true
  })
}

const entries = (lines: ReadonlyArray<string>) =>
  lines.map((line) => {
    const [key, value] = line.split(" ")
    return { key: key!, value: value ?? "" }
  })

const server = (of: string, slot: number, ip: string, port = 80, more: Partial<LegacyServer> = {}): LegacyServer => ({
  of,
  slot,
  ip,
  port,
  weight: null,
  state: null,
  ...more
})

const plan = (
  sources: {
    readonly domains?: ReadonlyArray<string>
    readonly wildcards?: ReadonlyArray<string>
    readonly servers?: ReadonlyArray<LegacyServer>
    readonly database?: ReadonlyArray<readonly [name: string, pool: string, sharesWith?: string]>
  }
) => {
  const found: MigrationSources = {
    domains: { file: "domains.map", entries: entries(sources.domains ?? []) },
    wildcards: { file: "wildcards.map", entries: entries(sources.wildcards ?? []) },
    database: sources.database === undefined ? null : {
      file: "old.db",
      routes: sources.database.map(([name, pool, sharesWith]) => ({ name, pool, sharesWith: sharesWith ?? null })),
      servers: [],
      certificates: null
    },
    servers: { file: "servers.json", found: sources.servers ?? [] }
  }
  return planMigration(found, rules, 1)
}

const words = (edits: ReadonlyArray<Edit>) =>
  edits.map((edit) => {
    if (edit.kind === "owner") return `owner ${edit.pool} ${edit.after}`
    if (edit.kind === "route") {
      const { implicit, name, pool, seq } = edit.after!
      return `${name} ${pool} ${seq}${implicit ? " implicit" : ""}`
    }
    const { ip, port, state, weight } = edit.after!
    return `${edit.pool}_${edit.slot} ${ip}:${port} ${weight} ${state}`
  })

const whys = (notes: ReadonlyArray<{ readonly what: string; readonly why: string }>) =>
  notes.map(({ what, why }) => `${what}: ${why}`)

describe("the plan of a migration", () => {
  it("is nothing where there is nothing", () => {
    assert.deepStrictEqual(plan({}).edits, [])
    assert.deepStrictEqual(plan({ domains: ["a.com other"] }).edits, [])
  })

  it("takes names, shares, wildcards and servers", () => {
    const { edits, report } = plan({
      domains: ["www.a.com pool_1", "a.com pool_1", "b.com pool_2", "sub.b.com pool_3"],
      wildcards: [".a.com pool_1", ".b.com pool_3", ".sub.b.com pool_3", ".co.uk pool_2"],
      servers: [
        server("a.com", 1, "10.0.0.1"),
        server("a.com", 2, "2001:DB8::0005", 81),
        server("pool_2", 3, "10.0.0.2")
      ]
    })
    assert.deepStrictEqual(words(edits), [
      // The one that has servers of its own.
      "owner 1 a.com",
      "owner 2 b.com",
      "owner 3 sub.b.com",
      "www.a.com 1 1",
      "a.com 1 2",
      "b.com 2 3",
      "sub.b.com 3 4",
      "*.a.com 1 5 implicit",
      // Another pool than its domain's; a subdomain's; one on a public suffix.
      "*.b.com 3 6",
      "*.sub.b.com 3 7",
      "*.co.uk 2 8",
      "1_1 10.0.0.1:80 1 ready",
      "1_2 2001:db8::5:81 1 ready",
      "2_3 10.0.0.2:80 1 ready"
    ])
    assert.deepStrictEqual(report.taken, { domains: 4, wildcards: 4, pools: 3, servers: 3 })
    assert.deepStrictEqual([report.foreign, report.refused, report.left, report.decided], [[], [], [], []])
  })

  it("leaves what is foreign or refused, with the reason, and keeps the servers of its pool", () => {
    const { edits, report } = plan({
      domains: [
        "a.com be_app",
        "b.com pool_11",
        "c.com",
        "Upper.com pool_1",
        "under_score.com pool_2",
        "10.0.0.1 pool_3",
        "localhost pool_3",
        "b\u00fccher.de pool_3",
        ".wild.com pool_4",
        "*.star.com pool_4",
        "d.com pool_5",
        "d.com pool_6",
        "e.com be_app",
        "e.com pool_7"
      ],
      wildcards: ["exact.com pool_4"],
      servers: [
        server("under_score.com", 1, "10.0.0.2"),
        server("Upper.com", 1, "10.0.0.1"),
        server("pool_9", 1, "10.0.0.9")
      ]
    })
    assert.deepStrictEqual(words(edits), [
      "owner 5 d.com",
      "d.com 5 1",
      "2_1 10.0.0.2:80 1 ready",
      "1_1 10.0.0.1:80 1 ready"
    ])
    assert.deepStrictEqual(whys(report.foreign), [
      "a.com: it leads to be_app, which is none of our pools",
      "b.com: it leads to pool_11, and HAPROXY_POOL_COUNT is 10",
      "c.com: it leads nowhere: it has no value",
      "e.com: it leads to be_app, which is none of our pools"
    ])
    assert.deepStrictEqual(report.refused.map(({ what }) => what), [
      "Upper.com",
      "under_score.com",
      "10.0.0.1",
      "localhost",
      "b\u00fccher.de",
      ".wild.com",
      "*.star.com",
      "exact.com"
    ])
    assert.deepStrictEqual(whys(report.left), [
      "d.com: an entry before it leads to pool_5: this one (pool_6) never had an effect",
      "e.com: an entry before it leads to be_app: this one (pool_7) never had an effect",
      "pool_9 slot 1: 10.0.0.9:80: nothing leads to pool_9"
    ])
  })

  it("refuses servers without a place or with an address that no server can have", () => {
    const { edits, report } = plan({
      domains: ["a.com pool_1", "b.com pool_1"],
      servers: [
        server("a.com", 0, "10.0.0.1"),
        server("a.com", 4, "10.0.0.1"),
        server("a.com", Number.NaN, "10.0.0.1"),
        server("a.com", 1, "backend.internal"),
        server("a.com", 1, "169.254.169.254"),
        server("a.com", 1, "10.0.0.1", 70_000),
        server("a.com", 1, "127.0.0.1", 9999),
        server("a.com", 1, "0.0.0.0", 0),
        server("a.com", 2, "192.0.2.1", 1),
        server("b.com", 3, "10.0.0.2"),
        server("a.com", 3, "10.0.0.1", 80, { weight: 300, state: "drain" }),
        server("gone.com", 1, "10.0.0.1")
      ]
    })
    // The owner's server counts, wherever it stands.
    assert.deepStrictEqual(words(edits).at(-1), "1_3 10.0.0.1:80 1 drain")
    assert.strictEqual(edits.filter((edit) => edit.kind === "server").length, 1)
    const said = whys(report.left).join("\n")
    for (
      const part of [
        "a.com slot 0: 10.0.0.1:80: a pool has the slots 1 to 3",
        "a.com slot 4:",
        "a.com slot NaN:",
        "\"backend.internal\" is not an IP address",
        "is a cloud metadata service",
        "70000 is not a port",
        "is the Runtime API",
        "b.com slot 3: 10.0.0.2:80: pool_1_3 holds 10.0.0.1:80 already",
        "gone.com slot 1: 10.0.0.1:80: no domain or pool of this name is taken over"
      ]
    ) assert.include(said, part)
    assert.strictEqual(report.left.length, 9)
  })

  it("lets the map count before the database, and the database say who is older and who shares", () => {
    const { edits, report } = plan({
      domains: ["a.com pool_1", "z.com pool_1", "m.com pool_2", "held.com other"],
      database: [
        ["z.com", "pool_1"],
        ["m.com", "pool_9"],
        ["a.com", "pool_1", "z.com"],
        ["Only.com", "3"],
        [".only.com", "pool_3"],
        ["held.com", "pool_4"],
        ["bad name", "pool_4"],
        ["far.com", "pool_99"]
      ]
    })
    assert.deepStrictEqual(words(edits).filter((line) => !line.includes("only")), [
      "owner 1 z.com",
      "owner 2 m.com",
      "z.com 1 1",
      "m.com 2 2",
      "a.com 1 3"
    ])
    assert.include(whys(report.decided), "m.com: its map leads to pool_2, the database to pool_9: the map counts")
    assert.deepStrictEqual(report.left.map(({ what }) => what), ["Only.com", "held.com", "bad name", "far.com"])
  })

  it("takes 100,000 entries within seconds", () => {
    const began = performance.now()
    const domains = Array.from({ length: 100_000 }, (_, n) => `d${n}.example.com pool_${n % 10 + 1}`)
    assert.strictEqual(plan({ domains }).report.taken.domains, 100_000)
    assert.isBelow(performance.now() - began, 8_000)
  })
})

describe("the plan of a take-over", () => {
  const nothing: TakeOverState = { routes: [], servers: [], domains: [], wildcards: [], slots: [] }
  const slot = (pool: number, number: number, ip: string, state: "ready" | "drain" | "maint", weight = 1) =>
    ({ pool, slot: number, ip, port: 80, weight, state }) as unknown as TakeOverState["slots"][number]

  it("takes names that only HAProxy has, the servers that take traffic, and how they are set", () => {
    const before = plan({
      domains: ["a.com pool_1"],
      servers: [server("a.com", 1, "10.0.0.1"), server("a.com", 2, "10.0.0.2")]
    })
    const routes = before.edits.flatMap((edit) => edit.kind === "route" ? [edit.after!] : [])
    const servers = before.edits.flatMap((edit) => edit.kind === "server" ? [edit.after!] : [])
    const { edits, notes } = planTakeOver(
      {
        routes,
        servers,
        domains: entries(["a.com pool_1", "b.com pool_2", "Odd.com pool_3", "x.com other"]),
        wildcards: entries([".b.com pool_2"]),
        slots: [
          slot(1, 1, "10.0.0.1", "maint", 5),
          slot(1, 2, "10.0.0.9", "ready"),
          { ...slot(1, 3, "192.0.2.1", "maint"), port: 1 },
          slot(2, 1, "10.0.1.1", "drain"),
          slot(2, 2, "10.0.1.2", "maint"),
          slot(2, 3, "0.0.0.0", "ready"),
          slot(3, 1, "10.0.2.1", "ready"),
          // Nothing leads there.
          slot(4, 1, "10.0.3.1", "ready")
        ]
      },
      rules,
      10
    )
    assert.deepStrictEqual(words(edits), [
      "owner 2 b.com",
      "b.com 2 10",
      "*.b.com 2 11 implicit",
      "1_1 10.0.0.1:80 5 maint",
      "1_2 10.0.0.9:80 1 ready",
      "2_1 10.0.1.1:80 1 drain",
      "3_1 10.0.2.1:80 1 ready"
    ])
    assert.deepStrictEqual(whys(notes), [
      "pool_1_2: 10.0.0.9:80 runs there, not 10.0.0.2:80: what runs counts",
      "pool_2_2: 10.0.1.2:80 was in maintenance: not taken"
    ])
  })

  it("is nothing where HAProxy runs the desired state", () => {
    assert.deepStrictEqual(planTakeOver(nothing, rules, 1).edits, [])
  })
})

it.effect("the rules for a server's address are those of every other way in", () =>
  Effect.sync(() => {
    assert.isTrue(Result.isSuccess(rules.accept("10.0.0.1", 80)))
    assert.isTrue(Result.isFailure(rules.accept("10.0.0.1", 0)))
  }))
