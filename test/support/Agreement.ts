/**
 * Database = files = HAProxy, for a control plane that is a process. The database belongs to one process, so it is
 * read after that one has ended; HAProxy still runs.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Store } from "../../src/store/Store.ts"
import { dumpDatabase, dumpFiles, dumpRuntime } from "./Dump.ts"
import type { Site } from "./RealHaproxy.ts"
import { databaseOf } from "./Settings.ts"

export interface AgreementOptions {
  readonly pools: number
  readonly slots: number
  readonly poolsFile?: boolean
  /** Default: where `settingsOf` puts it. */
  readonly database?: string
}

const routesOf = (dump: string) => dump.split("\n").filter((line) => line.startsWith("map ")).join("\n")

/** What HAProxy routes and serves now, read from outside. */
export const live = (site: Site): Effect.Effect<string> =>
  dumpRuntime(site.runtimeSocket, [site.runtimeDomainsMap, site.runtimeWildcardsMap])

/** What a database holds that no process has open. */
export const stored = (file: string, pools: { readonly pools: number; readonly slots: number }) =>
  dumpDatabase.pipe(Effect.provide(Store.layer({ file, pools })), Effect.orDie)

/** Asserts that all three say the same; answers it. */
export const agreement = Effect.fnUntraced(function*(site: Site, options: AgreementOptions) {
  const { pools, slots } = options
  const database = yield* stored(options.database ?? databaseOf(site), { pools, slots })
  const files = yield* dumpFiles({
    domains: site.domainsMap,
    wildcards: site.wildcardsMap,
    pools: options.poolsFile === true ? site.poolsFile : null
  })
  assert.strictEqual(yield* live(site), database, "HAProxy is not the database")
  // Drain stands in pools.cfg as weight 0, which hides the weight.
  const expected = options.poolsFile === true ? database.replace(/ drain \d+$/gm, " drain ?") : routesOf(database)
  assert.strictEqual(files, expected, "the files are not the database")
  return database
})
