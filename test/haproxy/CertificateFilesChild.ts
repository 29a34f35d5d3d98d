/**
 * CertificateFiles in a process of its own, so that a test can take the disk or the process away from under it.
 * Arguments: folder, and a JSON list of steps; prints one JSON line per step.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync, writeSync } from "node:fs"
import { CertificateFiles, type StagedCertificate } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { bundleOf } from "../support/Certificates.ts"
import { fillWhole } from "../support/SmallDisk.ts"

/** What the child is told to do: names of certificates, paths of PEM files; the others speak of what was staged last. */
export type Step =
  | { readonly stage: string; readonly pem: string }
  | { readonly remove: string }
  | { readonly read: string }
  | "publish"
  | "restore"
  | "discard"
  /** Uses up all room on the disk. */
  | "fill"

/** What it says of one step. */
export interface StepResult {
  readonly ok: boolean
  readonly message?: string
  readonly hint?: string
  /** SHA-1 of what was read; null: nothing was there. */
  readonly sha1?: string | null
  readonly check: string | null
}

const run = Effect.fnUntraced(function*(steps: ReadonlyArray<Step>) {
  const files = yield* CertificateFiles
  let last: Partial<StagedCertificate> = {}
  const doStep = Effect.fnUntraced(function*(step: Step) {
    if (typeof step === "object") {
      if ("read" in step) return (yield* files.read(step.read))?.facts.sha1 ?? null
      last = "stage" in step
        ? yield* files.stage(step.stage, bundleOf(readFileSync(step.pem, "utf8")))
        : yield* files.remove(step.remove)
    } else if (step === "fill") yield* Effect.promise(() => fillWhole(files.folder, ".ballast"))
    else yield* last[step]!
    return undefined
  })
  for (const step of steps) {
    const result = yield* Effect.result(doStep(step))
    const line: StepResult = {
      ok: Result.isSuccess(result),
      ...(Result.isFailure(result)
        ? { message: result.failure.message, hint: result.failure.hint }
        : result.success === undefined
        ? {}
        : { sha1: result.success }),
      check: yield* files.check
    }
    writeSync(1, `${JSON.stringify(line)}\n`)
  }
})

if (process.argv[1] === import.meta.filename) {
  const [folder, steps] = process.argv.slice(2) as [string, string]
  await Effect.runPromise(Effect.provide(run(JSON.parse(steps)), CertificateFiles.layer({ folder })))
}
