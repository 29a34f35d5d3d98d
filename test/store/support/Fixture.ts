/** A store in a folder of its own, and changes to make in it. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseServerIp, type Port } from "../../../src/domain/Address.ts"
import type { Edit, Outcome, Route } from "../../../src/domain/Change.ts"
import { defaultWeight, type PoolNumber, type Server, type SlotNumber } from "../../../src/domain/Pool.ts"
import { parseRouteName, type RouteName } from "../../../src/domain/RouteName.ts"
import type { ChangeDraft } from "../../../src/store/Changes.ts"
import { Store, type StoreOptions } from "../../../src/store/Store.ts"

/** A folder that goes away with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "store-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const limits = { pools: 20, slots: 4 }

/** Opens the store, runs a program with it, closes it. */
export const withStore = <A, E>(
  file: string,
  program: (store: Store["Service"]) => Effect.Effect<A, E>,
  options: Partial<StoreOptions> = {}
) => Effect.flatMap(Store, program).pipe(Effect.provide(Store.layer({ file, pools: limits, ...options })))

/** A store that starts empty. */
export const withNewStore = <A, E>(
  program: (store: Store["Service"], file: string) => Effect.Effect<A, E>,
  options: Partial<StoreOptions> = {}
) =>
  Effect.scoped(Effect.flatMap(folder, (path) => {
    const file = join(path, "desired.db")
    return withStore(file, (store) => program(store, file), options)
  }))

export const name = (text: string): RouteName => Result.getOrThrow(parseRouteName(text))
export const pool = (number: number) => number as PoolNumber
export const slot = (number: number) => number as SlotNumber

export const route = (text: string, number: number, seq: number, implicit = false): Route => ({
  name: name(text),
  pool: pool(number),
  implicit,
  seq
})

export const server = (number: number, index: number, ip = "10.0.0.1"): Server => ({
  pool: pool(number),
  slot: slot(index),
  ip: Result.getOrThrow(parseServerIp(ip)),
  port: 80 as Port,
  weight: defaultWeight,
  state: "ready"
})

export const routeEdit = (before: Route | null, after: Route | null): Edit => ({
  kind: "route",
  name: (after ?? before!).name,
  before,
  after
})

export const serverEdit = (before: Server | null, after: Server | null): Edit => {
  const { pool, slot } = (after ?? before)!
  return { kind: "server", pool, slot, before, after }
}

export const ownerEdit = (number: number, before: string | null, after: string | null): Edit => ({
  kind: "owner",
  pool: pool(number),
  before: before === null ? null : name(before),
  after: after === null ? null : name(after)
})

let drafts = 0

export const draft = (
  edits: ReadonlyArray<Edit>,
  options: { readonly changeId?: string; readonly outcome?: Outcome } = {}
): ChangeDraft => ({
  changeId: options.changeId ?? `change-${process.pid}-${++drafts}`,
  actor: { via: "test", who: "somebody", requestId: "r-1" },
  tool: "haproxy_add_domain",
  summary: `${edits.length} edits`,
  edits,
  outcome: options.outcome ?? "applied"
})

/** Writes edits and their change; to be run inside `commit`. */
export const write = (
  store: Store["Service"],
  edits: ReadonlyArray<Edit>,
  options: { readonly changeId?: string; readonly outcome?: Outcome } = {}
) => Effect.andThen(store.apply(edits), store.record(draft(edits, options)))

/** Adds a domain with one server in the lowest free pool, as a program would; to be run inside `commit`. */
export const add = Effect.fnUntraced(function*(
  store: Store["Service"],
  text: string,
  options: { readonly changeId?: string; readonly outcome?: Outcome } = {}
) {
  const [free] = yield* store.freePools(0, 1)
  if (free === undefined) return yield* Effect.die(new Error("no pool is free"))
  const edits = [
    ownerEdit(free, null, text),
    routeEdit(null, route(text, free, yield* store.nextSeq)),
    serverEdit(null, server(free, 1))
  ]
  yield* write(store, edits, options)
  return edits
})
