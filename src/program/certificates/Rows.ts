/**
 * Rows follow their files: the file is what HAProxy serves, whoever put it there. What a comparison notes in rows, and
 * what becomes of rows whose issue a crash ended. None of it is a change of the desired state, so the revision stays.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Certificate } from "../../domain/Certificate.ts"
import { type FileFailure, StorageFailed } from "../../domain/Errors.ts"
import type { Store } from "../../store/Store.ts"
import type { KnownFile, KnownFiles } from "./Folder.ts"
import type { CertificatePlane } from "./Plane.ts"
import { plannedFor, renewalOf } from "./RenewalPlan.ts"

/** Begins what is noted about a file, so that it is taken back when the file is well again. */
const aboutFile = "Its file "

/** The row as it should be beside this file; the same object: as it is. Pure. */
export const followed = (row: Certificate, file: KnownFile | undefined): Certificate => {
  if (row.state === "issuing") return row
  const { lastError } = row
  const trouble = file === undefined
    ? `${aboutFile}is gone from the folder`
    : file.facts === null
    ? `${aboutFile}cannot be used: ${file.problem ?? "it is no certificate"}`
    : null
  if (trouble !== null) {
    const keep = lastError !== null && !lastError.startsWith(aboutFile)
    return keep || lastError === trouble ? row : { ...row, lastError: trouble }
  }
  const facts = file!.facts!
  if (facts.sha256 !== row.facts.sha256) {
    const renewAt = row.renewAt === null ? null : plannedFor(facts)
    return { ...row, facts, renewAt, nextAttempt: null, failures: 0, lastError: null }
  }
  return lastError?.startsWith(aboutFile) === true ? { ...row, lastError: null } : row
}

const commit = (store: Store["Service"], rows: ReadonlyArray<Certificate>, gone: ReadonlyArray<string> = []) =>
  rows.length + gone.length === 0 ? Effect.void : store.commit(Effect.gen(function*() {
    for (const row of rows) yield* store.putCertificate(row)
    for (const name of gone) yield* store.removeCertificate(name)
  })).pipe(Effect.catchTag(
    "CommitUncertain",
    ({ message }) => Effect.fail(new StorageFailed({ message, hint: "Check the disk that holds the database." }))
  ))

/** Brings rows to their files; answers them as they are then. */
export const follow = Effect.fnUntraced(function*(
  store: Store["Service"],
  files: KnownFiles
): Effect.fn.Return<ReadonlyArray<Certificate>, StorageFailed> {
  const before = yield* store.certificates
  const after = before.map((row) => followed(row, files.get(row.name)))
  const changed = after.filter((row, index) => row !== before[index])
  yield* commit(store, changed)
  for (const { facts, lastError, name } of changed) {
    yield* Effect.logInfo(lastError === null ? "A certificate's file is another one" : lastError).pipe(
      Effect.annotateLogs({ certificate: name, sha256: facts.sha256 })
    )
  }
  return after
})

/**
 * For the start, before anything is issued: rows whose issue ended with the process that began it. Where the file is
 * there, the certificate came; where it is not, nobody was told that it did, and the row goes.
 */
export const recover = Effect.fnUntraced(function*(
  { files, store }: Pick<CertificatePlane, "files" | "store">
): Effect.fn.Return<void, FileFailure> {
  const now = yield* Clock.currentTimeMillis
  const came: Array<Certificate> = []
  const gone: Array<string> = []
  for (const row of yield* store.certificates) {
    if (row.state !== "issuing") continue
    const bundle = yield* Effect.catchTag(files.read(row.name), "InvalidInput", () => Effect.succeed(null))
    if (bundle === null) gone.push(row.name)
    else {
      const { facts } = bundle
      came.push({ ...row, state: "active", facts, renewAt: renewalOf(facts, now), nextAttempt: null })
    }
  }
  yield* commit(store, came, gone)
  if (came.length + gone.length > 0) {
    yield* Effect.logInfo("Issues of certificates that the last stop ended").pipe(
      Effect.annotateLogs({ came: came.map(({ name }) => name), gone })
    )
  }
})
