/**
 * The folder of certificates that HAProxy loads: one `NAME.pem` for each, mode 0600.
 *
 * Guarantees: a file is there as a whole or as it was before, also after a power cut (DurableFile.ts); nothing but
 * whole PEM files ever has a name that HAProxy would load. It reads, also those that somebody else put there, and
 * writes; what HAProxy holds in memory is Install.ts' work.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { InvalidInput, StorageFailed } from "../../domain/Errors.ts"
import type { CertificateBundle } from "./Bundle.ts"

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
  readonly publish: Effect.Effect<void, StorageFailed>
  /** After `publish`: what was there before is there again, durably; or nothing, when nothing was. */
  readonly restore: Effect.Effect<void, StorageFailed>
  /** Forgets it: the temp file, or what was kept for `restore`. Always called in the end; never fails. */
  readonly discard: Effect.Effect<void>
}

export class CertificateFiles extends Context.Service<CertificateFiles, {
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  /** Every file that HAProxy would load from the folder, by name. An absent folder holds none. */
  readonly list: Effect.Effect<ReadonlyArray<CertificateFile>, StorageFailed>
  /** One file's content, checked; null when there is none. InvalidInput says what is wrong with it. */
  readonly read: (name: string) => Effect.Effect<CertificateBundle | null, StorageFailed | InvalidInput>
  /** Writes a temp file beside `NAME.pem`; makes the folder when it is not there. */
  readonly stage: (name: string, bundle: CertificateBundle) => Effect.Effect<StagedCertificate, StorageFailed>
  /** Removes `NAME.pem` durably; answers what brings it back. Nothing happens without one. */
  readonly remove: (name: string) => Effect.Effect<Pick<StagedCertificate, "restore" | "discard">, StorageFailed>
  /** Can the folder be written? Null when all is well, else why not. */
  readonly check: Effect.Effect<string | null>
}>()("haproxy-mcp/haproxy/CertificateFiles") {}
