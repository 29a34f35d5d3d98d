/**
 * The file of an install, written while HAProxy reads the same certificate: two waits in the time of one.
 *
 * Guarantees: `publish` begins when the temp file is durable; what went wrong with writing it, `publish` says. Nothing
 * of it is left after `discard`, also when the writing was still under way.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { FileFailure } from "../../domain/Errors.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import type { CertificateFiles, StagedCertificate } from "../../haproxy/certificates/CertificateFiles.ts"
import { ownFile } from "../../haproxy/certificates/FileNames.ts"

/** Begins to write it. For a caller that nothing interrupts, and that calls `discard` in the end. */
export const begin = Effect.fnUntraced(function*(
  files: CertificateFiles["Service"],
  name: string,
  bundle: CertificateBundle
): Effect.fn.Return<StagedCertificate, FileFailure> {
  const file = (yield* files.fileOf(name)) ?? ownFile(name)
  const writing = yield* Effect.forkChild(files.stage(name, bundle), { startImmediately: true })
  const staged = Fiber.join(writing)
  return {
    file,
    publish: Effect.flatMap(staged, ({ publish }) => publish),
    restore: Effect.flatMap(staged, ({ restore }) => restore),
    discard: Effect.flatMap(Fiber.await(writing), (exit) => Exit.isSuccess(exit) ? exit.value.discard : Effect.void)
  }
})
