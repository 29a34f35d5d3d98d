/**
 * The result of a tool call, for every transport: the structured answer and its compact JSON, which is the same
 * document, because clients differ in which of the two a model sees.
 *
 * Every text in it is made safe to show: control and invisible formatting characters are gone, since strangers can
 * write some of the values (host headers, log lines), and no text is longer than {@link longestText}.
 */
import type { ControlError } from "../domain/Errors.ts"
import { type ErrorCode, toBody } from "../domain/Errors.ts"
import type { Encoded } from "./Tool.ts"

/** What a tool call answers. */
export interface ToolResult {
  /** The tool's answer, or `{error}`. */
  readonly structuredContent: Encoded
  /** The JSON of it. */
  readonly text: string
  readonly isError: boolean
  /** `OK` or the error's code. */
  readonly code: "OK" | ErrorCode
}

/** No value of an answer needs more; what a stranger wrote longer than this is cut. */
export const longestText = 4096

// C0 and C1 controls, soft hyphen, zero-width characters, direction overrides and tags: none is ever part of a value.
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu
// oxlint-disable-next-line no-control-regex
const hasUnsafe = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u

const safeText = (text: string): string => {
  const clean = hasUnsafe.test(text) ? text.replace(/[\t\r\n]+/g, " ").replace(unsafe, "") : text
  return clean.length > longestText ? `${clean.slice(0, longestText)}…` : clean
}

/** The same value with safe texts; the very same object when they all were. */
const safe = (value: unknown): unknown => {
  if (typeof value === "string") return safeText(value)
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) {
    let copy: Array<unknown> | undefined
    for (let index = 0; index < value.length; index++) {
      const item = safe(value[index])
      if (item !== value[index]) (copy ??= value.slice())[index] = item
    }
    return copy ?? value
  }
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(value)) {
    const before = (value as Encoded)[key]
    const item = safe(before)
    if (item !== before) (copy ??= { ...value })[key] = item
  }
  return copy ?? value
}

/** Something other than printable ASCII, or something that JSON escapes. */
const notPlain = /[^\u0020-\u005b\u005d-\u007e]/

const make = (content: Encoded, isError: boolean, code: ToolResult["code"]): ToolResult => {
  const json = JSON.stringify(content)
  // JSON writes an unsafe character as it is or behind a backslash, and no text is longer than the whole.
  if (json.length <= longestText && !notPlain.test(json)) {
    return { structuredContent: content, text: json, isError, code }
  }
  const structuredContent = safe(content) as Encoded
  return { structuredContent, text: JSON.stringify(structuredContent), isError, code }
}

/** The result of an answer. */
export const success = (answer: Encoded): ToolResult => make(answer, false, "OK")

/** The result of an error. */
export const failure = (error: ControlError): ToolResult => make({ error: toBody(error) }, true, error.code)
