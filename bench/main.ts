/**
 * `npm run bench`: how fast it is, against floors and peers in the same run on the same machine, as ratios.
 *
 * Runs rows one after the other, prints each as it is done, and ends with how many targets were met. A missed target
 * is a finding, not a failure: the exit code is 1 only when a row could not be run to its end. Everything listens on
 * loopback, lives in one folder, and is gone at the end.
 */
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { parseArgs } from "node:util"
import { ensureHaproxy, haproxyLines } from "../scripts/haproxy.ts"
import { describeMachine } from "./Machine.ts"
import { makeProfiler, noProfiler } from "./Profile.ts"
import { writeReference } from "./Reference.ts"
import { machineText, type Report, type RowReport, rowText, verdictLine } from "./Report.ts"
import { type Bench, type Row, Skipped } from "./Row.ts"
import { makeScratch } from "./Scratch.ts"

const usage = (names: ReadonlyArray<string>) =>
  `usage: npm run bench -- [--quick] [--only ROW]… [--json FILE] [--reference] [--profile ROW]
  --quick        fewer samples: under 90 s, and coarser
  --only ROW     only this row, or all whose names begin with it (certificates); may be repeated
  --json FILE    write the results as JSON, too
  --reference    write the results as the reference run of docs/benchmarks.md
  --profile ROW  run only this row and record where its time goes (bench/results/*.cpuprofile)
rows: ${names.join(", ")}`

/** No row takes longer than this, in milliseconds; one that does is a failure. */
const rowLimit = 10 * 60_000

const say = (text: string) => process.stderr.write(`· ${text}\n`)

const commit = (): string | null => {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim()
  } catch {
    return null
  }
}

/** Aborted by the first signal: the row that runs is interrupted, and everything that it started is ended. */
const interrupted = new AbortController()

const runRow = async (row: Row, bench: Bench): Promise<RowReport> => {
  const began = performance.now()
  const report = (rest: Partial<RowReport>): RowReport => ({
    row: row.name,
    title: row.title,
    seconds: (performance.now() - began) / 1000,
    measurements: [],
    ...rest
  })
  try {
    const program = Effect.scoped(row.run(bench)).pipe(Effect.timeout(rowLimit))
    const { signal } = interrupted
    return report({
      measurements: await Effect.runPromise(program as Effect.Effect<RowReport["measurements"]>, { signal })
    })
  } catch (cause) {
    if (cause instanceof Skipped) return report({ skipped: cause.message })
    return report({ failed: cause instanceof Error ? cause.stack ?? cause.message : String(cause) })
  }
}

const newestHaproxy = async () => {
  const cached = (await haproxyLines()).at(-1)
  if (cached !== undefined) return cached
  const { lines, missing } = await ensureHaproxy(["3.4"])
  const found = lines[0] ?? (await haproxyLines()).at(-1)
  if (found === undefined) throw new Error(`no HAProxy can be had: ${missing[0]?.reason ?? ""}`)
  return found
}

const main = async (): Promise<number> => {
  const haproxy = await newestHaproxy()
  // After HAProxy is there: the test support looks for it when it is loaded.
  const { rows } = await import("./rows.ts")
  const names = rows.map(({ name }) => name)
  let options
  try {
    options = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        json: { type: "string" },
        reference: { type: "boolean", default: false },
        profile: { type: "string" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (cause) {
    console.error(`${(cause as Error).message}\n${usage(names)}`)
    return 2
  }
  if (options.help) {
    console.log(usage(names))
    return 0
  }
  const asked = options.profile === undefined ? options.only.flatMap((text) => text.split(",")) : [options.profile]
  const meant = (text: string) => names.includes(text) ? [text] : names.filter((name) => name.startsWith(`${text}-`))
  const wanted = asked.flatMap(meant)
  const unknown = asked.filter((text) => meant(text).length === 0)
  if (unknown.length > 0) {
    console.error(`no such row: ${unknown.join(", ")}\n${usage(names)}`)
    return 2
  }
  const scratch = makeScratch()
  try {
    const machine = describeMachine(scratch.folder, haproxy)
    console.log(machineText(machine))
    const bench: Bench = {
      quick: options.quick,
      haproxy,
      folder: scratch.folder,
      say,
      profiler: options.profile === undefined ? noProfiler : makeProfiler("bench/results", (text) => console.log(text))
    }
    const reports: Array<RowReport> = []
    for (const row of rows.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
      if (interrupted.signal.aborted) break
      const report = await runRow(row, bench)
      reports.push(report)
      console.log(rowText(report))
    }
    const report: Report = {
      at: new Date().toISOString(),
      quick: options.quick,
      commit: commit(),
      machine,
      rows: reports
    }
    if (interrupted.signal.aborted) return 130
    console.log(`\n${verdictLine(report)}`)
    if (options.json !== undefined) {
      mkdirSync(dirname(options.json), { recursive: true })
      writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
    }
    if (options.reference) writeReference(report)
    return reports.some(({ failed }) => failed !== undefined) ? 1 : 0
  } finally {
    scratch.remove()
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort())
process.exit(await main())
