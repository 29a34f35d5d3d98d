/**
 * The CA's advice when to renew a certificate: ACME Renewal Information, RFC 9773.
 *
 * Asks the CA directly and without an account, as the RFC has it (4.1), over HTTPS with the system's trusted
 * certificates and those of ACME_CA_BUNDLE. Never fails: no advice is null. Asked without acme.sh because that gives
 * it only to its own renewals (3.1.3 and later). Not here: proxies, and when to ask again (`askAgain` says so).
 */
import * as Effect from "effect/Effect"
import { X509Certificate } from "node:crypto"
import { request } from "node:https"
import type { RenewalWindow } from "./Acme.ts"
import { trustedWith } from "./Trust.ts"

export interface RenewalInfoOptions {
  /** The directory URL of the CA. */
  readonly server: string
  /** The text of ACME_CA_BUNDLE; null when it is not set. */
  readonly caBundle: () => Promise<string | null>
}

/** Milliseconds for one question to the CA. */
const questionTime = 10_000
/** Bytes of an answer. */
const longestAnswer = 64 * 1024
/** Milliseconds that the CA's directory is kept, and that it is left alone after it did not answer. */
const directoryTime = 3_600_000
const failureTime = 60_000
/** RFC 9773, 4.3.2: clients should hold to limits; six hours are its advice where the CA names none. */
const [shortestWait, usualWait, longestWait] = [60_000, 6 * 3_600_000, 86_400_000]

/** Tag, content and what follows of the DER element at an offset; null where there is none (X.690, 8.1). */
const element = (der: Buffer, at: number): { tag: number; content: Buffer; next: number } | null => {
  const [tag, first] = [der[at], der[at + 1]]
  if (tag === undefined || first === undefined) return null
  const bytes = first < 0x80 ? 0 : first & 0x7f
  if (bytes > 4 || first === 0x80 || at + 2 + bytes > der.length) return null
  const length = bytes === 0 ? first : der.readUIntBE(at + 2, bytes)
  const start = at + 2 + bytes
  return start + length > der.length
    ? null
    : { tag, content: der.subarray(start, start + length), next: start + length }
}

/** The elements of a constructed one. */
const elements = (der: Buffer): ReadonlyArray<{ readonly tag: number; readonly content: Buffer }> => {
  const found: Array<{ readonly tag: number; readonly content: Buffer }> = []
  for (let at = 0, one = element(der, at); one !== null; at = one.next, one = element(der, at)) found.push(one)
  return found
}

/** id-ce-authorityKeyIdentifier, 2.5.29.35 (RFC 5280, 4.2.1.1). */
const authorityKeyIdentifier = Buffer.from([0x55, 0x1d, 0x23])

/**
 * The name of a certificate at its CA (RFC 9773, 4.1): base64url of the key identifier of its issuer, a dot, base64url
 * of its serial number as DER has it. Null without that extension.
 *
 * Node's X509Certificate gives neither in that form. An ASN.1 library is three packages and half a megabyte for two
 * fields of a structure that Node has parsed before, hence the walk above.
 */
export const certificateId = (pem: string): string | null => {
  const certificate = elements(new X509Certificate(pem).raw)[0]
  const body = elements(elements(certificate?.content ?? Buffer.alloc(0))[0]?.content ?? Buffer.alloc(0))
  const serial = body.find(({ tag }) => tag === 0x02)?.content
  const extensions = elements(body.find(({ tag }) => tag === 0xa3)?.content ?? Buffer.alloc(0))[0]
  for (const extension of elements(extensions?.content ?? Buffer.alloc(0))) {
    const parts = elements(extension.content)
    if (parts[0]?.content.equals(authorityKeyIdentifier) !== true) continue
    const value = elements(parts.at(-1)?.content ?? Buffer.alloc(0))[0]
    const keyIdentifier = elements(value?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === 0x80)?.content
    return keyIdentifier === undefined || serial === undefined
      ? null
      : `${keyIdentifier.toString("base64url")}.${serial.toString("base64url")}`
  }
  return null
}

interface Answer {
  readonly json: unknown
  readonly retryAfter: string | undefined
}

const get = (url: string, ca: ReadonlyArray<string> | undefined, signal: AbortSignal): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = {
      ...(ca === undefined ? {} : { ca: [...ca] }),
      agent: false,
      signal,
      headers: { accept: "application/json", "user-agent": "haproxy-mcp" }
    } as const
    const sent = request(url, options, (response) => {
      const parts: Array<Buffer> = []
      let size = 0
      response.on("data", (part: Buffer) => {
        size += part.length
        if (size > longestAnswer) response.destroy(new Error("too long"))
        else parts.push(part)
      })
      response.on("error", reject)
      response.on("end", () => {
        if (response.statusCode !== 200) return reject(new Error("refused"))
        try {
          const json: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"))
          resolve({ json, retryAfter: response.headers["retry-after"] })
        } catch (cause) {
          reject(cause instanceof Error ? cause : new Error("not JSON"))
        }
      })
    })
    sent.on("error", reject)
    sent.end()
  })

const field = (json: unknown, name: string): unknown =>
  typeof json === "object" && json !== null && Object.hasOwn(json, name)
    ? (json as Readonly<Record<string, unknown>>)[name]
    : undefined

const httpsUrl = (value: unknown): string | null =>
  typeof value === "string" && value.startsWith("https://") && URL.canParse(value) ? value : null

/** A Retry-After (RFC 9110, 10.2.3) in milliseconds, within limits. */
export const waitOf = (retryAfter: string | undefined, now: number): number => {
  const text = retryAfter?.trim() ?? ""
  const wait = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  return Number.isFinite(wait) ? Math.min(Math.max(wait, shortestWait), longestWait) : usualWait
}

const moment = (value: unknown): number => typeof value === "string" ? Date.parse(value) : Number.NaN

/** Makes the question for one CA. */
export const make = (options: RenewalInfoOptions) => {
  let directory: { readonly url: string | null; readonly until: number } | null = null
  const trusted = async () => {
    const bundle = await options.caBundle()
    return bundle === null ? undefined : trustedWith(bundle)
  }

  const baseUrl = async (signal: AbortSignal): Promise<string | null> => {
    const now = Date.now()
    if (directory !== null && now < directory.until) return directory.url
    try {
      const { json } = await get(options.server, await trusted(), signal)
      directory = { url: httpsUrl(field(json, "renewalInfo")), until: now + directoryTime }
    } catch (cause) {
      directory = { url: null, until: now + failureTime }
      throw cause
    }
    return directory.url
  }

  const ask = async (chain: string, signal: AbortSignal): Promise<RenewalWindow | null> => {
    const id = certificateId(chain)
    const base = id === null ? null : await baseUrl(signal)
    if (id === null || base === null) return null
    const { json, retryAfter } = await get(`${base.replace(/\/$/, "")}/${id}`, await trusted(), signal)
    const window = field(json, "suggestedWindow")
    const [start, end] = [moment(field(window, "start")), moment(field(window, "end"))]
    // RFC 9773, 4.2: an end that is not after the start is no advice.
    return end > start ? { start, end, askAgain: waitOf(retryAfter, Date.now()) } : null
  }

  return (chain: string): Effect.Effect<RenewalWindow | null> =>
    Effect.tryPromise((signal) => ask(chain, AbortSignal.any([signal, AbortSignal.timeout(questionTime)]))).pipe(
      Effect.orElseSucceed(() => null)
    )
}
