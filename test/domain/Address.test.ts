import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { formatEndpoint, ownListener, parseServerIp, type Port, type ServerIp } from "../../src/domain/Address.ts"

describe("Address", () => {
  it("takes canonical addresses, private and loopback ones too", () => {
    for (const text of ["10.0.0.5", "127.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::5", "::1", "fd00::1"]) {
      assert.deepStrictEqual(parseServerIp(text), Result.succeed(text as ServerIp))
    }
  })

  it("refuses everything else, by rule", () => {
    const bad: ReadonlyArray<readonly [string, RegExp]> = [
      ["", /not an IP/],
      ["localhost", /not an IP/],
      ["127.1", /not an IP/],
      ["0x7f.0.0.1", /not an IP/],
      ["010.0.0.1", /not an IP/],
      ["2130706433", /not an IP/],
      ["1.2.3.4.5", /not an IP/],
      ["1.2.3.256", /not an IP/],
      ["10.0.0.5:80", /not an IP/],
      ["[::1]", /not an IP/],
      ["fe80::1%eth0", /not an IP/],
      ["unix@/etc/passwd", /not an IP/],
      ["$HOME", /not an IP/],
      [" 10.0.0.5", /not an IP/],
      ["2001:DB8::5", /canonical/],
      ["2001:db8:0:0:0:0:0:5", /canonical/],
      ["::ffff:10.0.0.5", /mapped/],
      ["::ffff:a00:5", /mapped/],
      ["0.0.0.0", /unspecified/],
      ["0.1.2.3", /unspecified/],
      ["::", /unspecified/],
      ["224.0.0.1", /multicast/],
      ["ff02::1", /multicast/],
      ["255.255.255.255", /broadcast/],
      ["169.254.1.1", /link-local/],
      ["fe80::1", /link-local/],
      ["169.254.169.254", /metadata/],
      ["fd00:ec2::254", /metadata/],
      ["100.100.100.200", /metadata/]
    ]
    for (const [text, rule] of bad) {
      const parsed = parseServerIp(text)
      assert(Result.isFailure(parsed), text)
      assert.match(parsed.failure.rule, rule, text)
    }
  })

  it("sees its own listeners, bound to one address or to all", () => {
    const listeners = [{ ip: "0.0.0.0", port: 80, name: "HAProxy's frontend" }, {
      ip: "127.0.0.1",
      port: 9999,
      name: "the Runtime API"
    }]
    const find = (ip: string, port: number) =>
      ownListener(ip as ServerIp, port as Port, listeners, new Set(["10.1.1.1"]))?.name
    assert.strictEqual(find("127.0.0.1", 80), "HAProxy's frontend")
    assert.strictEqual(find("10.1.1.1", 80), "HAProxy's frontend")
    assert.isUndefined(find("10.1.1.2", 80))
    assert.strictEqual(find("127.0.0.1", 9999), "the Runtime API")
    assert.isUndefined(find("127.0.0.2", 9999))
  })

  it("writes IPv6 in brackets", () => {
    assert.strictEqual(formatEndpoint("2001:db8::5", 80), "[2001:db8::5]:80")
    assert.strictEqual(formatEndpoint("10.0.0.5", 80), "10.0.0.5:80")
  })
})
