/**
 * Keeps secrets out of what leaves the process by itself: log lines and spans. Redacted values show what they choose to
 * show; bearer tokens and private keys that slipped into a text are cut out of it. The last line of defence, not the
 * first.
 */
import * as Redactable from "effect/Redactable"

const secrets: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, "<private key>"],
  [/\b(Bearer\s+)[\w.~+/=-]+/gi, "$1<redacted>"],
  [/\b(MCP_TOKEN["']?\s*[=:]\s*["']?)[^\s"',;]+/g, "$1<redacted>"]
]

/** Cuts what looks like a secret out of a text. */
export const scrub = (text: string): string =>
  secrets.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), text)

/** What a secret's line always holds, whatever JSON does to the text around it. */
const suspicious = /bearer|MCP_TOKEN|PRIVATE KEY/i

/** A value as JSON may hold it. Redacted values and those with secrets of their own show what they choose to show. */
export const plain = (value: unknown): unknown => {
  const shown = Redactable.redact(value)
  if (typeof shown === "bigint" || typeof shown === "symbol" || typeof shown === "function") return String(shown)
  return shown instanceof Error ? `${shown.name}: ${shown.message}` : shown
}

const replacePlain = (_key: string, value: unknown): unknown => plain(value)

const replaceScrubbed = (_key: string, value: unknown): unknown => {
  const shown = plain(value)
  return typeof shown === "string" ? scrub(shown) : shown
}

/** A value as JSON without secrets. `simple`: nothing in it needs a replacer, as far as the caller knows. */
export const safeJson = (value: unknown, simple = false): string => {
  // A replacer costs more than all the rest, and secrets are rare: most texts need neither.
  const text = JSON.stringify(value, simple ? undefined : replacePlain)
  return suspicious.test(text) ? JSON.stringify(value, replaceScrubbed) : text
}
