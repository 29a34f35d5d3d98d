/** The command line of the campaign. */
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import type { Campaign } from "./Campaign.ts"
import { plants } from "./Plant.ts"

export interface Options {
  readonly only: ReadonlyArray<string>
  readonly seed: number
  readonly short: boolean
  /** Units instead of each campaign's own number. */
  readonly count: number | null
  readonly scale: number
  readonly minutes: number
  readonly workers: number
  /** Stop at the first broken promise. */
  readonly first: boolean
  readonly reference: boolean
  readonly plant: string | null
  /** Where the results are written. */
  readonly results: string
}

export const help = (campaigns: ReadonlyArray<Campaign>): string =>
  `npm run campaign -- [options]

  --only a,b      these campaigns: ${campaigns.map(({ name }) => name).join(", ")}
  --short         the short form
  --count N       N units of each campaign; --scale X: X times its own number
  --seed N        the first seed (default: from the clock)
  --minutes M     ends after M minutes, with what has been done (default 60)
  --workers N     processes (default: one for each core, ${availableParallelism()})
  --first         ends at the first broken promise
  --results DIR   where to write last.md and last.json (default: the cache folder)
  --reference     writes docs/campaign-results.md
  --plant NAME    builds a bug into a copy of the sources; a campaign must catch it: ${
    plants.map(({ name }) => name).join(", ")
  }
`

const number = (name: string, text: string | undefined): number | null => {
  if (text === undefined) return null
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${text}`)
  return value
}

/** Reads the arguments; throws with what is wrong. Null: help is wanted. */
export const read = (args: ReadonlyArray<string>, campaigns: ReadonlyArray<Campaign>): Options | null => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      short: { type: "boolean", default: false },
      count: { type: "string" },
      scale: { type: "string" },
      seed: { type: "string" },
      minutes: { type: "string" },
      workers: { type: "string" },
      first: { type: "boolean", default: false },
      reference: { type: "boolean", default: false },
      plant: { type: "string" },
      results: { type: "string" },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  if (values.help) return null
  const names = campaigns.map(({ name }) => name)
  const only = values.only === undefined ? names : values.only.split(",").map((name) => name.trim())
  const unknown = only.filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new Error(`no campaign ${unknown.join(", ")}; there are ${names.join(", ")}`)
  const plant = values.plant ?? null
  if (plant !== null && !plants.some(({ name }) => name === plant)) {
    throw new Error(`no bug ${plant} to plant; there are ${plants.map(({ name }) => name).join(", ")}`)
  }
  return {
    only,
    seed: number("seed", values.seed) ?? Math.floor(Date.now() / 1000) % 1_000_000_000,
    short: values.short,
    count: number("count", values.count),
    scale: number("scale", values.scale) ?? 1,
    minutes: number("minutes", values.minutes) ?? 60,
    workers: Math.max(1, number("workers", values.workers) ?? availableParallelism()),
    first: values.first,
    reference: values.reference,
    plant,
    results: values.results ?? join(cacheFolder(), "campaign")
  }
}

/** Units of a campaign that are asked for; `table`: how many there are where they can be listed. */
export const unitsOf = (options: Options, campaign: Campaign, table: number | null): number => {
  if (options.count !== null) return Math.min(options.count, table ?? Infinity)
  const own = table === null ? (options.short ? campaign.short : campaign.full) : table
  return Math.max(1, Math.round(own * options.scale))
}
