/** A control plane in a process of its own that makes one change of certificates: to be killed at any step. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { planeLayer, type PlaneOptions } from "../../../support/ControlPlane.ts"
import { compared } from "./Issuer.ts"
import { writeOf } from "./Writes.ts"

const [kind, plane, pem] = process.argv.slice(2)
const program = Effect.gen(function*() {
  yield* compared
  const exit = yield* Effect.exit(writeOf(kind!, pem!))
  process.stdout.write(Exit.isSuccess(exit) ? "acknowledged\n" : `refused ${String(exit.cause)}\n`)
})
await Effect.runPromise(Effect.scoped(Effect.provide(program, planeLayer(JSON.parse(plane!) as PlaneOptions))))
