import { assert, describe, it } from "@effect/vitest"
import { parseMessages, reasonIn } from "../../src/haproxy/host/CheckMessages.ts"
import { environment, parseArguments, paths } from "../../src/haproxy/host/CommandLine.ts"
import { parseProcesses } from "../../src/haproxy/host/MasterSocket.ts"

const loader = [
  "/h/ld-linux-x86-64.so.2",
  "--argv0",
  "/h/bin/haproxy",
  "--library-path",
  "/h/lib",
  "/h/usr/sbin/haproxy"
]

describe("HAProxy's command line", () => {
  it("keeps what a check needs, and not what a running one needs", () => {
    const found = parseArguments(
      "/usr/sbin/haproxy -sf 30812 30813 -x sockpair@3 -W -S /run/m.sock -db -L peer -f a.cfg -f /b/pools.cfg".split(
        " "
      )
    )
    assert.deepStrictEqual(found, {
      program: ["/usr/sbin/haproxy"],
      options: ["-L", "peer", "-f", "a.cfg", "-f", "/b/pools.cfg"],
      files: ["a.cfg", "/b/pools.cfg"]
    })
  })

  it("may begin with a loader or an entry point", () => {
    assert.deepStrictEqual(parseArguments([...loader, "-W", "-f", "h.cfg"])?.program, loader)
    const container = parseArguments(["docker-entrypoint.sh", "haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"])
    assert.deepStrictEqual(container?.options, ["-f", "/usr/local/etc/haproxy/haproxy.cfg"])
  })

  it("may name files after --", () => {
    assert.deepStrictEqual(parseArguments(["haproxy", "-W", "--", "a.cfg", "-b.cfg"])?.files, ["a.cfg", "-b.cfg"])
  })

  it("is none without files, or of nothing at all", () => {
    for (const argv of [[], [""], ["haproxy"], ["haproxy", "-W"], ["haproxy", "-f"], ["-f", "x.cfg"]]) {
      assert.isNull(parseArguments(argv))
    }
  })

  it("gives a check HAProxy's own environment, without what HAProxy made itself and without ours", () => {
    const text = "PATH=/bin\0SITE=a=b\0HAPROXY_MWORKER_REEXEC=1\0HAPROXY_PROCESSES=|type=m;fd=5\0MCP_TOKEN=x\0"
      + "ACME_KEY=y\0NOTIFY_SOCKET=/run/n\0HAPROXY_HTTP_FMT=%h\0=odd\0"
    assert.deepStrictEqual(environment(text), { PATH: "/bin", SITE: "a=b", HAPROXY_HTTP_FMT: "%h" })
  })

  it("names files from the folder that HAProxy reads them in", () => {
    const files = ["h.cfg", "/etc/x.cfg"]
    const of = (options: ReadonlyArray<string>, cwd: string | null) => paths({ files, options, cwd })
    assert.deepStrictEqual(of([], "/srv"), ["/srv/h.cfg", "/etc/x.cfg"])
    assert.deepStrictEqual(of(["-C", "conf", "-f", "h.cfg"], "/srv"), ["/srv/conf/h.cfg", "/etc/x.cfg"])
    assert.deepStrictEqual(of(["-C", "/c"], null), ["/c/h.cfg", "/etc/x.cfg"])
  })
})

describe("HAProxy's messages", () => {
  const text = [
    "[NOTICE]   (30768) : haproxy version is 3.0.11-1+deb13u3",
    "[NOTICE]   (30768) : path to executable is /usr/sbin/haproxy",
    "[WARNING]  (30768) : config : missing timeouts for backend 'b'.",
    "   | While not properly invalid, you will certainly encounter various problems",
    "   | with such a configuration.",
    "[ALERT]    (30768) : config : parsing [/etc/h.cfg:10] : unknown keyword 'bo\u001b[31mgus\u0007' in 'frontend' section",
    "[ALERT]    (30768) : config : Error(s) found in configuration file : h.cfg",
    "[ALERT]    (30768) : config : Fatal errors found in configuration."
  ].join("\n")

  it("are rows with file and line, printable, without what comes every time", () => {
    const rows = parseMessages(text)
    assert.deepStrictEqual(rows.map(({ file, level, line }) => [level, file, line]), [
      ["warning", null, null],
      ["alert", "/etc/h.cfg", 10],
      ["alert", null, null],
      ["alert", null, null]
    ])
    assert.match(rows[0]!.text, /^missing timeouts for backend 'b'\. While not properly invalid, .* configuration\.$/)
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(rows.map(({ text }) => text).join(""), /[\u0000-\u001f]/)
  })

  it("say why, the alert that tells most first", () => {
    assert.match(reasonIn(parseMessages(text), text), /^parsing \[\/etc\/h\.cfg:10\] : unknown keyword [^;]*$/)
    assert.strictEqual(reasonIn([], "  \u0007boom\n"), "boom")
    assert.strictEqual(reasonIn([], ""), "it gave no reason")
  })

  it("are cut", () => {
    assert.isAtMost(parseMessages(`[ALERT]    (1) : ${"x".repeat(5_000)}`)[0]!.text.length, 300)
    assert.deepStrictEqual(parseMessages("not a message\n\u0000"), [])
  })
})

describe("show proc", () => {
  it("names the master and all workers", () => {
    const answer = [
      "#<PID>          <type>          <reloads>       <uptime>        <version>      ",
      "30961           master          3 [failed: 1]   0d00h00m06s     3.4.7-1        ",
      "# workers",
      "31000           worker          0               0d00h00m01s     3.4.7-1        ",
      "# old workers",
      "31048           worker          1               0d00h00m02s     3.4.7-1        ",
      "# programs",
      "",
      ""
    ].join("\n")
    assert.deepStrictEqual(parseProcesses(answer), { master: 30_961, workers: [31_000, 31_048] })
    assert.isNull(parseProcesses("Unknown command: 'show proc'"))
  })
})
