/**
 * The proof that the fake is faithful: the same bytes to a real HAProxy and to the fake give the same bytes back, and
 * the same end of the connection, on every line at hand. Pointers, pids, times and counters are made equal first.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import {
  type FakeAddress,
  FakeHaproxy,
  type FakeHaproxyShape,
  type Line,
  type ServerConfig
} from "../../src/testing.ts"
import { makeSite, type RealHaproxy, realLines, startHaproxy, startIn } from "../support/RealHaproxy.ts"
import { certificateCases, makePems } from "./certificateCases.ts"
import { parityGroups } from "./parityCases.ts"
import { abandon, hear, type Heard, type RawOptions } from "./RawClient.ts"

const domains = "example.com pool_1\nwww.example.com pool_1\n# comment\n\n  foo.org   pool_2  \nodd.org two words\n"

const backends: Readonly<Record<string, ReadonlyArray<ServerConfig>>> = {
  pool_1: [1, 2, 3].map((slot) => ({ name: `pool_1_${slot}`, disabled: true, check: false })),
  pool_2: [
    { name: "pool_2_1", disabled: true, check: false },
    { name: "pool_2_2", address: "127.0.0.1", port: 9, weight: 50, check: false },
    { name: "pool_2_3", disabled: true, check: false }
  ]
}

const serverLine = ({ address = "192.0.2.1", disabled, name, port = 1, weight = 1 }: ServerConfig) =>
  `  server ${name} ${address}:${port} weight ${weight}${disabled === true ? " disabled" : ""}\n`

const config = (site: {
  readonly dir: string
  readonly runtimeSocket: string
  readonly runtimePort: number
  readonly domainsMap: string
  readonly wildcardsMap: string
}) =>
  `global
  stats socket ${site.runtimeSocket} mode 600 level admin
  stats socket 127.0.0.1:${site.runtimePort} level admin
  stats timeout 30s
defaults base
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend web
  bind unix@${site.dir}/web.sock
  http-request set-var(txn.pool) hdr(host),map_str(${site.domainsMap})
  http-request set-var(txn.pool) hdr(host),map_str(${site.wildcardsMap}) if !{ var(txn.pool) -m found }
  use_backend %[var(txn.pool)]
${Object.entries(backends).map(([name, servers]) => `backend ${name}\n${servers.map(serverLine).join("")}`).join("")}`

const tlsConfig = (site: { readonly dir: string; readonly runtimeSocket: string }) =>
  `global
  stats socket ${site.runtimeSocket} mode 600 level admin
  stats timeout 30s
defaults base
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend web
  bind unix@${site.dir}/list.sock ssl crt-list ${site.dir}/list.txt
  bind unix@${site.dir}/dir.sock ssl crt ${site.dir}/dir
`

const statFields = ["slim", "lastchg", "downtime", "chkdown", "stot", "rate_max"]

/** Makes equal what differs between any two processes, and says of nothing else. */
const normal = (text: string): string => {
  let columns: ReadonlyArray<string> = []
  return text
    .replace(/0x[0-9a-f]{8,}/g, "POINTER")
    // Of the package: another revision of the same version has another one.
    .replace(/^(Version: \d[\w.]*).*\nRelease_date: .*$/m, "$1\nRelease_date: DATE")
    .replace(/(used by map at file '[^']*') line \d+/g, "$1 line N")
    .replace(/\[\d+:\d\d:\d\d:\d\d\]>/g, "[UP]>")
    .replace(
      /^(Pid|Uptime|Uptime_sec|Nbthread|Ulimit-n|Maxsock|Maxconn|Hard_maxconn|CumConns|CumReq|Tasks|node|Jobs|Listeners|Idle_pct|Niced_tasks|Run_queue|PoolAlloc_bytes|PoolUsed_bytes|Start_time_sec|BootTime_ms|CumStreams|CurrStreams|TotalWarnings|PatternsAdded|PatternsFreed|NbThreadGroups|MaxConnRate|MaxSessRate|ConnRate|SessRate|TotalBytesOut|BytesOutRate): .*$/gm,
      "$1: N"
    )
    .replace(/ src=unix:\d+ /g, " src=unix:N ")
    // Descriptors, their flags and threads; HAProxy lists them in the order in which it opened them.
    .replace(/^ *\d+ : st=0x\w+\([^)]*\)/gm, "N : st=FLAGS")
    .replace(/ ([tp]\w*mask|prmsk)=0x\w+/g, " $1=MASK")
    .replace(/ lport=\d+$/gm, " lport=PORT")
    .replace(/^(N : st=FLAGS.*\n)+/gm, (lines) => lines.split("\n").slice(0, -1).sort().join("\n") + "\n")
    .replace(/ age=.*$/gm, " age=N")
    // Sessions of connections that were just closed may still be there.
    .replace(/^(POINTER: proto.*\n)+/gm, "$1")
    .replace(/^ipv4@127\.0\.0\.1:\d+ /gm, "ipv4@127.0.0.1:PORT ")
    // The master's own socket to its worker.
    .replace(/^sockpair@\d+ admin all\n/gm, "")
    .split("\n")
    .map((line) => {
      if (line.startsWith("# pxname,")) {
        columns = line.slice(2).split(",")
        return line
      }
      if (/^\w+,(?:FRONTEND|BACKEND|pool_\d_\d),/.test(line)) {
        return line.split(",").map((value, at) => statFields.includes(columns[at]!) && value !== "" ? "N" : value).join(
          ","
        )
      }
      // srv_time_since_last_change
      return /^\d+ pool_\d \d /.test(line) ? line.split(" ").with(9, "N").join(" ") : line
    })
    .join("\n")
}

const compared = ({ bytes, closed }: Heard, socket: string) => ({
  bytes: normal(bytes.replaceAll(socket, "SOCKET")),
  closed
})

/** Sends the same to both; answers what each said when that is not the same. */
const compare = (fake: FakeHaproxyShape, { site }: RealHaproxy, bytes: string, options: RawOptions = {}) =>
  Effect.promise(async () => {
    const actual = await hear(fake.address, bytes, options)
    const expected = await hear({ path: site.runtimeSocket }, bytes, { ...options, like: actual })
    const want = compared(expected, site.runtimeSocket)
    const have = compared(actual, "path" in fake.address ? fake.address.path : "")
    return want.bytes === have.bytes && want.closed === have.closed ? undefined : { real: want, fake: have }
  })

const startBoth = (binary: HaproxyBinary) =>
  Effect.gen(function*() {
    const real = yield* startHaproxy({
      binary,
      config,
      domains: domains.split("\n").slice(0, -1),
      wildcards: [".example.com pool_1"]
    })
    const { site } = real
    const fake: FakeHaproxyShape = yield* FakeHaproxy.make({
      line: binary.line as Line,
      configPath: site.configFile,
      maps: { [site.runtimeDomainsMap]: domains, [site.runtimeWildcardsMap]: ".example.com pool_1\n" },
      backends,
      listen: ["unix", "tcp"],
      // The patch release at hand may be a later one.
      traits: { version: binary.version },
      idleTimeout: 30_000
    })
    return { real, fake }
  })

for (const binary of realLines) {
  describe(`HAProxy ${binary.line}`, () => {
    it.live("answers as the fake does, byte for byte", () =>
      Effect.gen(function*() {
        const { fake, real } = yield* startBoth(binary)
        const { site } = real
        // A new address takes effect some time after its command, on a busy machine after the next connection.
        const settled = Effect.promise(async () => {
          const read = async (at: FakeAddress) => normal((await hear(at, "show servers state pool_1\n")).bytes)
          for (const end = Date.now() + 5_000; Date.now() < end;) {
            if (await read({ path: site.runtimeSocket }) === await read(fake.address)) return
          }
        })
        const differences: Array<unknown> = []
        for (const group of parityGroups) {
          for (const { lines, send, ...options } of group.cases) {
            if (lines !== undefined && !lines.includes(binary.line)) continue
            const bytes = send.replaceAll("MAP", site.runtimeDomainsMap).replaceAll("WILD", site.runtimeWildcardsMap)
            const difference = yield* compare(fake, real, bytes, options)
            if (send.includes(" addr ")) yield* settled
            if (difference !== undefined) {
              differences.push({ group: group.name, send: send.slice(0, 200), ...difference })
            }
          }
        }
        assert.deepStrictEqual(differences, [])
      }), 120_000)

    it.live("runs as much as the fake does for a client that has gone", () =>
      Effect.gen(function*() {
        const { fake, real } = yield* startBoth(binary)
        const { site } = real
        const places: ReadonlyArray<readonly [string, FakeAddress, FakeAddress]> = [
          ["unix", { path: site.runtimeSocket }, fake.addresses[0]!],
          ["tcp", { host: "127.0.0.1", port: site.runtimePort }, fake.addresses[1]!]
        ]
        const map = site.runtimeWildcardsMap
        const add = `add map ${map} k v`
        const many = Array.from({ length: 100 }, () => add)
        const inputs = {
          "one command": `${add}\n`,
          "one line": `${many.join(";")}\n`,
          "lines": `prompt i\n${many.join("\n")}\n`,
          "a line without its newline": `prompt i\n${add}\n${add}`,
          "a payload without its end": `prompt i\n${add}\nadd map ${map} <<X\nk v\n`
        }
        const entries = (at: FakeAddress) =>
          Effect.map(
            Effect.promise(() => hear(at, "show map\n", { like: { bytes: "", closed: true } })),
            ({ bytes }) => Number(/^1 .* entry_cnt=(\d+)$/m.exec(bytes)?.[1])
          )
        for (const [transport, realAt, fakeAt] of places) {
          for (const [name, bytes] of Object.entries(inputs)) {
            // Over TCP 3.0 finds out when the reset comes, which is a race: on the real one and on the fake.
            if (transport === "tcp" && binary.line === "3.0" && bytes.length > 1_000) continue
            for (const [at, server] of [[realAt, real], [fakeAt, fake]] as const) {
              yield* Effect.promise(() => hear(at, `clear map ${map}\n`, { like: { bytes: "", closed: true } }))
              yield* server.pause
              yield* Effect.promise(() => abandon(at, bytes))
              yield* server.resume
            }
            const end = Date.now() + 5_000
            while (fake.connections > 0 && Date.now() < end) yield* Effect.sleep(1)
            const expected = yield* entries(fakeAt)
            while ((yield* entries(realAt)) !== expected && Date.now() < end);
            // It is the last word, too.
            for (let look = 0; look < 20; look++) {
              assert.strictEqual(yield* entries(realAt), expected, `${name} over ${transport}`)
            }
          }
        }
      }), 60_000)

    it.live("answers as the fake does when it has no certificate yet", () =>
      Effect.gen(function*() {
        const real = yield* startHaproxy({ binary, tls: true })
        const { certDir } = real.site
        const fake = yield* FakeHaproxy.make({ line: binary.line as Line, crtLists: { [certDir]: [] } })
        for (
          const send of [
            "show ssl cert",
            "show ssl crt-list",
            `show ssl crt-list -n ${certDir}`,
            "new ssl cert /x.pem",
            "show ssl cert",
            "del ssl cert /x.pem",
            "show ssl cert"
          ]
        ) {
          assert.isUndefined(yield* compare(fake, real, `${send}\n`))
        }
      }), 60_000)

    it.live("answers as the fake does about certificates", () =>
      Effect.gen(function*() {
        const pems = makePems()
        const site = yield* makeSite({ config: tlsConfig })
        const [certs, dir, list] = ["certs", "dir", "list.txt"].map((name) => join(site.dir, name)) as [
          string,
          string,
          string
        ]
        const listed = `${certs}/a.pem\n${certs}/b.pem [alpn h2] b.example.com !x.b.example.com\n`
        const files = { [`${certs}/a.pem`]: pems["a"]!, [`${certs}/b.pem`]: pems["b"]!, [`${dir}/c.pem`]: pems["c"]! }
        yield* Effect.promise(async () => {
          for (const folder of [certs, dir]) await mkdir(folder)
          for (const [path, text] of Object.entries({ ...files, [list]: listed })) await writeFile(path, text)
        })
        const real = yield* startIn(site, binary)
        const fake = yield* FakeHaproxy.make({
          line: binary.line as Line,
          certificates: files,
          crtLists: { [list]: listed, [dir]: [`${dir}/c.pem`] },
          // The lines of `tlsConfig`.
          looseBinds: { [list]: `${site.configFile}:10`, [dir]: `${site.configFile}:11` },
          idleTimeout: 30_000
        })
        const differences: Array<unknown> = []
        for (const send of certificateCases) {
          const bytes = send.replaceAll("CERTS", certs).replaceAll("LIST", list).replaceAll("DIR", dir)
            .replace(/\{(\w+)\}/g, (_, name: string) => pems[name]!)
          const difference = yield* compare(fake, real, bytes)
          if (difference !== undefined) differences.push({ send, ...difference })
        }
        assert.deepStrictEqual(differences, [])
      }), 120_000)
  })
}
