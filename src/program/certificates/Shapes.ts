/** Inputs and answers of the verbs on certificates. Field names are the tools' contract. No field ever holds a key. */
import type { Answer, WriteAnswer } from "../Answer.ts"

/** How a certificate stands. `missing`: no file; `broken`: a file that is no certificate with its key. */
export type CertificateStatus =
  | "valid"
  | "expiring"
  | "expired"
  | "not_yet_valid"
  | "issuing"
  | "missing"
  | "broken"

/** One certificate in a list. */
export interface CertificateItem {
  /** Its name: that of the file without `.pem`. */
  readonly certificate: string
  /** DNS names it stands for. */
  readonly domains: ReadonlyArray<string>
  readonly status: CertificateStatus
  /** ISO 8601 in UTC; null where there is no certificate yet. */
  readonly not_after: string | null
  readonly days_left: number | null
  /** Issued and renewed here (acme), or put into the folder by somebody (file). */
  readonly source: "acme" | "file"
  readonly issuer: string
  /** HAProxy has it in memory and serves it; null while that is not known. */
  readonly loaded: boolean | null
  /** When it is renewed or tried again, ISO 8601 in UTC; null: not here. */
  readonly next_attempt: string | null
  readonly last_error: string | null
}

export interface ListCertsInput {
  readonly search?: string
  readonly limit?: number
  readonly cursor?: string
}

export interface ListCertsAnswer extends Answer {
  readonly certificates: ReadonlyArray<CertificateItem>
  readonly total: number
  /** All of them by status, whatever the search. */
  readonly counts: { readonly [status: string]: number }
  readonly next_cursor: string | null
}

export interface CertInfoInput {
  /** A certificate's name, or a host that one stands for. */
  readonly domain: string
}

export interface CertInfoAnswer extends Answer, CertificateItem {
  /** The domain that was asked for. */
  readonly domain: string
  readonly file: string
  readonly serial: string
  readonly fingerprint_sha256: string
  readonly not_before: string | null
  readonly key_type: string
  /** Certificates after the first in the file. */
  readonly chain_length: number
  readonly failures: number
  /** Domains that are served and need it: no other certificate stands for them. At most 20. */
  readonly needed_by: ReadonlyArray<string>
}

export interface IssueCertInput {
  readonly domain: string
  /** Also `*.domain`. Default true. */
  readonly wildcard?: boolean
}

/** Answer of every write to one certificate. */
export interface CertWriteAnswer extends WriteAnswer {
  readonly certificate: string
  readonly domains: ReadonlyArray<string>
  readonly not_after: string | null
  readonly days_left: number | null
  readonly issuer: string
  readonly fingerprint_sha256: string
  /** A TLS handshake with HAProxy showed it. False: HAProxy could not be reached by TLS from here; see warnings. */
  readonly proved: boolean
  /** Present when the work outlives the call: follow it with haproxy_operation. All else is as it was before. */
  readonly operation_id?: string
}

export interface RenewCertInput {
  readonly domain: string
  /** Also when it is not due. */
  readonly force?: boolean
}

export interface RenewAllCertsAnswer extends Answer {
  /** Certificates that were due. */
  readonly due: number
  readonly renewed: ReadonlyArray<string>
  readonly failed: ReadonlyArray<{ readonly certificate: string; readonly error: string }>
  /** Not due, or tried a short time ago. */
  readonly skipped: number
  readonly warnings: ReadonlyArray<string>
  readonly operation_id?: string
}

export interface DeleteCertInput {
  readonly domain: string
  /** Also while a domain that is served needs it. */
  readonly force?: boolean
}

export interface DeleteCertAnswer extends WriteAnswer {
  readonly certificate: string
  /** Domains that are served and had no other certificate. At most 20. */
  readonly needed_by: ReadonlyArray<string>
}

export interface LoadCertInput {
  /** Name of a file in the folder without `.pem`. */
  readonly domain: string
}
