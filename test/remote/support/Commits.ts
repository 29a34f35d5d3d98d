/** Contents for the log that tell what they are: `=N` is the whole content of commit N, `N>M` leads from one to another. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Capture, Fetched, FullCopy } from "../../../src/domain/Generation.ts"
import { GenerationLog } from "../../../src/remote/GenerationLog.ts"

export const path = "/data/haproxy_mcp.db"
export const folder = `${path}.generations`

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const stateOf = (commits: number, life: string) => ({ lineage: "lineage", life, commits, revision: commits, schema: 3 })

export const full = (commits: number, life = "life"): FullCopy => {
  const bytes = Buffer.from(`=${commits}\n`)
  return { kind: "full", state: stateOf(commits, life), bytes, sha256: sha256(bytes) }
}

export const delta = (from: number, commits: number, life = "life"): Capture => {
  const bytes = Buffer.from(`${from}>${commits}\n`)
  return { kind: "delta", from, state: stateOf(commits, life), bytes, sha256: sha256(bytes) }
}

/** The commit that a fetched content leads to; it must be the one that it claims. */
export const commitsOf = ({ deltas, full: copy, state }: Fetched): number => {
  let at = Number(/^=(\d+)\n$/.exec(Buffer.from(copy).toString())?.[1])
  for (const bytes of deltas) {
    const [, from, to] = /^(\d+)>(\d+)\n$/.exec(Buffer.from(bytes).toString()) ?? []
    // Within a delta stands each commit: a copy may begin in the middle of one.
    assert.isAtLeast(at, Number(from))
    at = Math.max(at, Number(to))
  }
  assert.strictEqual(at, state.commits)
  return at
}

/** The newest content, and its number; null when there is none. */
export const newest = async (log: GenerationLog) => {
  const { bad, found, next } = await Effect.runPromise(log.read)
  return { bad, next, gen: found?.head.gen ?? null, commits: found === null ? null : commitsOf(found.fetched) }
}

export const opened = async (disk: ConstructorParameters<typeof GenerationLog>[0]["disk"], at = path) => {
  const log = new GenerationLog({ disk, path: at })
  log.adopt(await Effect.runPromise(log.read))
  return log
}

/** A writer, as the program is one: goes on from what it finds out, never blindly. */
export class Publisher {
  readonly log: GenerationLog
  readonly life: string
  commits: number
  /** The last commit that somebody was told is durable. */
  acknowledged: number
  isFenced = false

  constructor(log: GenerationLog, life = "life") {
    this.log = log
    this.life = life
    this.commits = this.acknowledged = log.head?.manifest.commits ?? 0
  }

  /** Makes one commit durable, in as many tries as it takes; false when it did not come to that. */
  async write(isDelta: boolean, tries = 1): Promise<boolean> {
    const commits = ++this.commits
    for (let left = tries; left > 0 && !this.isFenced && this.acknowledged < commits; left--) {
      const from = this.log.head?.manifest.commits
      const capture = isDelta && from !== undefined ? delta(from, commits, this.life) : full(commits, this.life)
      const ended = await Effect.runPromise(Effect.result(this.log.publish(capture)))
      if (ended._tag === "Failure") continue
      const answer = ended.success
      if (answer.kind === "fenced") this.isFenced = true
      if (answer.kind === "published" || answer.kind === "earlier") this.acknowledged = answer.head.manifest.commits
    }
    return this.acknowledged >= commits
  }
}
