/** Many writers while HAProxy is killed and started again and again: nothing acknowledged is lost, nothing refused is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"

const clients = 64
const kills = 5

describe.each(realLines)("64 writers on HAProxy $line, killed five times meanwhile", (binary) => {
  it.live("every acknowledged domain is routed, none refused is", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, poolsFile: true, pools: 100, slots: 2 })
      /** What each client knows of its names: true routed, false not routed, absent: unknown. */
      const known = new Map<string, boolean>()
      const unknown = new Set<string>()
      let stop = false
      const endings = new Map<string, number>()
      const client = (id: number) =>
        Effect.gen(function*() {
          for (let n = 0; !stop; n++) {
            const domain = `n${n % 7}.c${id}.example.com`
            const program: Effect.Effect<unknown, ControlError, ProgramServices> = known.get(domain) === true
              ? removeDomain({ domain })
              : addDomain(
                id % 4 === 0 && n % 7 === 0
                  ? { domain, ip: `10.0.${id}.1` }
                  : { domain, share_with: "base.example.com" }
              )
            const exit = yield* Effect.exit(world.run(program))
            if (Exit.isSuccess(exit)) {
              known.set(domain, known.get(domain) !== true)
              unknown.delete(domain)
              endings.set("done", (endings.get("done") ?? 0) + 1)
            } else {
              const error = Exit.findErrorOption(exit)
              assert(error._tag === "Some", "a write died")
              const { code } = error.value
              endings.set(code, (endings.get(code) ?? 0) + 1)
              assert.notStrictEqual(code, "INTERNAL")
              // Nothing is known of the name until a later call succeeds.
              if (code === "OUTCOME_UNKNOWN") {
                known.delete(domain)
                unknown.add(domain)
              } else if (!known.has(domain) && !unknown.has(domain)) known.set(domain, false)
            }
          }
        })
      yield* world.run(addDomain({ domain: "base.example.com", ip: "10.0.0.1" }))
      const fibers = yield* Effect.forEach(
        Array.from({ length: clients }, (_, id) => id),
        (id) => Effect.forkChild(client(id))
      )
      for (let n = 0; n < kills; n++) {
        const before = endings.get("done") ?? 0
        yield* world.haproxy.restart
        // The next kill comes only after writes went through again.
        while ((endings.get("done") ?? 0) < before + clients * (n + 1)) yield* Effect.sleep(5)
      }
      stop = true
      for (const fiber of fibers) yield* Fiber.join(fiber)
      const dump = yield* world.consistent()
      const routed = new Set([...dump.matchAll(/^map (\S+) /gm)].map((match) => match[1]!))
      let acknowledged = 0
      for (const [domain, there] of known) {
        assert.strictEqual(routed.has(domain), there, domain)
        if (there) acknowledged++
      }
      console.log(
        `storm: HAProxy ${binary.version}: ${
          [...endings].map(([what, times]) => `${times} ${what}`).join(", ")
        }; ${acknowledged} routed`
      )
      assert.isAbove(acknowledged, clients)
    }), 120_000)
})
