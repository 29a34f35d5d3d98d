/**
 * The bundle of a file that has been read and checked before, without checking it again: a tenth of the work, for the
 * restore of a thousand.
 *
 * Guarantees: it is the same certificate with as many issuers, in an order that was seen to be right, and one key;
 * anything else is null, and the caller reads the file anew (Pem.ts). That the key belongs to it HAProxy finds itself.
 */
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import type { CertificateFacts } from "../../domain/Certificate.ts"
import type { CertificateBundle } from "./Bundle.ts"
import { type PemBlock, pemBlocks, pemLines } from "./PemBlocks.ts"

export interface KnownPem {
  /** A bundle that was checked: its issuers are in order. */
  readonly learn: (bundle: CertificateBundle) => void
  /** The bundle of a file's text whose certificate is known to have these facts; null: it is to be read anew. */
  readonly rebuild: (text: Redacted.Redacted<string>, facts: CertificateFacts) => CertificateBundle | null
}

const isKey = ({ label }: PemBlock): boolean => label.endsWith("PRIVATE KEY")

const orderOf = (issuers: ReadonlyArray<PemBlock>): string => {
  const hash = createHash("sha256")
  for (const { der } of issuers) hash.update(createHash("sha256").update(der).digest())
  return hash.digest("base64")
}

export const make = (): KnownPem => {
  /** CAs have a handful of chains, whatever the number of certificates. */
  const orders = new Set<string>([orderOf([])])
  return {
    learn: ({ chainText }) => {
      const blocks = pemBlocks(chainText)
      if (blocks !== null && orders.size < 1_000) orders.add(orderOf(blocks.slice(1)))
    },
    rebuild: (text, facts) => {
      const blocks = pemBlocks(Redacted.value(text))
      if (blocks === null) return null
      const keys = blocks.filter(isKey)
      const certificates = blocks.filter((block) => !isKey(block))
      const [own, ...issuers] = certificates
      const [key] = keys
      if (own === undefined || key === undefined || keys.length !== 1 || key.encrypted) return null
      if (certificates.some(({ label }) => label !== "CERTIFICATE") || issuers.length !== facts.chain) return null
      if (createHash("sha256").update(own.der).digest("hex").toUpperCase() !== facts.sha256) return null
      if (!orders.has(orderOf(issuers))) return null
      const chainLines = certificates.flatMap(({ der }) => pemLines("CERTIFICATE", der))
      const lines = [...chainLines, ...pemLines(key.label, key.der)]
      return {
        facts,
        lines: Redacted.make(lines),
        text: Redacted.make(`${lines.join("\n")}\n`),
        chainText: `${chainLines.join("\n")}\n`,
        warnings: []
      }
    }
  }
}
