/**
 * A worker of the campaign: runs the cases that it is sent, and ends, with all that it started, when its parent is
 * gone or tells it to.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { tmpdir } from "node:os"
import { memoryFolder } from "../support/MemoryFolder.ts"
import { type Campaign, judge, type Runner, type Verdict } from "./Campaign.ts"
import { campaigns } from "./Campaigns.ts"
import type { Run, Said } from "./Messages.ts"

const say = (said: Said) => new Promise<void>((resolve) => process.send?.(said, () => resolve()))

/** What is open now. */
interface Open {
  readonly campaign: Campaign
  readonly scope: Scope.Closeable
  readonly runner: Runner
}

let open: Open | null = null

/** What runs now: it must have let go of all that it holds before the process may end. */
const running = new Set<Fiber.Fiber<unknown, unknown>>()

const runHere = <A>(work: Effect.Effect<A>): Promise<A> => {
  const fiber = Effect.runFork(work)
  running.add(fiber)
  return Effect.runPromise(Fiber.join(fiber)).finally(() => running.delete(fiber))
}

const onDisk = tmpdir()

const close = async () => {
  const closing = open
  open = null
  if (closing !== null) await Effect.runPromise(Scope.close(closing.scope, Exit.void))
}

const opened = async (name: string): Promise<Open> => {
  if (open !== null && open.campaign.name === name) return open
  await close()
  const campaign = campaigns.find((one) => one.name === name)!
  process.env["TMPDIR"] = campaign.inMemory ? memoryFolder : onDisk
  const scope = Scope.makeUnsafe()
  // What was begun of it goes too when the whole does not open.
  open = { campaign, scope, runner: { run: () => Effect.die(new Error("not open")) } }
  const runner = await runHere(Effect.provideService(campaign.open, Scope.Scope, scope))
  return open = { campaign, scope, runner }
}

/** After a broken promise: from a fresh beginning, does the seed alone break it, and with how little? */
const again = async (campaign: Campaign, seed: number, message: string): Promise<Verdict> => {
  await close()
  const { runner } = await opened(campaign.name)
  const { shrink } = runner
  const work: Effect.Effect<string> = shrink === undefined
    ? Effect.map(judge(campaign, runner, seed), (verdict) => verdict._tag === "Held" ? "" : "once more from its seed")
    : Effect.map(shrink(seed), (found) => found === null ? "" : found)
  const found = await runHere(
    work.pipe(
      Effect.timeoutOrElse({ duration: 2 * campaign.limit, orElse: () => Effect.succeed("") }),
      Effect.catchDefect((defect) => Effect.succeed(String(defect)))
    )
  )
  await close()
  const what = found === "" ? "The seed alone does not repeat it: a matter of the moment." : `Repeats: ${found}`
  return { _tag: "Broken", message: `${message}\n${what}` }
}

const run = async ({ campaign: name, first, seeds }: Run) => {
  const { campaign, runner } = await opened(name)
  const broken: Array<{ readonly seed: number; readonly message: string }> = []
  await Effect.runPromise(
    Effect.forEach(
      seeds,
      (seed) =>
        Effect.flatMap(judge(campaign, runner, seed), (verdict) =>
          Effect.promise(async () => {
            if (verdict._tag === "Held") await say({ _tag: "Case", seed, verdict })
            else broken.push({ seed, message: verdict.message })
          })),
      { concurrency: campaign.concurrency, discard: true }
    )
  )
  for (const { message, seed } of broken) {
    const verdict: Verdict = first ? { _tag: "Broken", message } : await again(campaign, seed, message)
    await say({ _tag: "Case", seed, verdict })
  }
  await say({ _tag: "Free" })
}

let ending = false
const end = async () => {
  if (ending) return
  ending = true
  for (const fiber of running) await Effect.runPromise(Fiber.interrupt(fiber)).catch(() => {})
  await close().catch(() => {})
  process.exit()
}

process.on("message", (message: Run) =>
  void run(message).catch((error: unknown) => {
    // Without an answer the parent would wait for ever; with the end of this process it knows.
    if (ending) return
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 1
    void end()
  }))
process.on("unhandledRejection", (error) => {
  if (!ending) throw error
})
process.on("disconnect", () => void end())
process.on("SIGTERM", () => void end())
process.on("SIGINT", () => void end())
await say({ _tag: "Free" })
