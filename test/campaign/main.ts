/**
 * `npm run campaign`: the long form of the fault tests. Runs each campaign over all cores, prints how far it is, and
 * ends with 1 when a promise was broken (or with --plant: when the planted bug was not caught), 2 when it could not
 * run or did not see what it must.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { haproxyLines } from "../../scripts/haproxy.ts"
import { addTally, type Campaign } from "./Campaign.ts"
import { campaigns } from "./Campaigns.ts"
import { Crew } from "./Crew.ts"
import { help, type Options, read, unitsOf } from "./Options.ts"
import { caught, plants } from "./Plant.ts"
import { type Broken, lineOf, markdown, progress, repeat, type Report, type Result } from "./Report.ts"

const root = join(import.meta.dirname, "..", "..")
const perCase = (name: string) => campaigns.find((campaign) => campaign.name === name)!.perCase
const say = (text: string) => process.stdout.write(`${text}\n`)

/** Says how far it is: on a terminal often and on one line, elsewhere now and then. */
const watch = (text: () => string): () => void => {
  const { isTTY } = process.stdout
  const timer = setInterval(
    () => process.stdout.write(isTTY ? `\r\u001b[2K${text()}` : `${text()}\n`),
    isTTY ? 500 : 15_000
  )
  return () => {
    clearInterval(timer)
    if (isTTY) process.stdout.write("\r\u001b[2K")
  }
}

const counting = function*(from: number, count: number): Generator<number> {
  for (let n = 0; n < count; n++) yield from + n
}

/** Handed out at a time: enough that the wait for the slowest of them is short, few enough to stop soon. */
const chunkOf = (campaign: Campaign, cases: number, workers: number) =>
  Math.max(1, Math.min(6 * campaign.concurrency, Math.ceil(cases / (4 * workers))))

interface Place {
  onCase: (seed: number, verdict: Parameters<ConstructorParameters<typeof Crew>[1]>[1]) => void
}

const runOne = async (crew: Crew, place: Place, campaign: Campaign, options: Options, end: number): Promise<Result> => {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const table = campaign.table === undefined ? null : await Effect.runPromise(campaign.table)
  const units = unitsOf(options, campaign, table)
  const cases = Math.ceil(units / campaign.perCase)
  // A table begins with its first entry, unless one of them is to be repeated.
  const firstSeed = table !== null && (options.count === null || options.seed >= table) ? 0 : options.seed
  const tally = new Map<string, number>()
  const broken: Array<Broken> = []
  let done = 0
  place.onCase = (seed, verdict) => {
    done++
    if (verdict._tag === "Held") return addTally(tally, verdict.tally)
    broken.push({ seed, message: verdict.message })
    say(
      `\n${campaign.name}: BROKEN PROMISE, seed ${seed}\n${verdict.message.slice(0, 4_000)}\n${
        repeat(campaign.name, seed, campaign.perCase)
      }\n`
    )
    return undefined
  }
  const asked = cases * campaign.perCase
  const stopWatching = watch(() =>
    progress(campaign.name, campaign.unit, done * campaign.perCase, asked, seconds(), broken.length)
  )
  const stop = () => performance.now() > end || (options.first && broken.length > 0)
  const work = { campaign: campaign.name, first: options.first }
  await crew.work(work, counting(firstSeed, cases), chunkOf(campaign, cases, options.workers), stop)
  stopWatching()
  const together = done === 0 ? null : campaign.holds?.(Object.fromEntries(tally)) ?? null
  if (together !== null) {
    broken.push({ seed: firstSeed, message: together })
    say(`\n${campaign.name}: BROKEN PROMISE of all cases together: ${together}\n`)
  }
  const { mustSee, name, title, unit } = campaign
  const whole = asked >= campaign.full && !options.short && done === cases && options.count === null &&
    options.scale >= 1
  const missing = whole ? mustSee.filter((what) => (tally.get(what) ?? 0) === 0) : []
  const result: Result = {
    name,
    title,
    unit,
    firstSeed,
    asked,
    done: done * campaign.perCase,
    seconds: seconds(),
    tally: Object.fromEntries(tally),
    broken,
    missing
  }
  say(lineOf(result))
  if (missing.length > 0) say(`  it never saw: ${missing.join(", ")}`)
  return result
}

const runAll = async (options: Options): Promise<number> => {
  const began = performance.now()
  const startedAt = new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC"
  const place: Place = { onCase: () => {} }
  const crew = new Crew(options.workers, (seed, verdict) => place.onCase(seed, verdict))
  let stopped = false
  const stop = () => {
    if (stopped) return
    stopped = true
    void crew.end().then(() => process.exit(130))
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  const results: Array<Result> = []
  try {
    await crew.ready()
    const chosen = campaigns.filter(({ canRun, name }) => options.only.includes(name) && (canRun?.() ?? true))
    for (const [index, campaign] of chosen.entries()) {
      // Time that is short is short for all: each gets its part of what is left.
      const left = began + options.minutes * 60_000 - performance.now()
      const budgets = chosen.slice(index).reduce((sum, { minutes }) => sum + minutes, 0)
      const end = performance.now() + left * campaign.minutes / budgets
      results.push(await runOne(crew, place, campaign, options, end))
      if (options.first && results.at(-1)!.broken.length > 0) break
    }
  } finally {
    await crew.end()
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string }
  const report: Report = {
    startedAt,
    seconds: (performance.now() - began) / 1000,
    seed: options.seed,
    workers: options.workers,
    version,
    haproxy: (await haproxyLines()).map((binary) => binary.version),
    results
  }
  const folder = options.results
  mkdirSync(folder, { recursive: true })
  const text = markdown(report, perCase)
  writeFileSync(join(folder, "last.json"), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(folder, "last.md"), text)
  if (options.reference) {
    const file = join(root, "docs", "campaign-results.md")
    writeFileSync(file, text)
    spawnSync(join(root, "node_modules", ".bin", "dprint"), ["fmt", file], { cwd: root, stdio: "ignore" })
  }
  say(`results: ${join(folder, "last.md")} and last.json`)
  if (results.some(({ broken }) => broken.length > 0)) return 1
  return results.some(({ done, missing }) => missing.length > 0 || done === 0) ? 2 : 0
}

const plantOne = async (options: Options): Promise<number> => {
  const plant = plants.find(({ name }) => name === options.plant)!
  say(`planted: ${plant.what} (${plant.file})`)
  const args = ["--short", "--seed", String(options.seed), "--workers", String(options.workers)]
  const found = await caught(plant, options.count === null ? args : [...args, "--count", String(options.count)])
  const again = `npm run campaign -- --plant ${plant.name} --seed ${options.seed}`
  say(found ? `caught: ${plant.name}, by the campaign ${plant.campaign}; again: ${again}` : `NOT CAUGHT: ${plant.name}`)
  return found ? 0 : 1
}

const main = async (): Promise<number> => {
  const options = read(process.argv.slice(2), campaigns)
  if (options === null) {
    process.stdout.write(help(campaigns))
    return 0
  }
  return options.plant === null ? runAll(options) : plantOne(options)
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return 2
})
process.exit()
