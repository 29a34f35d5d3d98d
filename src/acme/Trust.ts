/**
 * Whom to trust for HTTPS when ACME_CA_BUNDLE is set: those in it and those of the system, each once. Every curl of a
 * run reads the whole list.
 */
import { getCACertificates, rootCertificates } from "node:tls"

/** The certificates as PEM; `bundle` is a PEM text. */
export const trustedWith = (bundle: string): ReadonlyArray<string> => {
  // OpenSSL's file and its folder of links to the same certificates are both read.
  const system = getCACertificates("system")
  return [...new Set([bundle, ...(system.length > 0 ? system : rootCertificates)])]
}
