/**
 * The certificates of one HAProxy: the one place from which its files, its memory and their rows are changed.
 *
 * Guarantees: one change at a time (HAProxy has one certificate transaction in the whole process); a change is
 * acknowledged when the file is durable, HAProxy holds it under the right fingerprint, a TLS handshake showed it and
 * its row is committed; on any failure the certificate of before goes on serving from the same file. Each new worker of
 * HAProxy is compared with the folder and gets what it lacks. Renewals that are due run by themselves, some at a time.
 * Engine.ts makes it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Certificate, CertificateSource } from "../../domain/Certificate.ts"
import type { ControlError, FileFailure } from "../../domain/Errors.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import type { KnownFiles } from "./Folder.ts"
import type { Shown } from "./Shown.ts"

/** What a change of a certificate did. */
export interface Installed {
  readonly certificate: Certificate
  readonly changed: boolean
  readonly changeId: string | null
  readonly revision: number
  /** See CertWriteAnswer.proved. */
  readonly proved: boolean
  readonly warnings: ReadonlyArray<string>
}

/** How things stand between the folder and HAProxy. */
export interface CertificatesState {
  /** `off`: HAProxy loads no certificates from our folder. */
  readonly status: "ok" | "degraded" | "error" | "off" | "unknown"
  /** Why it is not ok, in one sentence; empty when it is. */
  readonly reason: string
  /** SHA-1 of what HAProxy serves by certificate name; null while that is not known. */
  readonly loaded: ReadonlyMap<string, string> | null
  /** Sentences for an operator: files that are no certificates, refusals of HAProxy. */
  readonly problems: ReadonlyArray<string>
  /** Last comparison, milliseconds since 1970. */
  readonly lastRunAt: number | null
}

export class Certificates extends Context.Service<Certificates, {
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  readonly state: Effect.Effect<CertificatesState>
  /** Every file of the folder and what is in it, broken ones too. Only what changed since the last look is read. */
  readonly known: Effect.Effect<KnownFiles, FileFailure>
  /** When one is renewed or tried again by itself, milliseconds since 1970; null: not here. */
  readonly nextAttempt: (certificate: Certificate) => Effect.Effect<number | null>
  /** When it is due, without the pause after a failure; null: not renewed here. */
  readonly dueAt: (certificate: Certificate) => Effect.Effect<number | null>
  readonly install: (request: {
    readonly name: string
    readonly bundle: CertificateBundle
    readonly source: CertificateSource
    /** For the change log. */
    readonly summary: string
    /** When it is due; null: not renewed here. */
    readonly renewAt: number | null
  }) => Effect.Effect<Installed, ControlError>
  /** Takes it from HAProxy, from the folder and from the database. */
  readonly remove: (request: {
    readonly name: string
    /** What a dry run is to warn of. */
    readonly warnings?: ReadonlyArray<string>
  }) => Effect.Effect<
    { readonly changed: boolean; readonly changeId: string | null; readonly revision: number },
    ControlError
  >
  /**
   * Issues a certificate and installs it. A second call for the same name while one runs gets the result of the
   * first; other names run beside it, some at a time.
   */
  readonly issue: (request: {
    readonly name: string
    readonly names: ReadonlyArray<string>
    readonly summary: string
  }) => Effect.Effect<Installed, ControlError>
  /** Names that are being issued or renewed now. */
  readonly underWay: Effect.Effect<ReadonlySet<string>>
  /** Renews what is due now; answers when each has ended. */
  readonly renewDue: Effect.Effect<
    {
      readonly due: number
      readonly renewed: ReadonlyArray<string>
      readonly failed: ReadonlyArray<{ readonly certificate: string; readonly error: string }>
      readonly skipped: number
    },
    ControlError
  >
  /** Which certificate HAProxy shows for a host, by a handshake of at most a few seconds. */
  readonly shown: (host: string) => Effect.Effect<Shown>
  /** Compares HAProxy with the folder now and loads what it lacks, within the caller's timeout. */
  readonly restore: Effect.Effect<CertificatesState, ControlError>
}>()("haproxy-mcp/program/Certificates") {}
