import { assert, describe, it } from "@effect/vitest"
import { helpText, wantsColours } from "../../src/cli/HelpText.ts"
import { span, statusText } from "../../src/cli/StatusText.ts"
import type { HealthAnswer } from "../../src/program/HealthShapes.ts"

const now = Date.parse("2030-01-01T00:01:40Z")

const health: HealthAnswer = {
  summary: "degraded: HAProxy\u001b[2J: no answer",
  status: "degraded",
  components: {
    mcp: { status: "ok", version: "1.2.3", uptime_sec: 93_784 },
    haproxy: { status: "error", version: null, uptime_sec: null, reason: "no\nanswer" },
    config_files: {
      status: "ok",
      files: {
        map_file: { status: "ok", path: "/m/domains.map" },
        wildcards_file: { status: "error", path: "/m/wildcards.map", reason: "EACCES" },
        db_file: { status: "ok", path: "/d.db" }
      }
    },
    container: { status: "not_configured", state: "not_configured" },
    desired_state: {
      status: "ok",
      revision: 42,
      domains: 12,
      wildcards: 1,
      servers: 7,
      pools_used: 3,
      pools_declared: 100
    },
    reconciler: {
      status: "degraded",
      in_sync: false,
      last_run_at: "2030-01-01T00:00:00Z",
      last_drift: 1,
      foreign_entries: 2,
      queued_writes: 3,
      reason: "HAProxy is away"
    },
    remote: {
      status: "degraded",
      mode: "strict",
      role: "writer",
      generation: 41,
      lag: 2,
      last_published_at: "2030-01-01T00:00:00Z",
      reason: "the remote host does not answer"
    },
    certificates: {
      status: "degraded",
      loaded: 11,
      total: 12,
      expiring: 1,
      failing: 2,
      next_expiry: "2030-01-03T02:00:00Z",
      next_attempt: "2030-01-01T01:00:00Z",
      reason: "1 expire soon"
    }
  }
}

describe("the status as text", () => {
  it("has a line for each thing, and no control characters of strangers", () => {
    assert.strictEqual(
      statusText(health, now, false),
      [
        "degraded: HAProxy?[2J: no answer",
        "",
        "HAProxy   error           no?answer",
        "In sync   degraded        no, compared 1 min 40 s ago with 1 difference, 2 foreign entries: HAProxy is away",
        "Revision  ok              42",
        "Domains   ok              12, and 1 wildcard",
        "Pools     ok              3 of 100 used",
        "Servers   ok              7",
        "Certs     degraded        12, 11 loaded, 1 expiring, 2 failing, the first ends in 2 d 1 h: 1 expire soon",
        "Remote    degraded        writer, strict, generation 41, 2 commits behind: the remote host does not answer",
        "Queue     ok              3 writes waiting",
        "File      ok              /m/domains.map",
        "File      error           /m/wildcards.map: EACCES",
        "File      ok              /d.db",
        "Process   ok              haproxy-mcp 1.2.3, up 1 d 2 h",
        ""
      ].join("\n")
    )
  })

  it("has colours only when they are wanted", () => {
    assert.include(statusText(health, now, true), "\u001b[31merror")
    assert.isFalse(wantsColours({}))
    assert.isFalse(wantsColours({ isTTY: false }))
  })

  it("says spans in their two largest units", () => {
    assert.deepStrictEqual([0, 59, 60, 3_661, 86_400, 90_061].map(span), [
      "0 s",
      "59 s",
      "1 min",
      "1 h 1 min",
      "1 d",
      "1 d 1 h"
    ])
  })
})

describe("colours", () => {
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }

  it("are off for NO_COLOR and for dumb terminals", () => {
    const before = { NO_COLOR: process.env["NO_COLOR"], TERM: process.env["TERM"] }
    try {
      set("NO_COLOR", undefined)
      set("TERM", "xterm")
      assert.isTrue(wantsColours({ isTTY: true }))
      set("NO_COLOR", "1")
      assert.isFalse(wantsColours({ isTTY: true }))
      set("NO_COLOR", "")
      set("TERM", "dumb")
      assert.isFalse(wantsColours({ isTTY: true }))
    } finally {
      for (const [name, value] of Object.entries(before)) set(name, value)
    }
  })

  it("of help are bold headings", () => {
    const doc = { description: "d", usage: "u", flags: [], annotations: {} as never }
    assert.include(helpText(doc, true), "\u001b[1mUsage\u001b[0m")
    assert.notInclude(helpText(doc, false), "\u001b")
  })
})
