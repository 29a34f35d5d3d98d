/**
 * The CAs by the short names of acme.sh (its own table, CA_NAMES and CA_SERVERS of 3.0.6 to 3.1.5), and what each of
 * them wants before it gives an account. A name that is not here is the URL of an ACME directory.
 */

/** What a CA wants for a new account. */
export type Wants = "nothing" | "binding" | "binding or e-mail"

/** A CA. */
export interface Server {
  /** The URL of its directory (RFC 8555, 7.1.1). */
  readonly directory: string
  readonly wants: Wants
}

const server = (directory: string, wants: Wants = "nothing"): Server => ({ directory, wants })

const known: { readonly [name: string]: Server } = {
  letsencrypt: server("https://acme-v02.api.letsencrypt.org/directory"),
  letsencrypt_test: server("https://acme-staging-v02.api.letsencrypt.org/directory"),
  buypass: server("https://api.buypass.com/acme/directory"),
  buypass_test: server("https://api.test4.buypass.no/acme/directory"),
  // acme.sh asks ZeroSSL for a binding by itself when it has an e-mail address.
  zerossl: server("https://acme.zerossl.com/v2/DV90", "binding or e-mail"),
  sslcom: server("https://acme.ssl.com/sslcom-dv-rsa", "binding"),
  google: server("https://dv.acme-v02.api.pki.goog/directory", "binding"),
  google_test: server("https://dv.acme-v02.test-api.pki.goog/directory", "binding"),
  actalis: server("https://acme-api.actalis.com/acme/directory", "binding")
}

/** SSL.com signs elliptic keys at another directory. */
const sslcomElliptic = server("https://acme.ssl.com/sslcom-dv-ecc", "binding")

/** Names that can be written for a CA. */
export const names: ReadonlyArray<string> = Object.keys(known)

/** The CA of a setting, or null when it is neither a known name nor a URL. */
export const find = (text: string, keyType: string): Server | null => {
  if (text.startsWith("https://")) {
    const byUrl = [...Object.values(known), sslcomElliptic].find(({ directory }) => directory === text)
    return byUrl ?? server(text)
  }
  const name = text.toLowerCase().replace(/\.(?:com|org)(?=_|$)/, "").replace(/(?<!_)test$/, "_test")
  return name === "sslcom" && keyType.startsWith("ec-")
    ? sslcomElliptic
    : Object.hasOwn(known, name)
    ? known[name]!
    : null
}

/**
 * Where acme.sh keeps the account of a CA below its CA folder: host and path of the directory, without its port
 * (`_initpath` of acme.sh 3.0.6 to 3.1.5).
 */
export const accountPath = (directory: string): string => {
  const { hostname, pathname } = new URL(directory)
  return hostname + pathname.replace(/\/{2,}/g, "/").replace(/\/$/, "")
}
