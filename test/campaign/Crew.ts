/** The worker processes: started once, handed cases as they get free, ended with all below them. */
import { type ChildProcess, fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Verdict } from "./Campaign.ts"
import type { Run, Said } from "./Messages.ts"

/** Milliseconds that a worker gets to end by itself. */
const patience = 15_000

interface Member {
  child: ChildProcess
  /** What it was sent and has not answered yet. */
  readonly owed: Set<number>
  free: boolean
}

const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number)
  } catch {
    return []
  }
}
const family = (pid: number): ReadonlyArray<number> => [pid, ...childrenOf(pid).flatMap(family)]

const endAll = (pids: ReadonlyArray<number>) => {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL")
    } catch {
      // It is gone already.
    }
  }
}

export class Crew {
  private readonly members: Array<Member> = []
  private readonly onCase: (seed: number, verdict: Verdict) => void
  private wake: () => void = () => {}
  private ended = false

  constructor(size: number, onCase: (seed: number, verdict: Verdict) => void) {
    this.onCase = onCase
    for (let n = 0; n < size; n++) this.members.push(this.start())
  }

  private start(): Member {
    const child = fork(join(import.meta.dirname, "worker.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    const member: Member = { child, owed: new Set(), free: false }
    child.on("message", (said: Said) => {
      if (said._tag === "Free") member.free = true
      else {
        member.owed.delete(said.seed)
        if (said._tag === "Case") this.onCase(said.seed, said.verdict)
      }
      this.wake()
    })
    child.once("exit", (code, signal) => {
      if (this.ended) return
      // Its cases cannot be told apart any more: the first of them stands for all.
      for (const seed of member.owed) {
        this.onCase(seed, { _tag: "Broken", message: `the worker ended in the middle of it (${code ?? signal})` })
      }
      Object.assign(member, this.start())
      this.wake()
    })
    return member
  }

  /** Waits until all are there. */
  async ready(): Promise<void> {
    while (!this.members.every(({ free }) => free)) await this.news()
  }

  /** The next word of a worker, or a second. */
  private news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1_000)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Hands out cases until there are no more or `stop` says so, and waits for those that were handed out. */
  async work(work: Omit<Run, "seeds">, seeds: Iterator<number>, chunk: number, stop: () => boolean): Promise<void> {
    let left = true
    for (;;) {
      for (const member of this.members) {
        if (!member.free || !left || stop()) continue
        const some: Array<number> = []
        while (some.length < chunk && left) {
          const next = seeds.next()
          if (next.done === true) left = false
          else some.push(next.value)
        }
        if (some.length === 0) continue
        member.free = false
        for (const seed of some) member.owed.add(seed)
        member.child.send({ ...work, seeds: some } satisfies Run)
      }
      if ((!left || stop()) && this.members.every(({ free, owed }) => free && owed.size === 0)) return
      await this.news()
    }
  }

  /** Ends all workers and what they started. */
  async end(): Promise<void> {
    this.ended = true
    await Promise.all(this.members.map(({ child }) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return undefined
      const all = family(child.pid)
      return new Promise<void>((resolve) => {
        const timer = setTimeout(() => endAll(all), patience)
        child.once("exit", () => {
          clearTimeout(timer)
          // One that died on its way out leaves its children behind.
          endAll(all)
          resolve()
        })
        child.kill("SIGTERM")
      })
    }))
  }
}
