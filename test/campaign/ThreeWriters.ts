/**
 * Three control planes on one remote host, stopped and continued like the zombies of a cluster, killed now and then, and
 * told in turn to take over: at every time one of them writes. Each generation has one winner for ever, nothing that
 * anybody was told is lost, and those that lost answer FENCED and are not ready.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { makeFarSite } from "../lab/FarSite.ts"
import { labsWork } from "../lab/Lab.ts"
import { Dice } from "../program/Verbs.model.ts"
import { adminCall } from "../support/AdminCall.ts"
import { poll } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { Life, type Shipped, shipped } from "./Life.ts"
import { base, type Call, Gone, Writer } from "./Writers.ts"

const planes = 3
/** Of each control plane. */
const clients = 2
const rounds = 20
const writes = 4
const writeTime = 6
/** Milliseconds that a control plane may live: a case, and more. */
const lifeLimit = 300_000

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const chain = (program: Shipped, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const far = yield* makeFarSite({ binary: realLines[seed % realLines.length]! })
    const tally: Record<string, number> = {}
    const count = counting(tally)
    const disks = yield* Effect.forEach(Array.from({ length: planes }), () => temporaryFolder("pod"))
    const lives: Array<Life> = []
    yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all(lives.map((one) => one.kill()))))
    /** One that starts becomes the one that writes, also where its disk holds what never left before it was killed. */
    const start = async (index: number) => {
      lives[index] = new Life(program, { ...far.env(disks[index]!), MCP_CALL_TIMEOUT: "3s" }, lifeLimit)
      assert.isTrue(await lives[index]!.ready(), "a start becomes the one that writes")
    }
    /** One that just started may have no link yet. Whoever was told OK writes, and is not fenced again by the one before. */
    const takeOver = async (index: number, note: string) => {
      await poll(`a take-over ${note}`, async () => {
        const { code, text } = await adminCall(join(disks[index]!, "haproxy_mcp.sock"), "remote_take_over", {})
        if (code === "REMOTE_UNREACHABLE") return undefined
        assert.strictEqual(code, "OK", `${text} ${note}`)
        return true
      })
      await poll(`it is ready ${note}`, async () => await lives[index]!.probe() === 200 || undefined)
    }
    const writers = Array.from({ length: planes }, (_, plane) =>
      Array.from({ length: clients }, (__, id) => {
        const number = plane * clients + id
        return new Writer(number, new Dice(seed * 64 + number), true)
      }))
    const all = writers.flat()
    const acknowledged = (plane: number) => writers[plane]!.reduce((sum, writer) => sum + writer.count, 0)
    const fenced = (plane: number) =>
      writers[plane]!.reduce((sum, writer) => sum + (writer.codes.get("FENCED") ?? 0), 0)
    const generations = new Map<string, string>()

    yield* Effect.promise(async () => {
      await start(0)
      const code = await lives[0]!.client()("haproxy_add_domain", { domain: base.domain, ip: base.ip })
      assert.strictEqual(code, "OK")
      for (let index = 1; index < planes; index++) await start(index)
    })
    let writer = planes - 1
    for (let round = 1; round <= rounds; round++) {
      const next = (writer + 1 + dice.next(planes - 1)) % planes
      const bystander = [0, 1, 2].find((index) => index !== writer && index !== next)!
      const isRestart = dice.next(10) === 0
      const pausing = dice.pick(["the writer", "the writer", "the writer", "a loser", "nobody"] as const)
      const note = `(seed ${seed}, round ${round}: ${writer} → ${next}, ${pausing} paused)`
      yield* Effect.promise(async () => {
        let stop = false
        const broken: Array<unknown> = []
        const loop = async (plane: number, client: Writer, call: Call) => {
          try {
            while (!stop && await client.write(call)) {
              if (plane !== writer && plane !== next) await after(20)
            }
          } catch (error) {
            if (error instanceof Gone) return
            broken.push(new Error(`${String(error)} by control plane ${plane} ${note}`, { cause: error }))
          }
        }
        const wait = async (what: string, check: () => boolean) => {
          await poll(`${what} ${note}`, () => broken.length > 0 || check() || undefined).catch((error: Error) => {
            const codes = writers.map((ones) => ones.map((one) => JSON.stringify([...one.codes])).join(" ")).join("\n")
            throw new Error(`${error.message}\n${codes}`, { cause: error })
          })
          if (broken.length > 0) throw broken[0]
        }
        const [before, refused] = [acknowledged(writer), fenced(writer)]
        const begin = (plane: number) => writers[plane]!.map((client) => loop(plane, client, lives[plane]!.client()))
        const writing = isRestart
          ? [...begin(writer), ...begin(bystander)]
          : Array.from({ length: planes }, (_, plane) => begin(plane)).flat()
        try {
          const enough = before + 1 + dice.next(writes)
          await wait("the writer writes", () => acknowledged(writer) >= enough)
          await after(dice.next(writeTime))
          const paused = pausing === "the writer" ? writer : pausing === "a loser" ? bystander : null
          if (paused !== null) lives[paused]!.pause()
          if (isRestart) {
            await lives[next]!.kill()
            await start(next)
            writing.push(...begin(next))
            count("killed and started again")
          } else await takeOver(next, note)
          const begun = acknowledged(next)
          await wait("the next one writes", () => acknowledged(next) >= begun + clients)
          if (paused !== null) lives[paused]!.resume()
          await wait("the one before is fenced", () => fenced(writer) > refused)
        } finally {
          stop = true
        }
        await Promise.all(writing)
        if (broken.length > 0) throw broken[0]
        assert.strictEqual(await lives[next]!.probe(), 200, `the one that writes is ready ${note}`)
        for (const loser of [writer, bystander]) {
          assert.strictEqual(await lives[loser]!.probe(), 503, `${loser} is not ready ${note}`)
        }
      })
      count(`paused: ${pausing}`)
      // What one had begun when it was stopped may still reach HAProxy when it goes on: the other finds it as drift, within a
      // minute by itself, here at once.
      if (!(yield* far.same())) {
        yield* Effect.promise(() => takeOver(next, note))
        yield* Effect.promise(() => lives[next]!.ready())
        count("repaired what a stopped one had begun")
      }
      const dump = yield* far.agree(note)
      for (const client of all) {
        client.check(dump, note)
        client.learn(dump)
      }
      for (const [generation, content] of yield* Effect.promise(() => far.generations())) {
        const known = generations.get(generation) ?? content
        assert.strictEqual(content, known, `generation ${generation} was replaced ${note}`)
        generations.set(generation, content)
      }
      writer = next
    }
    count("generations", generations.size)
    for (const client of all) for (const [code, times] of client.codes) count(code, times)
    return tally
  }).pipe(Effect.scoped)

export const threeWriters: Campaign = {
  name: "three-writers",
  title: "three control planes on one remote, paused, continued, killed, taking over: one winner for each generation",
  unit: "rounds",
  perCase: rounds,
  full: 400,
  short: 12,
  minutes: 4,
  concurrency: 3,
  limit: 240_000,
  inMemory: true,
  canRun: labsWork,
  mustSee: ["OK", "FENCED", "paused: the writer", "paused: a loser", "paused: nobody", "killed and started again"],
  open: Effect.map(shipped, (program) => ({ run: (seed) => chain(program, seed) }))
}
