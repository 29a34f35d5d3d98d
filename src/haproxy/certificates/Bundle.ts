/**
 * A certificate with its chain and its key, checked, as one PEM in the order that HAProxy wants: the site's own
 * certificate, each issuer after the one it signed, the key.
 *
 * The key is in {@link CertificateBundle.lines} and {@link CertificateBundle.text} alone, and both are redacted: they
 * print as `<redacted>` wherever somebody logs them by mistake.
 */
import type * as Redacted from "effect/Redacted"
import type { CertificateFacts } from "../../domain/Certificate.ts"

/** See the module's head. */
export interface CertificateBundle {
  readonly facts: CertificateFacts
  /** Lines of the PEM without blank ones: what a payload of `set ssl cert` takes. */
  readonly lines: Redacted.Redacted<ReadonlyArray<string>>
  /** The same as a file's content, with a final newline. */
  readonly text: Redacted.Redacted<string>
  /** PEM of the certificates alone, own one first; no key. */
  readonly chainText: string
  /** Sentences for an operator: what was left out of what was given. */
  readonly warnings: ReadonlyArray<string>
}
