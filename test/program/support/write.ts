/** A control plane in a process of its own that makes one write and says how it ended: to be killed at any step. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ControlError } from "../../../src/domain/Errors.ts"
import { addDomain, removeDomain } from "../../../src/program/Domains.ts"
import { addServer, removeServer } from "../../../src/program/Servers.ts"
import type { ProgramServices } from "../../../src/program/Services.ts"
import { inSync, planeLayer, type PlaneOptions } from "../../support/ControlPlane.ts"

const writes: Readonly<Record<string, Effect.Effect<unknown, ControlError, ProgramServices>>> = {
  add: addDomain({ domain: "c.com", ip: "10.0.0.9" }),
  share: addDomain({ domain: "www.c.com", share_with: "a.com" }),
  server: addServer({ domain: "a.com", ip: "10.0.0.3" }),
  clear: removeServer({ domain: "a.com", slot: 1 }),
  remove: removeDomain({ domain: "z.com" })
}

const [name, plane] = process.argv.slice(2)
const program = Effect.gen(function*() {
  yield* inSync
  // The parent counts steps from here.
  process.stdout.write("begin\n")
  const exit = yield* Effect.exit(writes[name!]!)
  process.stdout.write(Exit.isSuccess(exit) ? "acknowledged\n" : `refused ${String(exit.cause)}\n`)
})
await Effect.runPromise(Effect.scoped(Effect.provide(program, planeLayer(JSON.parse(plane!) as PlaneOptions))))
