/** Many callers at once: how many calls end per second, and what they cost. */
import { processorTime } from "./Children.ts"

/** Runs `calls` calls by `callers` callers that each wait for their own answer; answers calls per second. */
export const rateOf = async (
  callers: number,
  calls: number,
  call: (caller: number, index: number) => Promise<unknown>
): Promise<number> => {
  let next = 0
  const began = performance.now()
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    while (next < calls) await call(caller, next++)
  }))
  return calls / (performance.now() - began) * 1000
}

/** A load with the processor time that a process used for each of its calls, which other programs do not disturb. */
export const withProcessorTime = (pid: number, calls: number, load: () => Promise<number>) => {
  const costs: Array<number> = []
  return {
    /** Milliseconds per call, load by load. */
    costs,
    run: async () => {
      const before = processorTime(pid)
      const rate = await load()
      costs.push((processorTime(pid) - before) / calls)
      return rate
    }
  }
}

/** Rounds that say enough where the time is up. */
const fewestRounds = 3

/** Runs sides in turn, `rounds` times, or until `limit` milliseconds have passed; answers the rates of each. */
export const ratesInTurn = async <K extends string>(
  rounds: number,
  sides: { readonly [P in K]: () => Promise<number> },
  limit = Infinity
): Promise<{ readonly [P in K]: ReadonlyArray<number> }> => {
  const names = Object.keys(sides) as Array<K>
  const rates = Object.fromEntries(names.map((name) => [name, [] as Array<number>])) as Record<K, Array<number>>
  const end = performance.now() + limit
  for (let round = 0; round < rounds && (round < fewestRounds || performance.now() < end); round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]!
      rates[name].push(await sides[name]())
    }
  }
  return rates
}
