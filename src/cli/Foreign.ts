/** `haproxy-mcp foreign list | adopt`: map entries that are not ours, as a table or as JSON. */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { AdoptForeignAnswer, ListForeignAnswer } from "../program/Foreign.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { clean, textTable } from "./TextTable.ts"
import { answer } from "./Verb.ts"

/** Milliseconds: HAProxy is compared first. */
const patience = 30_000

const places = { file: "file", haproxy: "HAProxy", both: "file, HAProxy" } as const

const warn = (warnings: ReadonlyArray<string>) => {
  for (const text of warnings) process.stderr.write(`haproxy-mcp: ${clean(text)}\n`)
}

/** The table of a list. */
export const foreignText = ({ entries, summary, total }: ListForeignAnswer): string =>
  [
    `${clean(summary)}\n`,
    ...(entries.length === 0 ? [] : [
      "\n",
      textTable(
        ["map", "key", "leads to", "in", "why", "what to do"],
        entries.map(({ hint, key, map, value, where, why }) => [map, key, value, places[where], why, hint])
      )
    ]),
    ...(total > entries.length ? [`… and ${total - entries.length} more: --limit ${total}\n`] : [])
  ].join("")

/** What was adopted, for people. */
export const adoptText = ({ adopted, refused, summary }: AdoptForeignAnswer): string =>
  [
    `${clean(summary)}\n`,
    ...adopted.map(({ backend, domain }) => `  ${domain} → ${backend}\n`),
    ...refused.map(({ hint, key, why }) => `  ${clean(key)}: ${clean(why)}. ${hint}\n`)
  ].join("")

/** Prints the foreign entries. */
export const printForeign = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: { readonly limit: number; readonly json: boolean }
) {
  const found = (yield* answer(handlers, sources, {
    name: "list_foreign",
    kind: "admin",
    timeout: patience,
    args: { limit: options.limit }
  })) as unknown as ListForeignAnswer
  process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : foreignText(found))
  if (!options.json) warn(found.warnings)
})

/** Adopts entries; ends with 1 when one of those named cannot be. */
export const adopt = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: {
    readonly names: ReadonlyArray<string>
    readonly all: boolean
    readonly dryRun: boolean
    readonly json: boolean
  }
) {
  const done = (yield* answer(handlers, sources, {
    name: "adopt_foreign",
    kind: "admin",
    timeout: patience,
    args: { names: options.names, all: options.all, dry_run: options.dryRun }
  })) as unknown as AdoptForeignAnswer
  process.stdout.write(options.json ? `${JSON.stringify(done, null, 2)}\n` : adoptText(done))
  if (!options.json) warn(done.warnings)
  if (done.refused.length > 0) return yield* new Ended({ code: exitCodes.failed })
})
