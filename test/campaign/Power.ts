/**
 * Power cuts. `kill -9` leaves the page cache alone, so it cannot tell whether anything was flushed. Here a control
 * plane writes under strace; from its system calls the disk is rebuilt as it may be found when the power goes, at
 * every moment (power/Disk.ts), and opened again. Every answer given before that moment must be found: the desired
 * state in the database, and the files that HAProxy alone would start from, whole.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Store } from "../../src/store/Store.ts"
import { Dice } from "../program/Verbs.model.ts"
import { dumpDesired, dumpFiles } from "../support/Dump.ts"
import { makeFakeWorld } from "../support/FakeWorld.ts"
import { memoryFolder } from "../support/MemoryFolder.ts"
import { strace } from "../support/Strace.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { Disk, type Luck } from "./power/Disk.ts"
import { calls, Reader } from "./power/Strace.ts"
import { type Told, toldMark } from "./power/Told.ts"

const script = join(import.meta.dirname, "power", "child.ts")
const shape = { pools: 5, slots: 3 }
const writes = 20
/** One in so many system calls in the middle of a write is followed by a look, beside those right after an answer. */
const oneIn = 4

type State = Extract<Told, { readonly _tag: "State" }>

/** Runs the child under strace; answers strace's log. */
const record = (strace: string, log: string, args: ReadonlyArray<string>) =>
  Effect.callback<void>((resume) => {
    const options = [
      "-f",
      "-qq",
      "-xx",
      "-s",
      "100000000",
      "-e",
      "signal=none",
      "-e",
      `trace=${calls.join(",")}`,
      "-o",
      log
    ]
    const child = spawn(strace, ["--seccomp-bpf", ...options, process.execPath, script, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, UV_USE_IO_URING: "0" }
    })
    let errors = ""
    child.stderr.on("data", (part) => errors = (errors + String(part)).slice(-4_000))
    child.once("error", (error) => resume(Effect.die(error)))
    child.once("close", (code) =>
      resume(code === 0 ? Effect.void : Effect.die(new Error(`the writing process ended with ${code}: ${errors}`))))
    return Effect.sync(() =>
      child.kill("SIGKILL")
    )
  })

/** A moment at which the power may go. */
interface Moment {
  readonly found: ReadonlyMap<string, Buffer>
  readonly luck: string
  /** How many lines of the log had passed. */
  readonly line: number
  /** The last answer, and the write that was under way. */
  readonly answered: State | null
  readonly begun: string | null
}

/** Follows a log; answers the moments, each with what may come of it. */
const momentsOf = (log: string, disk: Disk, dice: Dice): ReadonlyArray<Moment> => {
  const found: Array<Moment> = []
  const reader = new Reader(disk.tracked)
  let answered: State | null = null
  let begun: string | null = null
  const byChance: Luck = (bound) => dice.next(bound)
  const lucks: ReadonlyArray<readonly [string, Luck]> = [
    ["nothing uncertain is there", "none"],
    ["all is there", "all"],
    ["what is there, is there by chance", byChance],
    ["names without bytes", "names"],
    ["bytes without names", "bytes"]
  ]
  const look = (line: number, [luck, how]: readonly [string, Luck]) =>
    found.push({ found: disk.cut(how), luck: disk.uncertain ? luck : "all is certain", line, answered, begun })
  log.split("\n").forEach((line, index) => {
    if (line === "") return
    const told = toldIn(line)
    if (told?._tag === "Begin") begun = told.step
    else if (told?._tag === "State") {
      answered = told
      begun = null
      for (const luck of lucks.slice(0, 3)) look(index, luck)
    }
    if (told !== null) return
    let moved = false
    for (const event of reader.read(line)) {
      disk.follow(event)
      moved = true
    }
    if (moved && dice.next(oneIn) === 0) look(index, dice.pick(lucks))
  })
  return found
}

const toldIn = (line: string): Told | null => {
  const match = /^\d+ +write\(1, "((?:\\x[0-9a-f]{2})*)"/.exec(line)
  if (match === null) return null
  const text = Buffer.from(match[1]!.replaceAll("\\x", ""), "hex").toString("utf8")
  return text.startsWith(toldMark) ? JSON.parse(text.slice(toldMark.length)) as Told : null
}

const hash = (bytes: Buffer | undefined) =>
  bytes === undefined ? null : createHash("sha256").update(bytes).digest("hex")

const desiredIn = (database: string) =>
  dumpDesired.pipe(Effect.provide(Store.layer({ file: database, pools: shape })), Effect.orDie)

/** Opens what a moment leaves and compares. `next`: the answer that came after it. */
const inspect = Effect.fnUntraced(function*(moment: Moment, next: State | null, seed: number) {
  const { answered, begun, found, line, luck } = moment
  const during = begun === null ? `after "${answered?.step ?? "nothing"}"` : `in the middle of "${begun}"`
  const note = `(seed ${seed}, power cut at call ${line} ${during}, ${luck})`
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(memoryFolder, "haproxy-mcp-cut-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  for (const [name, content] of found) writeFileSync(join(folder, name), content, { mode: 0o600 })
  const database = join(folder, "haproxy_mcp.db")
  // Before the first answer nothing is promised, but that a new start succeeds.
  const desired = yield* desiredIn(database).pipe(
    Effect.catchDefect((defect) => Effect.die(new Error(`the database does not open ${note}: ${String(defect)}`)))
  )
  if (answered === null) return
  const possible = begun === null || next === null ? [answered] : [answered, next]
  if (!possible.some((state) => state.desired === desired)) {
    assert.strictEqual(desired, answered.desired, `acknowledged, yet lost from the database ${note}`)
  }
  for (const [name, expected] of Object.entries(answered.files)) {
    const now = hash(found.get(name))
    if (possible.some(({ files }) => files[name] === now)) continue
    assert.strictEqual(
      found.get(name)?.toString("latin1") ?? null,
      expected,
      `${name} is not what was acknowledged ${note}`
    )
  }
  if (begun === null) {
    const files = yield* dumpFiles({
      domains: join(folder, "domains.map"),
      wildcards: join(folder, "wildcards.map"),
      pools: join(folder, "pools.cfg")
    })
    assert.strictEqual(
      files,
      answered.database.replace(/ drain \d+$/gm, " drain ?"),
      `the files are not the database ${note}`
    )
  }
})

const filesIn = (folder: string): ReadonlyMap<string, Buffer> =>
  new Map(
    readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile())
      .map(({ name }) => [name, readFileSync(join(folder, name))])
  )

const life = (tool: string, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const world = yield* makeFakeWorld(shape)
    const folder = dirname(world.plane.database)
    // The log and the socket lie elsewhere or do not count.
    const logs = yield* temporaryFolder("trace")
    const log = join(logs, "strace.log")
    mkdirSync(folder, { recursive: true })
    // Some lives begin with nothing at all, the others with what an earlier one left.
    if (dice.next(3) > 0) {
      yield* world.startPlane
      yield* world.stopPlane
    }
    const before = filesIn(folder)
    yield* record(tool, log, [String(seed), String(writes), JSON.stringify(world.plane)])
    const disk = new Disk(folder, before)
    const moments = momentsOf(readFileSync(log, "latin1"), disk, dice)
    const rebuilt = disk.cut("all")
    for (const [name, content] of filesIn(folder)) {
      assert.isTrue(rebuilt.get(name)?.equals(content), `${name} was not rebuilt as it is (seed ${seed})`)
    }
    const states = [...new Set(moments.flatMap(({ answered }) => answered ?? []))]
    assert.strictEqual(states.length, writes + 1, "the writing process did not tell all")
    const tally: Record<string, number> = { writes, "disk states": moments.length }
    const count = counting(tally)
    for (const moment of moments) {
      const next = states[states.indexOf(moment.answered!) + 1] ?? null
      yield* Effect.scoped(inspect(moment, next, seed))
      count(moment.begun === null ? "right after an answer" : "in the middle of a write")
      if (moment.luck !== "all is certain") count("something uncertain")
    }
    for (const { ending } of states) count(ending)
    return tally
  }).pipe(Effect.scoped)

export const power: Campaign = {
  name: "power",
  title: "the power goes at any moment: the disk rebuilt from the system calls holds every answer, and opens again",
  unit: "lives",
  perCase: 1,
  full: 100,
  short: 4,
  minutes: 4,
  concurrency: 2,
  limit: 120_000,
  inMemory: true,
  mustSee: ["done", "disk states", "right after an answer", "in the middle of a write", "something uncertain"],
  open: Effect.gen(function*() {
    const tool = yield* Effect.promise(() => strace())
    if (tool === null) return yield* Effect.die(new Error("power cuts need strace, and the right to trace a process"))
    return { run: (seed) => life(tool, seed) }
  })
}
