/**
 * A real TLS handshake with HAProxy: which certificate it shows for a name.
 *
 * Guarantees: every connection is destroyed and every call ends within its timeout, with one of the results below; it
 * has no errors. Nothing is sent but the handshake. The certificate is not judged (a private CA, one that is not valid
 * yet: HAProxy serves them all): the caller compares its fingerprint with the one that was installed.
 */
import * as Effect from "effect/Effect"
import type { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import * as tls from "node:tls"
import type { Listener } from "../../domain/Address.ts"
import { plain } from "../Cli.ts"

/** Where to connect. */
export interface TlsAddress {
  readonly host: string
  readonly port: number
}

/** What a handshake showed. */
export type HandshakeResult =
  | {
    readonly _tag: "Certificate"
    /** SHA-256 of the DER of the first certificate, hexadecimal, upper case, without colons. */
    readonly sha256: string
    /** DNS names of its subject alternative name; a stranger's words. */
    readonly names: ReadonlyArray<string>
    /** Milliseconds since 1970. */
    readonly notAfter: number
    /** Certificates after the first, each the issuer of the one before. */
    readonly chain: number
    /** `TLSv1.3`. */
    readonly protocol: string
    /** `h2`, `http/1.1`; empty: none was chosen. */
    readonly alpn: string
  }
  /** It speaks TLS and ended the handshake: with `strict-sni`, there is no certificate for the name. */
  | { readonly _tag: "Refused"; readonly alert: string }
  /** Somebody answers, and not with TLS. */
  | { readonly _tag: "NotTls" }
  /** Nobody answers, or not in time. */
  | { readonly _tag: "Unreachable"; readonly reason: string }

export interface HandshakeOptions extends TlsAddress {
  /** Name to ask for (SNI); a wildcard is asked for by one of its hosts. */
  readonly serverName: string
  /** Milliseconds for all of it. */
  readonly timeout: number
}

/** Errors of OpenSSL that are an alert of the other side: `ERR_SSL_TLSV1_UNRECOGNIZED_NAME`, `…_ALERT_…`. */
const isAlert = (code: string): boolean =>
  /^ERR_SSL_(?:(?:SSL\/)?(?:TLSV\d+|SSLV3|TLS)_(?:ALERT_)?|.*_ALERT_)(?!.*(?:WRONG_VERSION|HTTP_REQUEST))/.test(code)

const explain = (error: NodeJS.ErrnoException): HandshakeResult => {
  const code = error.code ?? ""
  if (isAlert(code)) {
    const name = code.replace(/^ERR_SSL_(?:SSL\/)?(?:TLSV\d+|SSLV3|TLS)_(?:ALERT_)?/, "")
    return { _tag: "Refused", alert: name.toLowerCase().replaceAll("_", " ") }
  }
  if (code.startsWith("ERR_SSL_") || code === "ECONNRESET" || code === "EPROTO") return { _tag: "NotTls" }
  return { _tag: "Unreachable", reason: plain(code === "" ? error.message : code, 100) }
}

/** Certificates after the first. The last is its own issuer, or has none here: no store of roots is asked. */
const chainOf = (first: X509Certificate): number => {
  let length = 0
  const seen = new Set([first.fingerprint256])
  for (let next = first.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (seen.has(next.fingerprint256)) break
    seen.add(next.fingerprint256)
    length++
  }
  return length
}

/** At most 20 of them. */
const namesOf = ({ subjectAltName = "" }: X509Certificate): ReadonlyArray<string> =>
  subjectAltName.split(", ").flatMap((name) => name.startsWith("DNS:") ? [plain(name.slice(4), 255)] : []).slice(0, 20)

/*
 * One for all handshakes: making one takes as long as a handshake. Whatever is shown, it is compared by its
 * fingerprint. No roots: the chain is what was sent.
 */
const contexts: { lean?: tls.SecureContext; full?: tls.SecureContext } = {}
/** Curves that every HAProxy has, and no hybrid one: its key makes the hello five times as long. */
const lean = (): tls.SecureContext =>
  contexts.lean ??= tls.createSecureContext({ ca: [], ecdhCurve: "X25519:P-256:P-384:P-521" })
/** All that OpenSSL has. */
const full = (): tls.SecureContext => contexts.full ??= tls.createSecureContext({ ca: [] })

/** What HAProxy says when it has no certificate for the name, whatever curves it was offered (`strict-sni`). */
const isUnknownName = (alert: string): boolean => alert === "unrecognized name"

/** Connects, does the handshake, closes. A bind that wants other curves than the usual ones is offered all of them. */
export const handshake = (options: HandshakeOptions): Effect.Effect<HandshakeResult> =>
  Effect.suspend(() => {
    const ends = Date.now() + options.timeout
    return Effect.flatMap(handshakeWith(lean(), options), (result) => {
      const left = ends - Date.now()
      return result._tag === "Refused" && !isUnknownName(result.alert) && left > 0
        ? handshakeWith(full(), { ...options, timeout: left })
        : Effect.succeed(result)
    })
  })

const handshakeWith = (
  secureContext: tls.SecureContext,
  { host, port, serverName, timeout }: HandshakeOptions
): Effect.Effect<HandshakeResult> =>
  Effect.callback((resume) => {
    const name = serverName.startsWith("*.") ? `any.${serverName.slice(2)}` : serverName
    const socket = tls.connect({
      host,
      port,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      rejectUnauthorized: false,
      secureContext,
      ALPNProtocols: ["h2", "http/1.1"]
    })
    let timer: NodeJS.Timeout | undefined
    let isOver = false
    const end = (result: HandshakeResult) => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      socket.destroy()
      resume(Effect.succeed(result))
    }
    timer = setTimeout(() => end({ _tag: "Unreachable", reason: `no handshake within ${timeout} ms` }), timeout)
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate()
      end(
        certificate === undefined ? { _tag: "Refused", alert: "no certificate" } : {
          _tag: "Certificate",
          sha256: certificate.fingerprint256.replaceAll(":", ""),
          names: namesOf(certificate),
          notAfter: Date.parse(certificate.validTo),
          chain: chainOf(certificate),
          protocol: socket.getProtocol() ?? "",
          alpn: socket.alpnProtocol === false || socket.alpnProtocol === null ? "" : socket.alpnProtocol
        }
      )
    })
    socket.on("error", (error: NodeJS.ErrnoException) => end(explain(error)))
    socket.once("close", () => end({ _tag: "NotTls" }))
    return Effect.sync(() => {
      isOver = true
      clearTimeout(timer)
      socket.destroy()
    })
  })

/** A name that no certificate stands for (RFC 6761). */
const noName = "haproxy-mcp.invalid"

/** Addresses that are tried at the same time. */
const atOnce = 4

/**
 * The first of these addresses that speaks TLS, in their order; null: none does. `timeout` in milliseconds, for each of
 * them and, as many are tried at once, for most lists in all.
 */
export const findTls = (
  candidates: ReadonlyArray<TlsAddress>,
  timeout: number
): Effect.Effect<TlsAddress | null> =>
  Effect.gen(function*() {
    for (let at = 0; at < candidates.length; at += atOnce) {
      const group = candidates.slice(at, at + atOnce)
      const results = yield* Effect.forEach(group, (one) => handshake({ ...one, serverName: noName, timeout }), {
        concurrency: "unbounded"
      })
      const found = results.findIndex(({ _tag }) => _tag === "Certificate" || _tag === "Refused")
      if (found >= 0) return group[found]!
    }
    return null
  })

/** How much a port looks like one of HTTPS: 443, then 8443 and the like, then all others; 80 last. */
const rank = (port: number): number =>
  port === 443 ? 0 : port % 1_000 === 443 ? 1 : port === 80 || port === 8_080 ? 3 : 2

/**
 * Where TLS may be answered, most likely first: HAProxy's listeners, those on every address at `host`, without its
 * Runtime API.
 */
export const tlsCandidates = (listeners: ReadonlyArray<Listener>, host: string): ReadonlyArray<TlsAddress> => {
  const found = new Map<string, TlsAddress>()
  for (const { ip, name, port } of listeners) {
    if (name === "HAProxy's Runtime API") continue
    const at = ip === "0.0.0.0" || ip === "::" || ip === "*" || ip === "" ? host : ip
    found.set(`${at} ${port}`, { host: at, port })
  }
  return [...found.values()].toSorted((a, b) => rank(a.port) - rank(b.port))
}
