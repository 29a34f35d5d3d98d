/** The gate as a table: route by method by token by Host by Origin by peer by forwarding headers. */
import { assert, describe, it } from "@effect/vitest"
import { type Grant, withAllRights } from "../../src/domain/Principal.ts"
import { type Decision, type GateOptions, makeGate, type RequestFacts } from "../../src/mcp/Gate.ts"

const token = "correct-horse-battery"

const grantOf = (name: string): Grant => ({ principal: withAllRights("token", name), isGood: () => true })

const closed: GateOptions = {
  open: "closed",
  tokens: { find: (given) => given === token ? grantOf("token-1") : "wrong", any: () => true },
  trustedCidrs: ["100.64.0.0/10", "fd7a:115c:a1e0::/48"],
  trustedProxies: ["10.9.0.1", "10.9.0.2/32"],
  allowedHosts: ["mcp.example.com", "alt.example.com:8443"],
  allowedOrigins: ["https://console.example.com"]
}
const empty: GateOptions = { ...closed, trustedCidrs: [], trustedProxies: [], allowedHosts: [], allowedOrigins: [] }
const local: GateOptions = { ...empty, open: "local", tokens: { find: () => "wrong", any: () => false } }
const off: GateOptions = { ...empty, open: "off", tokens: { find: () => "wrong", any: () => false } }

interface Row {
  readonly name: string
  readonly options?: GateOptions
  readonly method?: string
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly peer?: string | null
  readonly local?: string | null
  readonly expect: string
}

const facts = (row: Row): RequestFacts => ({
  rawHeaders: (row.headers ?? []).flat(),
  method: row.method ?? "POST",
  peer: row.peer === undefined ? "203.0.113.9" : row.peer,
  local: row.local === undefined ? "198.51.100.1" : row.local
})

const said = (decision: Decision): string =>
  decision._tag === "allowed"
    ? `allowed ${decision.grant.principal.name}`
    : decision._tag === "preflight"
    ? `preflight ${decision.origin}`
    : `${decision.status} ${decision.reason}`

const host = ["Host", "mcp.example.com"] as const
const good = ["Authorization", `Bearer ${token}`] as const
const tailnet = "100.101.102.103"

const rows: ReadonlyArray<Row> = [
  { name: "a token", headers: [host, good], expect: "allowed token-1" },
  {
    name: "the scheme in another case",
    headers: [host, ["authorization", `bEARER  ${token}`]],
    expect: "allowed token-1"
  },
  { name: "no token", headers: [host], expect: "401 no_token" },
  { name: "a wrong token", headers: [host, ["Authorization", "Bearer wrong"]], expect: "401 wrong_token" },
  { name: "a longer token", headers: [host, ["Authorization", `Bearer ${token}x`]], expect: "401 wrong_token" },
  { name: "an empty token", headers: [host, ["Authorization", "Bearer "]], expect: "401 wrong_token" },
  { name: "another scheme", headers: [host, ["Authorization", `Basic ${token}`]], expect: "401 wrong_token" },
  { name: "two tokens in one", headers: [host, ["Authorization", `Bearer ${token} x`]], expect: "401 wrong_token" },
  { name: "Authorization twice", headers: [host, good, good], expect: "400 duplicate_header" },
  {
    name: "Authorization twice, bad first",
    headers: [host, ["authorization", "Bearer x"], good],
    expect: "400 duplicate_header"
  },
  { name: "Host twice", headers: [host, ["host", "evil.example"], good], expect: "400 duplicate_header" },
  {
    name: "Origin twice",
    headers: [host, good, ["Origin", "https://console.example.com"], ["origin", "https://evil.example"]],
    expect: "400 duplicate_header"
  },

  { name: "no Host", headers: [good], expect: "403 host" },
  { name: "an empty Host", headers: [["Host", ""], good], expect: "403 host" },
  { name: "a rebound name", headers: [["Host", "evil.example"], good], expect: "403 host" },
  { name: "a listed host as a prefix", headers: [["Host", "mcp.example.com.evil.example"], good], expect: "403 host" },
  { name: "a listed host as a suffix", headers: [["Host", "evil-mcp.example.com"], good], expect: "403 host" },
  { name: "a listed host with any port", headers: [["Host", "MCP.example.com:8000"], good], expect: "allowed token-1" },
  { name: "a listed port", headers: [["Host", "alt.example.com:8443"], good], expect: "allowed token-1" },
  { name: "another port than listed", headers: [["Host", "alt.example.com:8444"], good], expect: "403 host" },
  { name: "no port where one is listed", headers: [["Host", "alt.example.com"], good], expect: "403 host" },
  { name: "localhost", headers: [["Host", "localhost:8000"], good], expect: "allowed token-1" },
  { name: "localhost as a suffix", headers: [["Host", "evil.localhost"], good], expect: "403 host" },
  { name: "our own address", headers: [["Host", "198.51.100.1:8000"], good], expect: "allowed token-1" },
  { name: "another address", headers: [["Host", "198.51.100.2"], good], expect: "403 host" },
  { name: "loopback without being it", headers: [["Host", "127.0.0.1"], good], expect: "403 host" },
  {
    name: "our own address, mapped",
    headers: [["Host", "198.51.100.1"], good],
    local: "::ffff:198.51.100.1",
    expect: "allowed token-1"
  },
  {
    name: "our own IPv6 address",
    headers: [["Host", "[2001:DB8:0::1]:8000"], good],
    local: "2001:db8::1",
    expect: "allowed token-1"
  },
  { name: "IPv6 without brackets", headers: [["Host", "2001:db8::1"], good], local: "2001:db8::1", expect: "403 host" },
  { name: "an address with user info", headers: [["Host", "x@198.51.100.1"], good], expect: "403 host" },
  { name: "a Host with a path", headers: [["Host", "mcp.example.com/x"], good], expect: "403 host" },
  { name: "a list of hosts", headers: [["Host", "evil.example, mcp.example.com"], good], expect: "403 host" },
  {
    name: "an address on a unix socket",
    headers: [["Host", "198.51.100.1"], good],
    peer: null,
    local: null,
    expect: "403 host"
  },
  {
    name: "localhost on a unix socket",
    headers: [["Host", "localhost"], good],
    peer: null,
    local: null,
    expect: "allowed token-1"
  },

  {
    name: "a listed origin",
    headers: [host, good, ["Origin", "https://Console.example.com"]],
    expect: "allowed token-1"
  },
  {
    name: "an origin that is not listed",
    headers: [host, good, ["Origin", "https://evil.example"]],
    expect: "403 origin"
  },
  {
    name: "another scheme than listed",
    headers: [host, good, ["Origin", "http://console.example.com"]],
    expect: "403 origin"
  },
  { name: "origin null", headers: [host, good, ["Origin", "null"]], expect: "403 origin" },
  { name: "an empty origin", headers: [host, good, ["Origin", ""]], expect: "403 origin" },
  {
    name: "a preflight of a listed origin",
    method: "OPTIONS",
    headers: [host, ["Origin", "https://console.example.com"], ["Access-Control-Request-Method", "POST"]],
    expect: "preflight https://console.example.com"
  },
  {
    name: "a preflight of another origin",
    method: "OPTIONS",
    headers: [host, ["Origin", "https://evil.example"], ["Access-Control-Request-Method", "POST"]],
    expect: "403 origin"
  },
  { name: "OPTIONS without an origin", method: "OPTIONS", headers: [host], expect: "401 no_token" },
  {
    name: "a preflight by its header alone",
    headers: [host, ["Origin", "https://console.example.com"], ["Access-Control-Request-Method", "POST"]],
    expect: "401 no_token"
  },

  { name: "a trusted peer", headers: [host], peer: tailnet, expect: `allowed ${tailnet}` },
  { name: "a trusted peer, mapped", headers: [host], peer: `::ffff:${tailnet}`, expect: `allowed ${tailnet}` },
  { name: "a trusted IPv6 peer", headers: [host], peer: "fd7a:115c:a1e0::5", expect: "allowed fd7a:115c:a1e0::5" },
  { name: "a peer beside the network", headers: [host], peer: "100.128.0.1", expect: "401 no_token" },
  {
    name: "a trusted peer with a wrong token",
    headers: [host, ["Authorization", "Bearer x"]],
    peer: tailnet,
    expect: "401 wrong_token"
  },
  { name: "a trusted peer and a rebound name", headers: [["Host", "evil.example"]], peer: tailnet, expect: "403 host" },
  {
    name: "a trusted peer and a foreign origin",
    headers: [host, ["Origin", "https://evil.example"]],
    peer: tailnet,
    expect: "403 origin"
  },
  {
    name: "a trusted network as what is forwarded",
    headers: [host, ["X-Forwarded-For", tailnet]],
    expect: "401 no_token"
  },
  ...["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP", "True-Client-IP", "X-Forwarded-Proto"]
    .map((name) => ({
      name: `a trusted peer that forwards (${name})`,
      headers: [host, [name, tailnet]] as const,
      peer: tailnet,
      expect: "401 no_token"
    })),
  {
    name: "a forwarded request with a token",
    headers: [host, good, ["X-Forwarded-For", "203.0.113.50"]],
    peer: "10.9.0.1",
    expect: "allowed token-1"
  },
  {
    name: "a trusted proxy for a trusted peer",
    headers: [host, ["X-Forwarded-For", tailnet]],
    peer: "10.9.0.1",
    expect: `allowed ${tailnet}`
  },
  {
    name: "a trusted proxy for a stranger",
    headers: [host, ["X-Forwarded-For", "203.0.113.50"]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  {
    name: "a stranger who wrote a hop",
    headers: [host, ["X-Forwarded-For", `${tailnet}, 203.0.113.50`]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  {
    name: "two proxies",
    headers: [host, ["X-Forwarded-For", `203.0.113.50, ${tailnet}, 10.9.0.2`]],
    peer: "10.9.0.1",
    expect: `allowed ${tailnet}`
  },
  {
    name: "two proxies in two headers",
    headers: [host, ["X-Forwarded-For", tailnet], ["x-forwarded-for", "10.9.0.2"]],
    peer: "10.9.0.1",
    expect: `allowed ${tailnet}`
  },
  {
    name: "a stranger in the second header",
    headers: [host, ["X-Forwarded-For", tailnet], ["x-forwarded-for", "203.0.113.50"]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  {
    name: "a hop with a port",
    headers: [host, ["X-Forwarded-For", `${tailnet}:5123`]],
    peer: "10.9.0.1",
    expect: `allowed ${tailnet}`
  },
  {
    name: "a hop that is no address",
    headers: [host, ["X-Forwarded-For", `${tailnet}, unknown`]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  {
    name: "an empty hop",
    headers: [host, ["X-Forwarded-For", `${tailnet},`]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  {
    name: "only proxies in the chain",
    headers: [host, ["X-Forwarded-For", "10.9.0.2"]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },
  { name: "a proxy that says not for whom", headers: [host], peer: "10.9.0.1", expect: "401 no_token" },
  {
    name: "a proxy that says it otherwise",
    headers: [host, ["Forwarded", `for=${tailnet}`]],
    peer: "10.9.0.1",
    expect: "401 no_token"
  },

  {
    name: "empty lists allow nobody",
    options: empty,
    headers: [["Host", "localhost"]],
    peer: tailnet,
    expect: "401 no_token"
  },
  {
    name: "empty lists, loopback",
    options: empty,
    headers: [["Host", "localhost"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "401 no_token"
  },
  {
    name: "empty lists, unix socket",
    options: empty,
    headers: [["Host", "localhost"]],
    peer: null,
    local: null,
    expect: "401 no_token"
  },
  {
    name: "empty lists, any origin",
    options: empty,
    headers: [["Host", "localhost"], good, ["Origin", "https://console.example.com"]],
    expect: "403 origin"
  },
  { name: "empty lists, any host", options: empty, headers: [host, good], expect: "403 host" },

  {
    name: "local: loopback",
    options: local,
    headers: [["Host", "127.0.0.1:8000"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "allowed 127.0.0.1"
  },
  {
    name: "local: IPv6 loopback",
    options: local,
    headers: [["Host", "[::1]:8000"]],
    peer: "::1",
    local: "::1",
    expect: "allowed ::1"
  },
  {
    name: "local: unix socket",
    options: local,
    headers: [["Host", "localhost"]],
    peer: null,
    local: null,
    expect: "allowed unix"
  },
  {
    name: "local: a token nobody asked for",
    options: local,
    headers: [["Host", "localhost"], good],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "allowed 127.0.0.1"
  },
  {
    name: "local: what a proxy here forwards",
    options: local,
    headers: [["Host", "localhost"], ["X-Forwarded-For", "203.0.113.50"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "401 no_token"
  },
  {
    name: "local: a rebound name",
    options: local,
    headers: [["Host", "evil.example"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "403 host"
  },
  {
    name: "local: a page in a browser",
    options: local,
    headers: [["Host", "localhost"], ["Origin", "http://localhost:3000"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "403 origin"
  },
  { name: "local: another machine", options: local, headers: [["Host", "198.51.100.1"]], expect: "401 no_token" },
  {
    name: "off: anybody",
    options: off,
    headers: [["Host", "127.0.0.1"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "allowed 127.0.0.1"
  },
  {
    name: "off: forwarded, too",
    options: off,
    headers: [["Host", "localhost"], ["X-Forwarded-For", "203.0.113.50"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "allowed 127.0.0.1"
  },
  {
    name: "off: a rebound name",
    options: off,
    headers: [["Host", "evil.example"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "403 host"
  },
  {
    name: "off: a page in a browser",
    options: off,
    headers: [["Host", "localhost"], ["Origin", "https://evil.example"]],
    peer: "127.0.0.1",
    local: "127.0.0.1",
    expect: "403 origin"
  }
]

describe("the gate", () => {
  for (const row of rows) {
    it(row.name, () => {
      assert.strictEqual(said(makeGate(row.options ?? closed)(facts(row))), row.expect)
    })
  }

  it("does not let many strangers' names grow its memory or change its mind", () => {
    const gate = makeGate(closed)
    for (let index = 0; index < 5000; index++) {
      const decision = gate(
        facts({ name: "", headers: [["Host", `10.${index >> 8}.${index & 255}.1`], good], expect: "" })
      )
      assert.strictEqual(said(decision), "403 host")
    }
    assert.strictEqual(
      said(gate(facts({ name: "", headers: [["Host", "198.51.100.1"], good], expect: "" }))),
      "allowed token-1"
    )
  })
})
