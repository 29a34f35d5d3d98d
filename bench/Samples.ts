/**
 * Durations and what is said of them. Sides that are compared are sampled in turn, one of each, so that noise of the
 * machine hits all of them; a ratio is taken per round and the median of the rounds is what counts.
 */

/** Milliseconds, in the order in which they were taken. */
export type Durations = ReadonlyArray<number>

/** The value below which the share `q` of them lies (nearest rank). */
export const quantile = (values: Durations, q: number): number => {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!
}

/** The middle one. */
export const median = (values: Durations): number => quantile(values, 0.5)

/** Milliseconds that something took. */
export const timed = async (run: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await run()
  return performance.now() - began
}

/** Rounds of samples of several sides. */
export type Rounds<K extends string> = ReadonlyArray<{ readonly [P in K]: Durations }>

/**
 * Takes `samples` of every side in each of `rounds`, one of each side in turn; the side that begins changes from
 * turn to turn. A side answers its own milliseconds, so that what it must tidy up afterwards does not count.
 */
export const interleave = async <K extends string>(
  size: { readonly rounds: number; readonly samples: number },
  sides: { readonly [P in K]: () => Promise<number> }
): Promise<Rounds<K>> => {
  const names = Object.keys(sides) as Array<K>
  const all: Array<Record<K, Array<number>>> = []
  for (let round = 0; round < size.rounds; round++) {
    const taken = Object.fromEntries(names.map((name) => [name, [] as Array<number>])) as Record<K, Array<number>>
    for (let sample = 0; sample < size.samples; sample++) {
      for (let turn = 0; turn < names.length; turn++) {
        const name = names[(turn + sample) % names.length]!
        taken[name].push(await sides[name]())
      }
    }
    all.push(taken)
  }
  return all
}

/** All samples of one side. */
export const pool = <K extends string>(rounds: Rounds<K>, side: K): Durations => rounds.flatMap((round) => round[side])

/** A ratio with the lowest and the highest round. */
export interface Ratio {
  readonly value: number
  readonly lowest: number
  readonly highest: number
}

/** The median of ratios that rounds gave. */
export const ratioOf = (perRound: Durations): Ratio => ({
  value: median(perRound),
  lowest: Math.min(...perRound),
  highest: Math.max(...perRound)
})
