/**
 * The HTTPS part of the generated haproxy.cfg: HTTP/1.1 and HTTP/2 over TLS, HTTP/3 over QUIC, the redirect from HTTP.
 *
 * One text serves HAProxy 3.0, 3.2 and 3.4, built with QUIC or without: what needs QUIC stands in `.if feature(QUIC)`.
 * Which names have a certificate is not decided here, but by the folder (or crt-list) and what is added at run time.
 *
 * HTTP/3 and HAProxy 3.0.11 (Debian 13) and older: a ClientHello in many small pieces out of order, as ngtcp2 and
 * Chrome send it, is often not put together ("cannot bufferize frame due to gap size limit"), the more so the longer
 * it is (post-quantum key shares). No setting helps; such clients go on with HTTP/2. Mended in August 2025,
 * https://github.com/haproxy/haproxy/issues/3141.
 */
import { formatEndpoint } from "../domain/Address.ts"
import { commandPath, comment, ifBuiltWith, isPlain, type Lines } from "./ConfigText.ts"

/** HTTPS of the frontend. Paths are those that HAProxy sees, and what they name must exist. */
export interface HttpsOptions {
  /** A folder of PEM files, which may be empty with `strictSni`; or a crt-list, the same. */
  readonly certificates: { readonly folder: string } | { readonly list: string }
  /** A name without a certificate gets no TLS, instead of the first certificate. */
  readonly strictSni: boolean
  readonly http3: boolean
  /** Everyone who asks by HTTP is sent to HTTPS. */
  readonly redirect: boolean
}

/** What must be there before HAProxy starts, for the head of the file. */
export const needed = ({ certificates, strictSni }: HttpsOptions): Lines => {
  const empty = strictSni ? ", and may be empty" : ""
  return "folder" in certificates
    ? [`So must the folder of certificates${empty}: install -d -m 700 ${certificates.folder}`]
    : [`So must the crt-list${empty}: ${certificates.list}`]
}

/** What the frontend binds. */
interface Frontend {
  readonly addresses: ReadonlyArray<string>
  readonly httpsPort: number
}

/**
 * Mozilla's intermediate recommendation (https://ssl-config.mozilla.org/#server=haproxy&config=intermediate, guideline
 * 5.7) without its DHE suites, which need parameters of their own; key exchange groups are left to OpenSSL, whose own
 * list has the post-quantum ones where it knows them.
 */
const ciphers = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"].flatMap((cipher) =>
  ["ECDSA", "RSA"].map((key) => `ECDHE-${key}-${cipher}`)
)
const suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]

/** Lines of the global section. */
export const globalLines = (tls: HttpsOptions): Lines => [
  ...comment(
    "TLS as Mozilla's \"intermediate\" has it (https://ssl-config.mozilla.org). No session tickets: one key would open all",
    "of them for as long as this process lives; sessions are resumed from HAProxy's own cache."
  ),
  `ssl-default-bind-ciphers ${ciphers.join(":")}`,
  `ssl-default-bind-ciphersuites ${suites.join(":")}`,
  "ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets",
  ...(tls.http3
    ? [
      ...comment("HTTP/3 of a HAProxy whose OpenSSL has no QUIC of its own (3.0; and OpenSSL before 3.5.2)."),
      ...ifBuiltWith("QUIC_OPENSSL_COMPAT", "limited-quic")
    ]
    : [])
]

const renameHint =
  "Choose another HAPROXY_CERT_DIR, or set HAPROXY_RUNTIME_CERT_DIR to a path of the same folder without them, such as "
  + "one relative to the folder that HAProxy runs in."

/** `ssl crt /opt/haproxy/certs strict-sni` */
const ssl = ({ certificates, strictSni }: HttpsOptions): string => {
  const [keyword, path, what] = "folder" in certificates
    ? ["crt", certificates.folder, "the folder of certificates"] as const
    : ["crt-list", certificates.list, "the crt-list"] as const
  const checked = commandPath(path, what, renameHint)
  return `ssl ${keyword} ${isPlain(checked) ? checked : `"${checked}"`}${strictSni ? " strict-sni" : ""}`
}

const whatIsBound = ({ certificates, strictSni }: HttpsOptions): Lines => {
  const place = "folder" in certificates ? "folder" : "crt-list"
  return strictSni
    ? comment(
      "strict-sni: no certificate for a name means no TLS, instead of another site's certificate; and the",
      `${place} may be empty at start, but it must exist. Certificates added at run time go into its list.`
    )
    : comment(
      "Without strict-sni a name that has no certificate gets the first one. HAProxy does not start while the",
      `${place} is empty, and refuses to delete that first certificate. Certificates added at run time go into its list.`
    )
}

/** The `bind` lines: TCP, and UDP for HTTP/3. */
export const bindLines = (tls: HttpsOptions, { addresses, httpsPort }: Frontend): Lines => {
  const each = (make: (endpoint: string, v6: boolean) => string): Lines =>
    addresses.map((ip) => make(formatEndpoint(ip, httpsPort), ip.includes(":")) + (ip === "::" ? " v6only" : ""))
  return [
    ...whatIsBound(tls),
    ...each((endpoint) => `bind ${endpoint} ${ssl(tls)} alpn h2,http/1.1`),
    ...(tls.http3
      ? ifBuiltWith(
        "QUIC",
        ...each((endpoint, v6) => `bind quic${v6 ? 6 : 4}@${endpoint} ${ssl(tls)} alpn h3`)
      )
      : [])
  ]
}

/** Tells clients of HTTP/3 (RFC 7838), for as many seconds as they may keep that in mind. */
export const altSvcLines = (tls: HttpsOptions, httpsPort: number): Lines =>
  tls.http3
    ? [
      ...comment(
        "HTTP/3 is there too, on the same port of UDP. Write the port that clients see, if it is another one."
      ),
      ...ifBuiltWith("QUIC", `http-after-response set-header Alt-Svc 'h3=":${httpsPort}"; ma=86400' if { ssl_fc }`)
    ]
    : []

/** Sends a request to HTTPS under the same host and path; `txn.host` has neither port nor capitals. */
export const redirectTo = (httpsPort: number): string =>
  `http-request redirect prefix https://%[var(txn.host)]${httpsPort === 443 ? "" : `:${httpsPort}`} code 308`

/** What an ACME server asks a site itself goes there, so that a site may prove its name (RFC 8555, 8.3). */
const proofs = "/.well-known/acme-challenge/"

/** After the routing: a name that nobody routes is told so, not sent on. */
export const redirectLines = (tls: HttpsOptions, httpsPort: number): Lines => {
  const line = `${redirectTo(httpsPort)} if !{ ssl_fc } !{ path_beg ${proofs} }`
  return tls.redirect
    ? [
      ...comment(
        "Every site by HTTPS: one without a certificate cannot be reached. The path is for proofs to an ACME CA."
      ),
      line
    ]
    : comment("To send everyone to HTTPS, once every site has a certificate (HAPROXY_HTTPS_REDIRECT=on):", line)
}
