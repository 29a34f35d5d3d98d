/** Parsers on what real lines of HAProxy said, and on what must not pass for success. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { Command, Verdict } from "../../src/haproxy/Command.ts"
import * as Info from "../../src/haproxy/InfoCommands.ts"
import * as Maps from "../../src/haproxy/MapCommands.ts"
import * as Servers from "../../src/haproxy/ServerCommands.ts"
import * as Sessions from "../../src/haproxy/SessionCommands.ts"
import * as Stats from "../../src/haproxy/StatCommands.ts"

const value = <A>(verdict: Verdict<A>): A =>
  Result.isSuccess(verdict) ? verdict.success : assert.fail(`refused: ${verdict.failure.text}`)

/** Answers that HAProxy gives to anybody, anywhere: never a success of a command that expects another. */
const strange = [
  "Unknown command: 'foo', but maybe one of the following ones is a better match:\n  show info\n",
  "Permission denied\n",
  "[6]:Unknown command\n",
  "IP changed from 'a' to 'b' by 'stats socket command'. And more\n",
  "0\n"
]

describe("every parser", () => {
  const commands: ReadonlyArray<Command<unknown>> = [
    Info.show,
    Info.help,
    Maps.list,
    Maps.show("/m"),
    Maps.get("/m", "a"),
    Maps.add("/m", "a", "b"),
    Maps.set("/m", "a", "b"),
    Maps.del("/m", "a"),
    Maps.prepare("/m"),
    Maps.addVersion("/m", 1, ["a b"]),
    Maps.commit("/m", 1),
    Maps.clear("/m"),
    Servers.setAddress("b", "s", "127.0.0.1", 1),
    Servers.setState("b", "s", "ready"),
    Servers.setWeight("b", "s", 1),
    Servers.showState(),
    Stats.show(),
    Sessions.cliSessions
  ]
  for (const command of commands) {
    it(`takes nothing strange for a success: ${command.words.join(" ")}`, () => {
      for (const answer of strange) assert.isTrue(Result.isFailure(command.parse(answer)), answer)
    })
  }

  it("takes silence for a success only where HAProxy is silent", () => {
    const silent = commands.filter((command) => Result.isSuccess(command.parse("")))
    assert.deepStrictEqual(silent.map((command) => command.words.slice(0, 2).join(" ")), [
      "show map",
      "add map",
      "set map",
      "del map",
      "add map",
      "commit map",
      "clear map",
      "set server",
      "set server"
    ])
  })
})

describe("show info", () => {
  it("reads a key only at the beginning of a line", () => {
    const info = value(Info.show.parse(
      "Name: HAProxy\nVersion: 3.4.7-1\nNbthread: 2\nPid: 15801\nUptime_sec: 186\nMaxconn: 9985\nHard_maxconn: 7\n"
        + "CurrConns: 3\nStopping: 1\nStart_time_sec: 1795222271\nIdle_pct: 97\nnode: a Pid: 1\ndescription: Pid: 2\n"
    ))
    assert.deepInclude(info, {
      version: "3.4.7-1",
      pid: 15_801,
      startTime: 1_795_222_271,
      stopping: true,
      uptime: 186,
      maxConnections: 9985,
      currentConnections: 3,
      idle: 97,
      node: "a Pid: 1"
    })
  })

  it("tells from help what is there and what is missing", () => {
    const commands = value(Info.help.parse(
      "The following commands are valid at this level:\n"
        + "  abort ssl cert <certfile>               : abort a transaction for a certificate file\n"
        + "  add backend <backend>                   : add a new backend\n"
        + "  add map [@<ver>] <map> <key> <val>      : add a map entry (payload supported instead of key/val)\n"
        + "  set server <bk>/<srv> [opts]            : change a server's state, weight, address or ssl\n"
        + "  wait {-h|<delay_ms>} cond [args...]     : wait the specified delay or condition (-h to see list)\n"
        + "  quit                                    : disconnect\n"
    ))
    assert.deepStrictEqual([...commands], ["abort ssl cert", "add backend", "add map", "set server", "wait", "quit"])
    assert.deepStrictEqual(Info.missingCommands(commands), [
      "show map",
      "prepare map",
      "commit map",
      "show servers state"
    ])
    assert.isTrue(Info.capabilities("3.4.7-1", commands, true).dynamicBackends)
    assert.strictEqual(Info.capabilities("3.2.26-1", new Set(), true).maxPayload, 12 * 1024)
    assert.strictEqual(Info.capabilities("4.0-dev1", new Set(), true).maxPayload, 12 * 1024)
  })
})

describe("maps", () => {
  it("keeps values with spaces, empty ones, and refuses what is no entry", () => {
    assert.deepStrictEqual(
      value(Maps.show("/m").parse("0x7f8c3a621360 a.com two words\n0x7f8c3a6213c0 b.com \n0x1 c\n")),
      [
        { key: "a.com", value: "two words" },
        { key: "b.com", value: "" },
        { key: "c", value: "" }
      ]
    )
    assert.isTrue(Result.isFailure(Maps.show("/m").parse("0x7f8c3a621360 a.com x\nb.com y\n")))
  })

  it("lists maps whose description is odd", () => {
    assert.deepStrictEqual(
      value(Maps.list.parse(
        "# id (file) description\n"
          + "7 (virt@geo) pattern loaded from file 'virt@geo' used by map at file 'h.cfg' line 1. curr_ver=2 next_ver=3 entry_cnt=0\n"
          + "-1 () nothing curr_ver=0 next_ver=0 entry_cnt=1\n"
      )),
      [
        { id: 7, path: "virt@geo", currentVersion: 2, nextVersion: 3, entries: 0 },
        { id: -1, path: "", currentVersion: 0, nextVersion: 0, entries: 1 }
      ]
    )
  })

  it("believes a look-up only for its own key", () => {
    const found = (key: string) =>
      `type=end, case=sensitive, found=yes, idx=list, key="${key}", value="x\\"y", type="str"\n`
    assert.strictEqual(value(Maps.get("/m", "a.test").parse(found("a.test"))), "x\\\"y")
    assert.strictEqual(value(Maps.get("/m", "b.a.test").parse(found("a.test"))), null)
  })
})

describe("servers", () => {
  it("knows the admin states by their bits", () => {
    const states = Array.from({ length: 0x80 }, (_, bits) => Servers.adminStateOf(bits))
    states.forEach((state, bits) => {
      const maint = [0x01, 0x02, 0x20, 0x40].some((bit) => (bits & bit) !== 0)
      const drain = [0x08, 0x10].some((bit) => (bits & bit) !== 0)
      assert.strictEqual(state, maint ? "maint" : drain ? "drain" : "ready")
    })
    assert.strictEqual(Servers.adminStateOf(4), "ready")
  })
})

describe("sessions", () => {
  it("counts those of the Runtime API, and reads their age", () => {
    const line = (id: string, fe: string, age: string) =>
      `${id}: proto=unix_stream src=unix:1 fe=${fe} be=<NONE> srv=<none> ts=00 epoch=0 age=${age} calls=1 rate=0\n`
    const text = line("0x1", "web", "5s") + line("0x2", "GLOBAL", "0s") + line("0x3", "GLOBAL", "1m3s") +
      line("0x4", "GLOBAL", "1d2h")
    assert.deepStrictEqual(value(Sessions.cliSessions.parse(text)).map((one) => [one.id, one.age]), [
      ["0x2", 0],
      ["0x3", 63],
      ["0x4", 93_600]
    ])
  })
})

describe("show stat", () => {
  it("finds columns by name and reads quoted texts", () => {
    const rows = value(
      Stats.show().parse(
        "# pxname,svname,last_chk,new_column,type,scur,status,weight,\n"
          + "pool_1,pool_1_1,\"Layer4, \"\"refused\"\"\",9,2,4,DOWN,1,\n"
          + "pool_1,BACKEND,,,1,0,DOWN,,\n"
      )
    )
    assert.deepInclude(rows[0], {
      kind: "server",
      server: "pool_1_1",
      lastCheck: "Layer4, \"refused\"",
      currentSessions: 4,
      weight: 1
    })
    assert.deepInclude(rows[1], { kind: "backend", server: "BACKEND", lastCheck: "", weight: null })
    assert.deepStrictEqual(Stats.show({ kinds: ["backend", "server"] }).words, ["show", "stat", "-1", "6", "-1"])
  })

  it("says of the check what the last one ended with, also while the next one runs", () => {
    const rows = value(
      Stats.show().parse(
        "# pxname,svname,check_status,type,\npool_1,pool_1_1,L4OK,2,\npool_1,pool_1_2,* L7STS,2,\npool_1,pool_1_3,,2,\n"
      )
    )
    assert.deepStrictEqual(rows.map(({ checkStatus }) => checkStatus), ["L4OK", "L7STS", ""])
  })
})
