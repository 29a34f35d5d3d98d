/**
 * The folder of certificates that HAProxy loads: one `NAME.pem` for each. New ones have mode 0600, or 0640 where the
 * folder hands its group down (setgid), so that HAProxy's own user can read them.
 *
 * Guarantees: a file is there as a whole or as it was before, also after a power cut (DurableFile.ts); nothing but
 * whole PEM files ever has a name that HAProxy would load. It reads, also those that somebody else put there, and
 * writes; what HAProxy holds in memory is Install.ts' work.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { join } from "node:path"
import type { Disk } from "../../domain/Disk.ts"
import { type FileFailure, type InvalidInput, RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import * as Tracing from "../../Tracing.ts"
import * as DurableFile from "../DurableFile.ts"
import { localDisk } from "../files/LocalDisk.ts"
import type { CertificateBundle } from "./Bundle.ts"
import { isSafeName, ownFile } from "./FileNames.ts"
import { fileOf, list, readName, textOf } from "./FolderReader.ts"
import { fileMode, makeFolder, whyNot } from "./FolderWriter.ts"
import { parseBundle, pemRefused } from "./Pem.ts"
import { Removal, Replacement, sweepFolder } from "./Replacement.ts"

/** A file of the folder. */
export interface CertificateFile {
  /** Without `.pem`. */
  readonly name: string
  /** Name in the folder. */
  readonly file: string
  /** Milliseconds since 1970. */
  readonly modifiedAt: number
  /** Bytes. */
  readonly size: number
}

/** A file that is written and durable under a name that nobody reads yet. */
export interface StagedCertificate {
  /** Name in the folder. */
  readonly file: string
  /** Puts it in place, durably. */
  readonly publish: Effect.Effect<void, FileFailure>
  /** After `publish`: what was there before is there again, durably; or nothing, when nothing was. */
  readonly restore: Effect.Effect<void, FileFailure>
  /** Forgets it: the temp file, or what was kept for `restore`. Always called in the end; never fails. */
  readonly discard: Effect.Effect<void>
}

export class CertificateFiles extends Context.Service<CertificateFiles, {
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  /** Reads that are worth having under way beside each other: many where each waits for another host. */
  readonly besides: number
  /** Every file that HAProxy would load from the folder, by name. An absent folder holds none. */
  readonly list: Effect.Effect<ReadonlyArray<CertificateFile>, FileFailure>
  /** One file's content, checked; null when there is none. InvalidInput says what is wrong with it. */
  readonly read: (name: string) => Effect.Effect<CertificateBundle | null, FileFailure | InvalidInput>
  /** A listed file's own text, unchecked and without what lies beside it; null: it is gone, or too large. */
  readonly text: (file: string) => Effect.Effect<Redacted.Redacted<string> | null, FileFailure>
  /** Name in the folder of a certificate's file; null: there is none. `stage` then makes `NAME.pem`. */
  readonly fileOf: (name: string) => Effect.Effect<string | null, FileFailure>
  /** Writes a temp file beside `NAME.pem`; makes the folder when it is not there. */
  readonly stage: (name: string, bundle: CertificateBundle) => Effect.Effect<StagedCertificate, FileFailure>
  /** Removes `NAME.pem` durably; answers what brings it back. Nothing happens without one. */
  readonly remove: (name: string) => Effect.Effect<Pick<StagedCertificate, "restore" | "discard">, FileFailure>
  /** Can the folder be written? Null when all is well, else why not. */
  readonly check: Effect.Effect<string | null>
}>()("haproxy-mcp/haproxy/CertificateFiles") {
  /**
   * One writer for this folder. What a process that died left in it is cleaned up first: on this machine's disk (the
   * default) before the layer is there, on another host's before the first look that succeeds.
   */
  static readonly layer = (
    { disk = localDisk, folder }: { readonly folder: string; readonly disk?: Disk }
  ): Layer.Layer<CertificateFiles> => Layer.effect(CertificateFiles, make(disk, folder))
}

/** Here each read is some tenths of a millisecond of work between its waits. */
const besidesHere = 2
/** Over SFTP it is nothing but waits. */
const besidesFar = 32

const toFailure = (cause: unknown): FileFailure => DurableFile.fileFailed("use", "the folder of certificates", cause)

/** Checked by the caller as input; this is the last line before the file system. */
const checkName = (name: string): void => {
  if (!isSafeName(name)) {
    throw new StorageFailed({
      message: "The certificate has no name that a file may have.",
      hint: "Use letters, digits, dots, hyphens and underscores; no slash, and no dot at the beginning."
    })
  }
}

const make = Effect.fnUntraced(function*(disk: Disk, folder: string) {
  /** Files that wait to be published, restored or forgotten: while there are any, nothing is swept. */
  let open = 0
  /** Since when files may lie about: of a crashed run, or of a moment at which the host was lost. */
  let swept: Promise<void> | null = null
  const sweep = (): Promise<void> => {
    if (open > 0) return Promise.resolve()
    return swept ??= sweepFolder(disk, folder)
  }
  const afterSweep = async <A>(run: () => Promise<A>): Promise<A> => {
    try {
      await sweep()
      return await run()
    } catch (cause) {
      if (cause instanceof RemoteUnreachable) swept = null
      throw cause
    }
  }
  const opened = <A extends { readonly discard: Effect.Effect<void> }>(file: A): A => {
    open++
    let isOpen = true
    const discard = Effect.tap(file.discard, () => {
      if (isOpen) open--
      isOpen = false
      return Effect.void
    })
    return { ...file, discard }
  }
  // Another host may be down now, and no start waits for it.
  if (disk.isLocal) yield* Effect.promise(sweep)

  /** A step that has begun runs to its end: nobody interrupts a rename and its fsync. */
  const step = <A>(name: string, run: () => Promise<A>): Effect.Effect<A, FileFailure> =>
    Tracing.span(`CertificateFiles.${name}`)(
      Effect.uninterruptible(Effect.tryPromise({ try: () => afterSweep(run), catch: toFailure }))
    )

  const stage = async (name: string, bundle: CertificateBundle): Promise<StagedCertificate> => {
    checkName(name)
    await makeFolder(disk, folder)
    const [there, mode] = await Promise.all([fileOf(disk, folder, name), fileMode(disk, folder)])
    const file = there ?? ownFile(name)
    const content = Buffer.from(Redacted.value(bundle.text))
    const replacement = await Replacement.stage(disk, join(folder, file), content, mode)
    return opened({
      file,
      publish: step("publish", () => replacement.publish()),
      restore: step("restore", () => replacement.restore()),
      discard: Effect.promise(() => replacement.discard())
    })
  }

  const remove = async (name: string): Promise<Pick<StagedCertificate, "restore" | "discard">> => {
    checkName(name)
    const file = await fileOf(disk, folder, name)
    if (file === null) return { restore: Effect.void, discard: Effect.void }
    const removal = await Removal.remove(disk, join(folder, file))
    return opened({
      restore: step("restore", () => removal.restore()),
      discard: Effect.promise(() => removal.discard())
    })
  }

  const read = Tracing.fn("CertificateFiles.read")(function*(
    name: string
  ): Effect.fn.Return<CertificateBundle | null, FileFailure | InvalidInput> {
    const found = yield* step("readFile", () => readName(disk, folder, name))
    if (found === null) return null
    if (found._tag === "Broken") return yield* pemRefused(found.file, found)
    const bundle = parseBundle(found.pem)
    return Result.isSuccess(bundle) ? bundle.success : yield* pemRefused(found.file, bundle.failure)
  })

  return CertificateFiles.of({
    folder,
    besides: disk.isLocal ? besidesHere : besidesFar,
    list: step("list", () => list(disk, folder)),
    read,
    text: (file) => Effect.tryPromise({ try: () => textOf(disk, folder, file), catch: toFailure }),
    fileOf: (name) =>
      Effect.tryPromise({
        try: async () => isSafeName(name) ? await fileOf(disk, folder, name) : null,
        catch: toFailure
      }),
    stage: (name, bundle) => step("stage", () => stage(name, bundle)),
    remove: (name) => step("remove", () => remove(name)),
    check: Effect.promise(() => whyNot(disk, folder))
  })
})
