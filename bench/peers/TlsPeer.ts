/** Another server that ends TLS for many names, doing the same job: 10k certificates there, one more comes. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ProgramName } from "../../scripts/debian/Catalogue.ts"
import type { FastCertificate } from "../../test/support/FastAuthority.ts"
import type { Bench } from "../Row.ts"

/** A running peer. */
export interface RunningTlsPeer {
  readonly tlsPort: number
  /** Tells it of one more certificate by its own way; returns when that way has returned. */
  readonly add: (certificate: FastCertificate) => Promise<void>
}

export interface TlsPeer {
  readonly program: ProgramName
  /** How a certificate is added, for the table. */
  readonly how: string
  readonly start: (
    bench: Bench,
    options: {
      readonly program: string
      readonly certificates: ReadonlyArray<FastCertificate>
      /** Tells whether a name shows its certificate. */
      readonly shows: (port: number, certificate: FastCertificate) => Promise<boolean>
    }
  ) => Effect.Effect<RunningTlsPeer, never, Scope.Scope>
}
