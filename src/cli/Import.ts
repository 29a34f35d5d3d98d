/**
 * `haproxy-mcp import FILE`: reads the file here, asks the verb, shows how far it is, and says what came of it. Whole
 * files are refused before anything is sent; rows are judged by the verb, all together.
 */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import { mostRows } from "../program/import/Check.ts"
import type { ImportAnswer, Problem } from "../program/import/Shapes.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { makeProgress } from "./Progress.ts"
import { readInput, refuseFile } from "./rows/InputFile.ts"
import { type Format, type Rows, Unreadable } from "./rows/Rows.ts"
import { answer } from "./Verb.ts"

export interface ImportOptions {
  /** `-`: standard input. */
  readonly file: string
  /** Null: by what the file holds. */
  readonly format: Format | null
  readonly dryRun: boolean
  readonly skipBad: boolean
  readonly json: boolean
  /** Seconds. */
  readonly timeout: number
}

/** JSON begins with a bracket or a brace, and no host name does. */
const formatOf = (text: string): Format => /^\s*[[{]/.test(text) ? "json" : "csv"

const read = Effect.fnUntraced(function*(options: ImportOptions) {
  const text = yield* readInput(options.file)
  const format = options.format ?? formatOf(text)
  const rows: Rows | Unreadable = format === "json"
    ? (yield* Effect.promise(() => import("./rows/JsonRows.ts"))).readJson(text, mostRows)
    : (yield* Effect.promise(() => import("./rows/CsvRows.ts"))).readCsv(text, mostRows)
  return rows instanceof Unreadable ? yield* refuseFile(options.file, rows.what, rows.hint) : rows
})

const problemText = (unit: Rows["unit"], { hint, line, message }: Problem): string =>
  `  ${unit} ${line}: ${message}. ${hint}\n`

const listText = (unit: Rows["unit"], { problem_count, problems }: ImportAnswer): string =>
  problems.map((problem) => problemText(unit, problem)).join("")
  + (problem_count > problems.length ? `  and ${problem_count - problems.length} more\n` : "")

const summaryText = (result: ImportAnswer, seconds: number): string =>
  [
    result.summary,
    `  ${result.rows} rows: ${result.added} added, ${result.unchanged} unchanged, ${result.bad} bad`,
    `  ${result.pools} new pools, ${result.servers} servers, ${result.wildcards} wildcards that came with their domains`,
    `  revision ${result.revision}${result.change_id === undefined ? "" : `, ${result.change_id}`}, ${
      seconds.toFixed(1)
    } s`,
    ""
  ].join("\n")

/** Imports a file. */
export const runImport = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: ImportOptions
) {
  const began = performance.now()
  const progress = makeProgress(process.stderr)
  progress.report(0, 100, `reading ${options.file === "-" ? "standard input" : options.file}`)
  const { problems, rows, unit, warnings } = yield* Effect.onExit(read(options), () => Effect.sync(progress.end))
  const found = yield* answer(handlers, sources, {
    kind: "admin",
    name: "import_domains",
    args: { rows, problems, dry_run: options.dryRun, skip_bad: options.skipBad },
    timeout: options.timeout * 1_000,
    progress: progress.report
  }).pipe(Effect.onExit(() => Effect.sync(progress.end)))
  const result = found as unknown as ImportAnswer
  const refused = result.outcome === "refused"
  for (const warning of [...warnings, ...result.warnings]) process.stderr.write(`haproxy-mcp: ${warning}\n`)
  if (result.problem_count > 0) {
    const heading = refused ? result.summary : `${result.bad} bad rows`
    process.stderr.write(`haproxy-mcp: ${heading}\n${listText(unit, result)}`)
    if (refused) process.stderr.write("haproxy-mcp: --skip-bad imports the other rows\n")
  }
  if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  else if (!refused) process.stdout.write(summaryText(result, (performance.now() - began) / 1_000))
  if (refused) return yield* new Ended({ code: exitCodes.failed })
})
