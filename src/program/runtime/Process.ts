/** The verbs on HAProxy's process: what it says of itself, its counters, its commands, and whether it answers. */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import * as Process from "../../haproxy/ProcessCommands.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import type { ProgramServices } from "../Services.ts"
import { page, type RowsInput } from "./Rows.ts"
import { absent, asWriter, endBeforeTelling, notSo, requireCommand, tell } from "./Telling.ts"

/** What can be shown of the process. */
export const sections = ["info", "activity", "memory_pools"] as const

interface Paged {
  readonly total: number
  readonly next_cursor: string | null
}

export interface ProcessInput extends RowsInput {
  readonly section?: typeof sections[number]
  readonly search?: string
}

export interface ProcessAnswer extends Answer, Paged {
  readonly version: string
  readonly section: typeof sections[number]
  readonly values: ReadonlyArray<Process.Fact>
}

const searchOf = (search: string | undefined) =>
  search === undefined ? Effect.succeed(undefined) : Input.search("search", search)

const poolFact = ({ allocated, bytes, failures, name, size, used }: Process.MemoryPool): Process.Fact => ({
  name,
  value: `${bytes} bytes: ${allocated} of ${size} allocated, ${used} used, ${failures} failures`
})

/** `show info`, `show activity` or `show pools`, searched by name. */
export const showProcess = Tracing.fn("showProcess")(function*(
  input: ProcessInput
): Effect.fn.Return<ProcessAnswer, ControlError, RuntimeApi> {
  const section = input.section ?? "info"
  const search = yield* searchOf(input.search)
  const info = yield* inTime(ask(Process.info))
  const all = section === "info"
    ? info
    : section === "activity"
    ? yield* inTime(ask(Process.activity))
    : (yield* inTime(ask(Process.memoryPools))).map(poolFact)
  const found = search === undefined ? all : all.filter(({ name }) => name.toLowerCase().includes(search))
  const { next_cursor, rows, total } = yield* page(found, input)
  const version = info.find(({ name }) => name === "Version")?.value ?? ""
  return {
    summary: `HAProxy ${version}: ${rows.length} of ${total} values of ${section.replace("_", " ")}`,
    version,
    section,
    values: rows,
    total,
    next_cursor
  }
})

export interface CountersInput extends RowsInput {
  readonly proxy: string
  readonly name?: string
  readonly search?: string
}

export interface CountersAnswer extends Answer, Paged {
  readonly rows: ReadonlyArray<Stats.CounterRow>
}

/** Every number that HAProxy counts of a frontend or backend and its servers, those that are 0 left out. */
export const showCounters = Tracing.fn("showCounters")(function*(
  input: CountersInput
): Effect.fn.Return<CountersAnswer, ControlError, RuntimeApi> {
  const proxy = yield* Input.proxyName("proxy", input.proxy)
  const name = input.name === undefined ? undefined : yield* Input.proxyName("name", input.name)
  const search = yield* searchOf(input.search)
  const all = yield* inTime(ask(Stats.counters(proxy)))
  if (all === null) {
    const known = yield* inTime(ask(Stats.show({ kinds: ["frontend", "backend"] })))
    return yield* absent(
      "frontend or backend",
      "proxy",
      proxy,
      [...new Set(known.map((row) => row.proxy))],
      "haproxy_backends"
    )
  }
  const named = name === undefined ? all : all.filter((row) => row.name === name)
  const found = search === undefined ? named : named.map((row) => ({
    ...row,
    counters: Object.fromEntries(Object.entries(row.counters).filter(([counter]) => counter.includes(search)))
  }))
  const { next_cursor, rows, total } = yield* page(found, input)
  return { summary: `Counters of ${rows.length} of ${total} parts of ${proxy}`, rows, total, next_cursor }
})

export interface ClearCountersAnswer extends Answer {
  readonly changed: boolean
  readonly all: boolean
  readonly sessions_before: number
  readonly sessions_after: number
}

/** Sessions of all frontends since the counters began, and their highest numbers at once. */
const counted = Effect.gen(function*() {
  const rows = yield* ask(Stats.show({ kinds: ["frontend"] }))
  return {
    total: rows.reduce((sum, row) => sum + row.totalSessions, 0),
    excess: rows.reduce((sum, row) => sum + Math.max(0, row.maxSessions - row.currentSessions), 0)
  }
})

/** Starts the maxima anew, with `all` every counter. Read back on the frontends. */
export const clearCounters = asWriter(
  Tracing.fn("clearCounters")(function*(
    input: { readonly all?: boolean }
  ): Effect.fn.Return<ClearCountersAnswer, ControlError, ProgramServices> {
    const all = input.all ?? false
    const before = yield* inTime(counted)
    const clear = Process.clearCounters(all)
    yield* endBeforeTelling({
      summary: all ? "All counters start at 0 again" : "The maxima start anew; totals go on",
      commands: [clear],
      now: { all, sessions_before: before.total }
    })
    yield* tell(clear)
    const after = yield* inTime(counted)
    // New sessions may have come meanwhile, but never as many as there had been.
    if (all ? before.total > 0 && after.total >= before.total : after.excess > 0 && after.excess >= before.excess) {
      return yield* notSo("its counters are as before")
    }
    return {
      summary: all ? "All counters start at 0 again" : "The maxima start anew; totals go on",
      changed: true,
      all,
      sessions_before: before.total,
      sessions_after: after.total
    }
  })
)

export interface HelpAnswer extends Answer, Paged {
  readonly commands: ReadonlyArray<Process.KnownCommand>
}

/** The commands that this HAProxy knows. */
export const runtimeHelp = Tracing.fn("runtimeHelp")(function*(
  input: RowsInput & { readonly search?: string }
): Effect.fn.Return<HelpAnswer, ControlError, RuntimeApi> {
  const search = yield* searchOf(input.search)
  const all = yield* inTime(ask(Process.help))
  const found = search === undefined
    ? all
    : all.filter(({ meaning, usage }) => `${usage} ${meaning}`.toLowerCase().includes(search))
  const { next_cursor, rows, total } = yield* page(found, input)
  return { summary: `${rows.length} of ${total} commands of the Runtime API`, commands: rows, total, next_cursor }
})

/** Words of a command are at most 64, `echo` among them. */
const mostEchoed = 60

/** Says a text through HAProxy and back: 3.2 and later. */
export const echo = Tracing.fn("echo")(function*(
  input: { readonly text: string }
): Effect.fn.Return<Answer & { readonly text: string; readonly ms: number }, ControlError, RuntimeApi> {
  const words = input.text.split(" ").filter((one) => one !== "")
  if (words.length === 0 || words.length > mostEchoed) {
    return yield* new InvalidInput({
      message: `text has ${words.length} words`,
      hint: `Give 1 to ${mostEchoed} words.`,
      field: "text"
    })
  }
  for (const one of words) yield* RuntimeInput.word("text", one)
  yield* requireCommand("echo", "3.2")
  const began = performance.now()
  const text = yield* inTime(ask(Process.echo(words)))
  const ms = Math.round((performance.now() - began) * 100) / 100
  return { summary: `HAProxy answers in ${ms} ms`, text, ms }
})
