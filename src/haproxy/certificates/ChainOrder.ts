/**
 * Which of some certificates is the site's own, and which signed it, in order. The order in which they are given
 * counts for nothing: of several that fit, the one that is valid longest is taken.
 */
import type { KeyObject, X509Certificate } from "node:crypto"

/** The certificates that a server sends. */
export interface OrderedChain {
  /** The site's own, then each issuer after the one that it signed; without a root that signed another one. */
  readonly chain: ReadonlyArray<X509Certificate>
  /** Those that have nothing to do with it. Roots and second versions of an issuer are not among them. */
  readonly unrelated: ReadonlyArray<X509Certificate>
}

/** OpenSSL's own look at names and key identifiers, then the signature. */
const signed = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

const isRoot = (certificate: X509Certificate): boolean =>
  certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey)

/** Longest valid first; the fingerprint decides between equals, so that any order gives the same one. */
const byEnd = (left: X509Certificate, right: X509Certificate): number =>
  right.validToDate.getTime() - left.validToDate.getTime() || (left.fingerprint256 < right.fingerprint256 ? -1 : 1)

/** Orders them; null when none belongs to the key. */
export const orderChain = (certificates: ReadonlyArray<X509Certificate>, key: KeyObject): OrderedChain | null => {
  const rest = [...new Map(certificates.map((one) => [one.fingerprint256, one])).values()].sort(byEnd)
  const own = rest.filter((one) => one.checkPrivateKey(key))
  // A CA may have a certificate of its own key beside the site's: whoever signed another one is not the site.
  const leaf = own.find((one) => !rest.some((other) => other !== one && signed(one, other))) ?? own[0]
  if (leaf === undefined) return null
  const chain = [leaf]
  const related = new Set<X509Certificate>([leaf])
  for (let last = leaf; !isRoot(last);) {
    const issuers = rest.filter((one) => !chain.includes(one) && signed(one, last))
    for (const issuer of issuers) related.add(issuer)
    // A root that another CA has signed as well: clients who know only the other one need that certificate.
    const next = issuers.find((one) => !isRoot(one)) ?? issuers[0]
    if (next === undefined) break
    chain.push(next)
    last = next
  }
  // Whoever trusts a root has it.
  if (chain.length > 1 && isRoot(chain.at(-1)!)) chain.pop()
  return { chain, unrelated: rest.filter((one) => !related.has(one)) }
}
