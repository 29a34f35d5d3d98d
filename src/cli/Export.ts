/**
 * `haproxy-mcp export`: all domains as a file that `import` takes, of one revision, to standard output or a file. A file
 * that is there is kept unless it may be replaced, and then it is replaced whole.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { linkSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import type { Sources } from "../Config.ts"
import { Conflict, StorageFailed } from "../domain/Errors.ts"
import { columns } from "../program/import/Row.ts"
import { formatServers } from "../program/import/ServerText.ts"
import type { ExportAnswer, ExportedRow } from "../program/import/Shapes.ts"
import type { Handlers } from "./Handlers.ts"
import type { Format } from "./rows/Rows.ts"
import { answer } from "./Verb.ts"

export interface ExportOptions {
  /** Null: standard output. */
  readonly output: string | null
  /** Null: by the name of the file, else CSV. */
  readonly format: Format | null
  readonly force: boolean
  /** Seconds. */
  readonly timeout: number
}

/** No field holds a comma or a quote: names, numbers and servers have none. */
const csvLine = ({ domain, pool, servers, shares_with, wildcard }: ExportedRow): string =>
  `${domain},${pool ?? ""},${shares_with ?? ""},${wildcard === undefined ? "" : wildcard ? "yes" : "no"},${
    formatServers(servers)
  }\n`

/** An object without what is not there, one on each line. */
const jsonLine = ({ domain, pool, servers, shares_with, wildcard }: ExportedRow): string =>
  JSON.stringify({
    domain,
    ...(pool === null ? {} : { pool }),
    ...(shares_with === null ? {} : { shares_with }),
    ...(wildcard === undefined ? {} : { wildcard }),
    ...(servers.length === 0 ? {} : { servers })
  })

/** The text of an export. */
export const exportText = (format: Format, rows: ReadonlyArray<ExportedRow>): string =>
  format === "csv"
    ? `${columns.join(",")}\n${rows.map(csvLine).join("")}`
    : rows.length === 0
    ? "[]\n"
    : `[\n${rows.map(jsonLine).join(",\n")}\n]\n`

const writeFile = (file: string, text: string, force: boolean) =>
  Effect.try({
    try: () => {
      const draft = `${file}.${randomUUID().slice(0, 8)}.tmp`
      try {
        writeFileSync(draft, text, { flag: "wx", mode: 0o644, flush: true })
        if (force) renameSync(draft, file)
        else linkSync(draft, file)
      } finally {
        rmSync(draft, { force: true })
      }
    },
    catch: (error) => {
      const code = (error as NodeJS.ErrnoException).code ?? "unknown"
      return code === "EEXIST"
        ? new Conflict({ message: `${file} is there already`, hint: "Name another file, or replace it with --force." })
        : new StorageFailed({
          message: `${file} cannot be written (${code})`,
          hint: "Name a file in a folder of yours."
        })
    }
  })

/** To the reader's end: a pipe that closes early (`| head`) is no failure. */
const writeOut = (text: string) =>
  Effect.promise(async () => {
    const gone = once(process.stdout, "error")
    await Promise.race([gone, new Promise<void>((done) => process.stdout.write(text, () => done()))])
  })

/** Exports all domains. */
export const runExport = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: ExportOptions
) {
  const found = yield* answer(handlers, sources, {
    kind: "admin",
    name: "export_domains",
    args: {},
    timeout: options.timeout * 1_000
  })
  const { rows, summary } = found as unknown as ExportAnswer
  const { output } = options
  const text = exportText(options.format ?? (output !== null && /\.json$/i.test(output) ? "json" : "csv"), rows)
  if (output === null) yield* writeOut(text)
  else yield* writeFile(resolve(output), text, options.force)
  process.stderr.write(`haproxy-mcp: ${summary}${output === null ? "" : ` written to ${output}`}\n`)
})
