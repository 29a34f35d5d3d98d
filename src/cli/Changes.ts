/** `haproxy-mcp changes`: the change log as a table or as JSON; one change with what it did. */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { ListChangesAnswer, ShowChangeAnswer } from "../program/ChangeList.ts"
import type { Handlers } from "./Handlers.ts"
import { planText } from "./PlanText.ts"
import { clean, textTable } from "./TextTable.ts"
import { answer } from "./Verb.ts"

/** Milliseconds that the log gets to be read. */
const patience = 10_000
/** The most that one question answers. */
const page = 1000

export interface ChangesOptions {
  readonly limit: number
  readonly since: number | null
  readonly domain: string | null
  readonly who: string | null
  /** ISO 8601; the program refuses what is none. */
  readonly from: string | null
  readonly until: string | null
  readonly json: boolean
}

/** `2026-02-08T12:03:50.123Z` → `2026-02-08 12:03:50`. */
const seconds = (time: string): string => time.slice(0, 19).replace("T", " ")

const row = (change: ListChangesAnswer["changes"][number]): ReadonlyArray<string> => [
  seconds(change.time),
  String(change.revision),
  `${change.via} ${change.who}`,
  change.tool,
  change.outcome,
  change.change_id,
  change.summary
]

const head = ["time (UTC)", "rev", "who", "tool", "outcome", "change", "what"]

/** The table of a list. */
export const changesText = (changes: ListChangesAnswer["changes"]): string =>
  changes.length === 0 ? "No change.\n" : textTable(head, changes.map(row))

/** One change for people. */
export const changeText = ({ change, edit_count, edits }: ShowChangeAnswer): string =>
  [
    `${clean(change.summary)}\n`,
    `${change.change_id}, revision ${change.revision}, ${seconds(change.time)} UTC, ${change.outcome}`,
    `${clean(change.tool)} by ${clean(`${change.via} ${change.who}`)}, request ${clean(change.request_id)}\n`,
    textTable(
      ["what", "before", "after"],
      edits.map(({ after, before, what }) => [what, before ?? "-", after ?? "-"])
    ).trimEnd(),
    ...(edit_count > edits.length ? [`… and ${edit_count - edits.length} more`] : []),
    ""
  ].join("\n")

/** Prints the newest changes. */
export const printChanges = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: ChangesOptions
) {
  const changes: Array<ListChangesAnswer["changes"][number]> = []
  let cursor: string | null = null
  do {
    const found: ListChangesAnswer = (yield* answer(handlers, sources, {
      name: "list_changes",
      kind: "admin",
      timeout: patience,
      args: {
        limit: Math.min(page, options.limit - changes.length),
        ...(cursor === null ? {} : { cursor }),
        ...(options.since === null ? {} : { since: options.since }),
        ...(options.domain === null ? {} : { domain: options.domain }),
        ...(options.who === null ? {} : { who: options.who }),
        ...(options.from === null ? {} : { from: options.from }),
        ...(options.until === null ? {} : { until: options.until })
      }
    })) as unknown as ListChangesAnswer
    changes.push(...found.changes)
    cursor = found.next_cursor
  } while (cursor !== null && changes.length < options.limit)
  process.stdout.write(options.json ? `${JSON.stringify(changes, null, 2)}\n` : changesText(changes))
})

/** Prints one change. */
export const printChange = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  changeId: string,
  options: { readonly json: boolean }
) {
  const found = (yield* answer(handlers, sources, {
    name: "show_change",
    kind: "admin",
    timeout: patience,
    args: { change_id: changeId }
  })) as unknown as ShowChangeAnswer
  process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : changeText(found))
})

/** Takes one change back and says what became of it, or what would. */
export const revertChange = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  changeId: string,
  options: { readonly dryRun: boolean; readonly force: boolean; readonly json: boolean }
) {
  const found = yield* answer(handlers, sources, {
    name: "revert_change",
    kind: "admin",
    timeout: 40_000,
    args: { change_id: changeId, force: options.force, dry_run: options.dryRun }
  })
  for (const text of found["warnings"] as ReadonlyArray<string>) {
    process.stderr.write(`haproxy-mcp: ${clean(text)}\n`)
  }
  if (options.json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
  else process.stdout.write(options.dryRun ? planText(found) : `${clean(String(found["summary"]))}\n`)
})
