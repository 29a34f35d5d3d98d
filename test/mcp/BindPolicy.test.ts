/** The start-up rules of the listener as a table. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigInvalid } from "../../src/domain/Errors.ts"
import { bindPolicy, type BindSettings } from "../../src/mcp/BindPolicy.ts"

const nothing: BindSettings = { host: null, socket: null, auth: "on", hasToken: false, trustedCidrs: [] }
const tailnet = ["100.64.0.0/10"]

const rows: ReadonlyArray<readonly [name: string, settings: Partial<BindSettings>, expect: string]> = [
  ["nothing set", {}, "127.0.0.1 local warning"],
  ["a token", { hasToken: true }, "0.0.0.0 closed"],
  ["a token and a host", { hasToken: true, host: "198.51.100.1" }, "198.51.100.1 closed"],
  ["a token and loopback", { hasToken: true, host: "127.0.0.1" }, "127.0.0.1 closed"],
  ["a public host without authentication", { host: "0.0.0.0" }, "refused"],
  ["every IPv6 address without authentication", { host: "::" }, "refused"],
  ["a private host without authentication", { host: "10.0.0.5" }, "refused"],
  ["a name without authentication", { host: "mcp.example.com" }, "refused"],
  ["a name that only looks local", { host: "localhost.example.com" }, "refused"],
  ["loopback without authentication", { host: "127.0.0.5" }, "127.0.0.5 local warning"],
  ["IPv6 loopback without authentication", { host: "::1" }, "::1 local warning"],
  ["localhost without authentication", { host: "localhost" }, "localhost local warning"],
  ["mapped loopback", { host: "::ffff:127.0.0.1" }, "::ffff:127.0.0.1 local warning"],
  ["networks alone, no host", { trustedCidrs: tailnet }, "127.0.0.1 local warning"],
  ["networks alone, a host inside", { trustedCidrs: tailnet, host: "100.101.102.103" }, "100.101.102.103 closed"],
  ["networks alone, a host outside", { trustedCidrs: tailnet, host: "198.51.100.1" }, "refused"],
  ["networks alone, every address", { trustedCidrs: tailnet, host: "0.0.0.0" }, "refused"],
  ["every network, every address", { trustedCidrs: ["0.0.0.0/0"], host: "0.0.0.0" }, "0.0.0.0 closed"],
  ["networks and a token", { trustedCidrs: tailnet, hasToken: true }, "0.0.0.0 closed"],
  ["off, no host", { auth: "off" }, "127.0.0.1 off warning"],
  ["off, loopback", { auth: "off", host: "localhost" }, "localhost off warning"],
  ["off, a public host", { auth: "off", host: "0.0.0.0" }, "refused"],
  ["off, a public host with a token", { auth: "off", host: "0.0.0.0", hasToken: true }, "refused"],
  ["off, inside the networks", { auth: "off", host: "100.101.102.103", trustedCidrs: tailnet }, "refused"],
  ["a unix socket", { socket: "/run/x.sock" }, "127.0.0.1 local"],
  ["a unix socket with a token", { socket: "/run/x.sock", hasToken: true }, "127.0.0.1 closed"],
  ["a unix socket, off", { socket: "/run/x.sock", auth: "off" }, "127.0.0.1 off"]
]

describe("where the listener may be bound", () => {
  for (const [name, settings, expect] of rows) {
    it(name, () => {
      const bind = bindPolicy({ ...nothing, ...settings })
      const said = bind instanceof ConfigInvalid
        ? "refused"
        : `${bind.host} ${bind.open}${bind.warning === null ? "" : " warning"}`
      assert.strictEqual(said, expect)
      // A refusal says what to do, and names the setting that it is about.
      if (bind instanceof ConfigInvalid) assert.match(`${bind.message} ${bind.hint}`, /MCP_(AUTH|HOST).*MCP_TOKEN/)
    })
  }
})
