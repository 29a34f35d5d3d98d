/** FakeHaproxy keeps the contract that the real HAProxy lines keep, so it may stand in for them. */
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { declarePools, type FakeAddress, FakeHaproxy, type Line, type ServerConfig } from "../../src/testing.ts"
import { runtimeContract } from "../haproxy/contract/Contract.ts"
import type { MakeTarget } from "../haproxy/contract/Target.ts"

const domainsMap = "/etc/haproxy/domains.map"
const wildcardsMap = "/etc/haproxy/wildcards.map"

/** `10s` and `300ms`, as HAProxy writes times. */
const milliseconds = (time: string): number =>
  time.endsWith("ms") ? Number.parseInt(time) : Number.parseInt(time) * 1000

/** One line on a connection of its own: the bytes until the fake closes it. */
const ask = (address: FakeAddress, line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(address)
    let text = ""
    socket.setEncoding("latin1")
    socket.on("data", (part: string) => {
      text += part
    })
    socket.on("end", () => resolve(text))
    socket.on("error", reject)
    socket.write(`${line}\n`)
  })

const lines: ReadonlyArray<Line> = ["3.0", "3.2", "3.4"]

for (const line of lines) {
  const make: MakeTarget = ({ domains = [], pools = 4, slots = 3, statsTimeout = "10s", wildcards = [] }) =>
    Effect.gen(function*() {
      const text = (entries: ReadonlyArray<string>) => entries.map((entry) => `${entry}\n`).join("")
      const unchecked = ([name, servers]: [string, ReadonlyArray<ServerConfig>]) =>
        [name, servers.map((server) => ({ ...server, check: false }))] as const
      const fake = yield* FakeHaproxy.make({
        line,
        listen: ["unix", "tcp"],
        maps: { [domainsMap]: text(domains), [wildcardsMap]: text(wildcards) },
        backends: Object.fromEntries(Object.entries(declarePools({ count: pools, slots })).map(unchecked)),
        idleTimeout: milliseconds(statsTimeout)
      })
      const [major, minor] = line.split(".").map(Number)
      const [unix, tcp] = fake.addresses
      return {
        line: [major!, minor!],
        transports: { unix: unix!, tcp: tcp! },
        domainsMap,
        wildcardsMap,
        command: (command) => Effect.promise(() => ask(unix!, command)),
        pause: fake.pause,
        resume: fake.resume,
        kill: fake.kill,
        start: fake.start,
        reload: fake.reload
      }
    })
  runtimeContract(`FakeHaproxy ${line}`, make)
}
