/**
 * A control plane that makes random writes, one after the other, and tells each answer with what must be found after
 * it: the desired state, and a hash of each file. It writes a line with one call, so that the line has its place in
 * the record of system calls.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeSync } from "node:fs"
import { Store } from "../../../src/store/Store.ts"
import { endingOf, randomStep } from "../../program/Verbs.model.ts"
import { Dice } from "../../program/Verbs.model.ts"
import { inSync, planeLayer, type PlaneOptions } from "../../support/ControlPlane.ts"
import { dumpDatabase, dumpDesired } from "../../support/Dump.ts"
import { type Told, toldMark } from "./Told.ts"

const [seed, writes, options] = process.argv.slice(2)
const plane = JSON.parse(options!) as PlaneOptions

const hash = (path: string) => existsSync(path) ? createHash("sha256").update(readFileSync(path)).digest("hex") : null

const tell = (told: Told) => writeSync(1, `${toldMark}${JSON.stringify(told)}\n`)

const now = Effect.gen(function*() {
  const paths = [plane.domainsMap, plane.wildcardsMap, plane.poolsFile!]
  return {
    desired: yield* dumpDesired,
    database: yield* dumpDatabase,
    files: Object.fromEntries(paths.map((path) => [path.slice(path.lastIndexOf("/") + 1), hash(path)]))
  }
})

const program = Effect.gen(function*() {
  yield* inSync
  tell({ _tag: "State", step: "start", ending: "done", ...yield* now })
  const dice = new Dice(Number(seed))
  const store = yield* Store
  for (let n = 0; n < Number(writes); n++) {
    const routed = (yield* store.allRoutes).map((route) => route.name as string).sort()
    const step = randomStep(dice, routed)
    tell({ _tag: "Begin", step: step.text })
    const { code, ending } = endingOf(yield* Effect.exit(step.program))
    tell({ _tag: "State", step: step.text, ending: `${ending}${code === "" ? "" : ` ${code}`}`, ...yield* now })
  }
})
await Effect.runPromise(Effect.scoped(Effect.provide(program, planeLayer(plane))))
process.exit(0)
