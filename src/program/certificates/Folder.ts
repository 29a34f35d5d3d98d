/**
 * What the folder of certificates holds, known without reading it again and again: a file is read when it is new or
 * another one than before (its time or its size), so that a look at 10,000 certificates is a look at their directory.
 *
 * Guarantees: a file that somebody replaced is seen by the next look, also when that happened within the same moment
 * as the look before; other work gets its turns while many files are read. No key is kept.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Certificate, CertificateFacts } from "../../domain/Certificate.ts"
import type { FileFailure, StorageFailed } from "../../domain/Errors.ts"
import type { CertificateFile, CertificateFiles } from "../../haproxy/certificates/CertificateFiles.ts"
import * as KnownPem from "../../haproxy/certificates/KnownPem.ts"

/** A file of the folder and what is in it. */
export interface KnownFile {
  readonly file: CertificateFile
  /** Null: it is no certificate with its key. */
  readonly facts: CertificateFacts | null
  /** Why not, in one sentence; null: all is well. */
  readonly problem: string | null
}

/** By name. */
export type KnownFiles = ReadonlyMap<string, KnownFile>

export interface Folder {
  /** Every file as it is now. Looks of several fibers share their readings. */
  readonly look: Effect.Effect<KnownFiles, FileFailure>
}

/** A file that was changed so shortly before it was read may be changed again without another time; milliseconds. */
const grain = 1_000

interface Entry extends KnownFile {
  readonly readAt: number
}

/**
 * `rows` are what is known of certificates from before: at a start, a file that still holds the certificate of its row
 * is not checked anew (KnownPem.ts).
 */
export const make = (
  files: CertificateFiles["Service"],
  rows: Effect.Effect<ReadonlyArray<Certificate>, StorageFailed> = Effect.succeed([])
): Folder => {
  const permit = Semaphore.makeUnsafe(1)
  let known: ReadonlyMap<string, Entry> | null = null

  const read = Effect.fnUntraced(function*(
    file: CertificateFile,
    pem: KnownPem.KnownPem,
    facts: CertificateFacts | undefined
  ): Effect.fn.Return<Entry | null, FileFailure> {
    const readAt = yield* Clock.currentTimeMillis
    if (facts !== undefined) {
      const text = yield* files.text(file.file)
      const isSame = text !== null && pem.rebuild(text, facts) !== null
      // Others have their turns between two files.
      yield* Effect.yieldNow
      if (isSame) return { file, facts, problem: null, readAt }
    }
    return yield* files.read(file.name).pipe(
      Effect.map((bundle): Entry | null => {
        if (bundle === null) return null
        pem.learn(bundle)
        return { file, facts: bundle.facts, problem: null, readAt }
      }),
      Effect.catchTag(
        "InvalidInput",
        (error) => Effect.succeed<Entry>({ file, facts: null, problem: error.message, readAt })
      )
    )
  })

  const current = (entry: Entry | undefined, file: CertificateFile): entry is Entry =>
    entry !== undefined && entry.file.modifiedAt === file.modifiedAt && entry.file.size === file.size
    && entry.file.file === file.file && Math.abs(entry.readAt - file.modifiedAt) > grain

  const look = permit.withPermit(Effect.gen(function*() {
    const before = known ?? new Map<string, Entry>()
    const pem = KnownPem.make()
    const trusted = new Map(
      known === null
        ? (yield* rows).flatMap(({ facts, name, state }) => state === "active" ? [[name, facts] as const] : [])
        : []
    )
    const listed = yield* files.list
    const entries = yield* Effect.forEach(listed, (file) => {
      const entry = before.get(file.name)
      return current(entry, file) ? Effect.succeed(entry) : read(file, pem, trusted.get(file.name))
    }, { concurrency: files.besides })
    const found = new Map<string, Entry>()
    for (const entry of entries) if (entry !== null) found.set(entry.file.name, entry)
    return known = found
  }))

  return { look }
}
