/** What 2,000 calls of every kind leave behind in the process: no file descriptor, no fiber, no memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { startHeldOrigin } from "../support/HeldOrigin.ts"
import { countHeap, inspectFlag, inspectorOf } from "../support/Inspector.ts"
import { ConnectionLost, PlainMcp } from "../support/PlainMcp.ts"
import { becomes } from "../support/Poll.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { haproxyMcp, type ServerProcess, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 20, slots: 3 }
const calls = 2_000
/** Calls after which everything that is made once has been made. */
const warm = 400
const clients = 16
const MB = 1024 * 1024

/** What the process has open, by what it is. */
const descriptors = (pid: number): ReadonlyArray<string> =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]/, "")]
    } catch {
      return []
    }
  }).sort()

const resident = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024

/** Calls of every kind: good ones, refused ones, on kept and on fresh connections, and some that are given up. */
const use = async (server: ServerProcess, count: number) => {
  let made = 0
  let givenUp = 0
  const one = async (client: PlainMcp, id: number, n: number) => {
    const domain = `d${n % 3}.c${id}.example.com`
    switch (n % 8) {
      case 0:
        return client.good("haproxy_add_domain", {
          domain,
          ...(n % 3 === 0 ? { ip: "10.0.0.1" } : { share_with: "base.com" })
        })
      case 1:
        return client.good("haproxy_list_domains", { search: "example", limit: 5 })
      case 2:
        return client.call("haproxy_add_server", { domain: "no.such.domain", ip: "10.0.0.1" })
      case 3:
        return client.call("haproxy_add_domain", { domain: "bad_name", ip: "0x7f.1", more: true })
      case 4:
        return client.good("haproxy_domain_health", { domain: "base.com" })
      case 5: {
        const fresh = new PlainMcp(server.url)
        return fresh.good("haproxy_health").finally(() => fresh.close())
      }
      case 6: {
        // Given up in the middle.
        const fresh = new PlainMcp(server.url)
        const signal = AbortSignal.timeout(3)
        return fresh.call("haproxy_wait_drain", { domain: "base.com", timeout: 5 }, signal).catch((error: unknown) => {
          if (!(error instanceof ConnectionLost)) throw error
          givenUp++
        }).finally(() => fresh.close())
      }
      default:
        return client.good("haproxy_remove_domain", { domain: `d${(n - 7) % 3}.c${id}.example.com` })
    }
  }
  const all = Array.from({ length: clients }, () => new PlainMcp(server.url))
  await Promise.all(all.map(async (client, id) => {
    for (let n = 0; made < count; n++) {
      made++
      await one(client, id, n)
    }
  }))
  for (const client of all) client.close()
  return { made, givenUp }
}

describe("2,000 calls", () => {
  it.live("leave no file descriptor, fiber or memory behind", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy(shape)
      const [node, file] = haproxyMcp
      const server = yield* startServer({
        env: settingsOf(haproxy.site, shape),
        command: [node, inspectFlag, file, "serve"]
      })
      const origin = yield* startHeldOrigin
      const client = server.client()
      /** A session that does not end keeps haproxy_wait_drain waiting. */
      const busy = async () => {
        await client.good("haproxy_set_server_state", { domain: "base.com", slot: 1, state: "ready" })
        await Effect.runPromise(origin.hold(haproxy.site.httpPort, "base.com"))
        await client.good("haproxy_set_server_state", { domain: "base.com", slot: 1, state: "drain" })
      }
      yield* Effect.promise(async () => {
        await server.ready()
        await client.good("haproxy_add_domain", { domain: "base.com", ip: "127.0.0.1", http_port: origin.port })
        const inspector = inspectorOf(server.output())
        await busy()
        await use(server, warm)
        const heap = await countHeap(inspector)
        const open = descriptors(server.pid)
        const memory = resident(server.pid)
        await busy()
        const { givenUp, made } = await use(server, calls)
        const after = await countHeap(inspector)
        // A connection that was just closed may still be on its way out.
        await becomes("everything is closed", () => descriptors(server.pid).length <= open.length).catch(() => {
          assert.deepStrictEqual(descriptors(server.pid), open)
        })
        const fibers = [heap.count("FiberImpl"), after.count("FiberImpl")] as const
        const grown = { heap: (after.used - heap.used) / MB, resident: (resident(server.pid) - memory) / MB }
        console.log(
          `leaks: ${made} calls, ${givenUp} given up: ${open.length} descriptors before, ${
            descriptors(server.pid).length
          } after; ${fibers.join(" → ")} fibers; heap ${(heap.used / MB).toFixed(1)} MB and ${
            grown.heap.toFixed(1)
          } more, resident ${(memory / MB).toFixed(0)} MB and ${grown.resident.toFixed(0)} more`
        )
        assert.isAbove(givenUp, calls / 20)
        assert.isAbove(fibers[0], 0)
        assert.isAtMost(fibers[1], fibers[0] + 5)
        assert.isBelow(grown.heap, 8)
        assert.isBelow(grown.resident, 120)
        assert.strictEqual((await server.stop()).code, 0)
      })
    }).pipe(Effect.scoped), 120_000)
})
