/**
 * MapFiles in a process of its own, so that a test can take the disk or the process away from under it.
 * Arguments: folder, and a JSON list of `{reset: state}` and `{apply: edits}`; prints one JSON line per step.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { writeSync } from "node:fs"
import { join } from "node:path"
import type { Edit } from "../../src/domain/Change.ts"
import { type FileState, MapFiles } from "../../src/haproxy/MapFiles.ts"

/** What the child is told to do. */
export type Step = { readonly reset: FileState } | { readonly apply: ReadonlyArray<Edit> }

/** What it says of one step. */
export interface StepResult {
  readonly ok: boolean
  readonly written?: ReadonlyArray<string>
  readonly message?: string
  readonly hint?: string
  readonly check: ReadonlyArray<{ readonly path: string; readonly ok: boolean; readonly reason: string }>
}

const run = Effect.fnUntraced(function*(steps: ReadonlyArray<Step>) {
  const files = yield* MapFiles
  for (const step of steps) {
    const result = yield* Effect.result<unknown, { message: string; hint: string }, never>(
      "reset" in step ? files.reset(step.reset) : files.apply(step.apply)
    )
    const line: StepResult = {
      ok: Result.isSuccess(result),
      ...(Result.isFailure(result)
        ? { message: result.failure.message, hint: result.failure.hint }
        : (result.success as object | undefined) ?? {}),
      check: yield* files.check
    }
    writeSync(1, `${JSON.stringify(line)}\n`)
  }
})

if (process.argv[1] === import.meta.filename) {
  const [dir, steps] = process.argv.slice(2) as [string, string]
  await Effect.runPromise(
    Effect.provide(
      run(JSON.parse(steps)),
      MapFiles.layer({
        domains: join(dir, "domains.map"),
        pools: join(dir, "pools.cfg"),
        limits: { pools: 2, slots: 2 }
      })
    )
  )
}
