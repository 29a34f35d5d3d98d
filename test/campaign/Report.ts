/** The results of a campaign: as JSON and Markdown, and the lines that are printed while it runs. */
import { arch, cpus, totalmem } from "node:os"

export interface Broken {
  readonly seed: number
  readonly message: string
}

/** What became of one campaign. */
export interface Result {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly firstSeed: number
  readonly asked: number
  readonly done: number
  readonly seconds: number
  readonly tally: Readonly<Record<string, number>>
  readonly broken: ReadonlyArray<Broken>
  /** Of what must occur, what did not (only asked in a run of full length). */
  readonly missing: ReadonlyArray<string>
}

export interface Report {
  readonly startedAt: string
  readonly seconds: number
  readonly seed: number
  readonly workers: number
  readonly version: string
  readonly haproxy: ReadonlyArray<string>
  readonly results: ReadonlyArray<Result>
}

const clock = (seconds: number) =>
  seconds < 60 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`

const grouped = (value: number) => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

/** How to repeat one case. */
export const repeat = (name: string, seed: number, perCase: number): string =>
  `npm run campaign -- --only ${name} --seed ${seed} --count ${perCase} --workers 1`

/** The progress line. */
export const progress = (name: string, unit: string, done: number, asked: number, seconds: number, broken: number) => {
  const rate = done / Math.max(seconds, 0.001)
  const left = done === 0 ? "?" : clock((asked - done) / rate)
  const trouble = broken === 0 ? "" : `, ${broken} BROKEN`
  return `${name}: ${grouped(done)} of ${grouped(asked)} ${unit}, ${rate.toFixed(1)} per second, ${left} left${trouble}`
}

const tallyText = (tally: Readonly<Record<string, number>>) =>
  Object.entries(tally).sort(([, a], [, b]) => b - a).map(([what, times]) => `${grouped(times)} ${what}`).join(", ")

/** One line for each campaign, for the end of the run. */
export const lineOf = ({ asked, broken, done, name, seconds, unit }: Result): string =>
  `${name}: ${grouped(done)} ${unit} in ${clock(seconds)}, ${
    done === 0 ? "NOT RUN" : broken.length === 0 ? "every promise held" : `${broken.length} broken promises`
  }${done < asked ? ` (cut short: ${grouped(asked)} were asked for)` : ""}`

/** The report as Markdown. */
export const markdown = (report: Report, perCase: (name: string) => number): string => {
  const total = report.results.reduce((sum, { broken }) => sum + broken.length, 0)
  const lines = [
    "# Results of the fault campaigns",
    "",
    "Written by `npm run campaign -- --reference`; see testing.md for what each campaign does.",
    "",
    `Run on ${report.startedAt}, ${
      clock(report.seconds)
    }, first seed ${report.seed}, ${report.workers} workers, version ${report.version}, HAProxy ${
      report.haproxy.join(", ")
    }, ${cpus().length} cores (${arch()}), ${Math.round(totalmem() / 2 ** 30)} GB.`,
    "",
    total === 0 ? "No promise was broken in what was done." : `**${total} promises were broken**; see below.`,
    "",
    "| campaign | done | took | seeds | broken promises |",
    "| --- | --- | --- | --- | --- |",
    ...report.results.map((result) => {
      const cases = Math.max(1, Math.ceil(result.done / perCase(result.name)))
      return `| ${result.name} | ${grouped(result.done)} ${result.unit}${
        result.done < result.asked ? ` of ${grouped(result.asked)}` : ""
      } | ${clock(result.seconds)} | ${result.firstSeed} to ${result.firstSeed + cases - 1} | ${result.broken.length} |`
    }),
    "",
    "What was seen:",
    "",
    ...report.results.map(({ name, tally, title }) => `- ${name} (${title}): ${tallyText(tally)}`),
    ""
  ]
  for (const { broken, missing, name } of report.results) {
    if (missing.length > 0) lines.push(`${name} never saw: ${missing.join(", ")}.`, "")
    for (const { message, seed } of broken) {
      lines.push(
        `## ${name}, seed ${seed}`,
        "",
        `\`${repeat(name, seed, perCase(name))}\``,
        "",
        "```",
        message.slice(0, 4_000),
        "```",
        ""
      )
    }
  }
  return lines.join("\n")
}
