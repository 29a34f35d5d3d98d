/**
 * The desired state that a row starts from: many domains that share some pools, as a service with "bring your own
 * domain" has them. One in ten is a registrable name, which has its wildcard; the others are names below one.
 */
import * as Effect from "effect/Effect"
import type { Port, ServerIp } from "../src/domain/Address.ts"
import type { Edit, Route } from "../src/domain/Change.ts"
import { defaultWeight, type PoolNumber, type SlotNumber } from "../src/domain/Pool.ts"
import { type RouteName, wildcardOf } from "../src/domain/RouteName.ts"
import { Store } from "../src/store/Store.ts"

/** HAProxy's declared pools and slots: the defaults of the settings. */
export const limits = { pools: 100, slots: 10 } as const

/** Pools in use; the others are free. */
const usedPools = 40

/** The owner of a pool in use. Shares name it in `share_with`. */
export const ownerOf = (index: number): string => `pool-${index % usedPools + 1}.example.net`

const numbered = (index: number): string => String(index).padStart(6, "0")

/** The name of the domain number `index` that is there. */
export const nameOf = (index: number): string =>
  index < usedPools
    ? ownerOf(index)
    : index % 10 === 0
    ? `customer-${numbered(index)}.com`
    : `www.customer-${numbered(index)}.com`

/** Edits that make `domains` domains out of nothing; servers are `origin`. */
const editsOf = (domains: number, origin: number): ReadonlyArray<Edit> => {
  const owners: Array<Edit> = []
  const routes: Array<Edit> = []
  let seq = 1
  const route = (text: string, pool: PoolNumber, implicit: boolean) => {
    const name = text as RouteName
    const after: Route = { name, pool, implicit, seq: seq++ }
    routes.push({ kind: "route", name, before: null, after })
  }
  for (let index = 0; index < Math.max(domains, usedPools); index++) {
    const pool = index % usedPools + 1 as PoolNumber
    const name = nameOf(index)
    if (index < usedPools) {
      const slot = 1 as SlotNumber
      owners.push({ kind: "owner", pool, before: null, after: name as RouteName })
      owners.push({
        kind: "server",
        pool,
        slot,
        before: null,
        after: {
          pool,
          slot,
          ip: "127.0.0.1" as ServerIp,
          port: origin as Port,
          weight: defaultWeight,
          state: "ready"
        }
      })
    }
    route(name, pool, false)
    if (name.startsWith("customer-")) route(wildcardOf(name as Parameters<typeof wildcardOf>[0]), pool, true)
  }
  return [...owners, ...routes]
}

/** Writes the population into a new database file, which is closed again. `origin`: port of every server. */
export const populate = (file: string, domains: number, origin: number): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    const store = yield* Store
    yield* store.commit(store.apply(editsOf(domains, origin)))
  }).pipe(Effect.provide(Store.layer({ file, pools: limits })))

let next = 0

/** A name below a registrable one that nobody has yet: adding it writes `domains.map` only. */
export const freshName = (): string => `www.new-${process.pid}-${next++}.com`

/** A registrable name that nobody has yet: adding it adds its wildcard, too. */
export const freshRegistrable = (): string => `new-${process.pid}-${next++}.com`
