/**
 * `kill -9` of the serving process while sixty-four clients write, five times. HAProxy serves on without it; the next
 * start is ready soon; and everything acknowledged, by whichever life of the process, is there.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { dirname } from "node:path"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { agreement } from "../support/Agreement.ts"
import { type Origin, startOrigin } from "../support/Origin.ts"
import { ConnectionLost, type PlainMcp } from "../support/PlainMcp.ts"
import { becomes } from "../support/Poll.ts"
import { newestLine, type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 40, slots: 2, poolsFile: true }
const clients = 64
const names = 4
const rounds = 5

/** By domain: the body that it must answer, null for no route, undefined when not known. */
type Known = Map<string, string | null | undefined>

/** What one client does until the process is gone. */
const write = async (client: PlainMcp, id: number, known: Known, own: Origin | undefined, acknowledged: () => void) => {
  for (let n = 0;; n++) {
    const domain = `n${n % names}.c${id}.example.com`
    const origin = n % names === 0 ? own : undefined
    const before = known.get(domain)
    // Not known until it is answered: the process may go at any moment.
    known.set(domain, undefined)
    try {
      const there = typeof before === "string"
      const { code, data } = there
        ? await client.call("haproxy_remove_domain", { domain })
        : await client.call("haproxy_add_domain", {
          domain,
          ...(origin === undefined ? { share_with: "base.example.com" } : { ip: "127.0.0.1", http_port: origin.port })
        })
      assert.strictEqual(code, "OK", JSON.stringify(data))
      known.set(domain, there ? null : origin?.name ?? "shared")
      acknowledged()
    } catch (error) {
      if (error instanceof ConnectionLost) return
      throw error
    }
  }
}

/** Everything known is so, as a visitor sees it. */
const visitAll = Effect.fnUntraced(function*(haproxy: RealHaproxy, known: Known, when: string) {
  let visits = 0
  for (const [domain, wanted] of known) {
    if (wanted === undefined) continue
    const answer = yield* haproxy.get(domain)
    assert.deepStrictEqual(
      answer,
      wanted === null ? { status: 404, body: "no route" } : { status: 200, body: wanted },
      `${domain} ${when}`
    )
    visits++
  }
  return visits
})

describe("kill -9 while 64 clients write", () => {
  it.live("five times: nothing acknowledged is lost, and it is ready again soon", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ ...shape, sections: [`defaults ${poolsDefaults} from base`, ""] })
      const { site } = haproxy
      const shared = yield* startOrigin("shared")
      const own: Array<Origin> = []
      for (let n = 0; n < clients / 4; n++) own.push(yield* startOrigin(`own-${n}`))
      const env = settingsOf(site, shape)
      const known: Known = new Map()
      const times: Array<number> = []
      let total = 0
      let visits = 0
      for (let round = 1; round <= rounds; round++) {
        const began = performance.now()
        const server = yield* startServer({ env })
        yield* Effect.promise(() => server.ready())
        times.push(Math.round(performance.now() - began))
        visits += yield* visitAll(haproxy, known, `after start ${round}`)
        let acknowledged = 0
        yield* Effect.promise(async () => {
          await server.client().good("haproxy_add_domain", {
            domain: "base.example.com",
            ip: "127.0.0.1",
            http_port: shared.port
          })
          const writing = Promise.all(
            Array.from({ length: clients }, (_, id) =>
              write(server.client(), id, known, id % 4 === 0 ? own[id / 4] : undefined, () => acknowledged++))
          )
          // Another moment in each round.
          await Promise.race([
            writing,
            becomes("writes go through", () =>
              acknowledged >= 60 * round + 17)
          ])
          const { signal } = await server.kill()
          assert.strictEqual(signal, "SIGKILL")
          await writing
        })
        total += acknowledged
        visits += yield* visitAll(haproxy, known, `without the process, round ${round}`)
      }
      const server = yield* startServer({ env })
      yield* Effect.promise(() => server.ready())
      visits += yield* visitAll(haproxy, known, "at the end")
      const left = readdirSync(dirname(site.domainsMap)).filter((name) => name.includes(".haproxy-mcp-"))
      assert.deepStrictEqual(left, [])
      assert.strictEqual((yield* Effect.promise(() => server.stop())).code, 0)
      const dump = yield* agreement(site, shape)
      const routed = new Set([...dump.matchAll(/^map (\S+) /gm)].map((match) => match[1]!))
      for (const [domain, wanted] of known) {
        if (wanted !== undefined) assert.strictEqual(routed.has(domain), wanted !== null, domain)
      }
      console.log(
        `killed: HAProxy ${newestLine.version}: ${rounds} kills, ${total} acknowledged, ${visits} visits; ready ${
          times.join(", ")
        } ms after the start`
      )
      assert.isBelow(Math.max(...times), 10_000)
    }).pipe(Effect.scoped), 120_000)
})
