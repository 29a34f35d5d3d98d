/**
 * The wire of the Runtime API: commands to bytes, bytes to answers. Pure; Connection.ts owns the socket.
 *
 * Guarantees: no word or payload line can end a command, start another or leave its place (anything that could is a
 * defect, never sent); answers are split at any chunking exactly where HAProxy ended them. It does not know what an
 * answer means: that is each command's own parser.
 *
 * Framing, seen on 3.0.11, 3.2.26 and 3.4.7:
 * - `prompt i` (3.2+) answers one empty line and from then on every answer ends with an empty line; the answer of a
 *   command that says nothing is the empty line alone. No answer of a command in this folder has an empty line
 *   inside (`help`, `show info|stat|sess|map|servers state|ssl cert|crt-list`, transactions, refusals: checked).
 * - 3.0 ignores the `i` and switches to plain `prompt`: it answers `\n> `, and so does every command after its text.
 *   Each line of a payload but the last is answered with `+ ` at once, before the command's own text.
 */
import * as Result from "effect/Result"
import type { Command, Refusal, Verdict } from "./Command.ts"

/** How this connection's answers end: `quiet` is `prompt i`, `prompt` is 3.0's `> `. */
export type Framing = "quiet" | "prompt"

/** Sizes that HAProxy accepts; see Capabilities. */
export interface Limits {
  readonly maxLine: number
  readonly maxPayload: number
  /** Of one that cannot be sent in parts, its command's line included; as `maxPayload` when left out. */
  readonly maxWhole?: number
}

/**
 * Sent first on a connection. `prompt i` alone would not do: its empty answer could be the beginning of 3.0's `\n> `.
 * A command that says one line follows, so that the {@link Framing} is known without doubt.
 */
export const opening = "prompt i\nshow version\n"

/**
 * Reads the answer of the {@link opening}: the framing once it is complete, `more` while it is not, `strange` when
 * this is not a Runtime API that we know.
 *
 * 3.2.26: `\n3.2.26-1\n\n`; 3.0.11: `\n> 3.0.11-1+deb13u3\n\n> `.
 */
export const readOpening = (text: string): Framing | "more" | "strange" => {
  if (/^\n[0-9]\S*\n\n$/.test(text)) return "quiet"
  if (/^\n> [0-9]\S*\n\n> $/.test(text)) return "prompt"
  return /^(?:\n(?:> ?)?(?:[0-9]\S*\n{0,2}>?)?)?$/.test(text) ? "more" : "strange"
}

/** Printable ASCII without space and without what HAProxy's tokenizer treats: backslash, `;`, `<`, `#`, quotes, `$`. */
const word = /^[!%&()*+,\-./0-9:=>?@A-Z[\]^_`a-z{|}~]+$/
const payloadLine = /^[ !%&()*+,\-./0-9:=>?@A-Z[\]^_`a-z{|}~]*[!%&()*+,\-./0-9:=>?@A-Z[\]^_`a-z{|}~]$/

/** Can this text stand as a word of a command (a map key, a value, a path)? */
export const isWord = (text: string): boolean => word.test(text)

/** Can this text stand as a line of a payload? */
export const isPayloadLine = (text: string): boolean => payloadLine.test(text)

/** Over 64 words HAProxy refuses the line (3.2+). */
const maxWords = 64

/**
 * One command as bytes, ASCII. Dies (throws) on a word or line that could be read as something else, and on a
 * command that does not fit: both are mistakes of ours, not of the input, which was checked long before.
 */
export const encode = (command: Command<unknown>, limits: Limits): string => {
  const { payload, words } = command
  if (words.length === 0 || words.length > maxWords) throw new Error("a command has 1 to 64 words")
  for (const text of words) {
    if (!word.test(text)) throw new Error(`not a Runtime API word: ${JSON.stringify(text).slice(0, 80)}`)
  }
  const line = words.join(" ")
  if (line.length > limits.maxLine) throw new Error(`a command line of ${line.length} bytes does not fit`)
  if (payload === undefined) return line + "\n"
  if (payload.length === 0) throw new Error("a payload has at least one line")
  const lines: Array<string> = [""]
  for (const text of payload) {
    // A line that begins with a space would be harmless; one that is blank ends the payload.
    if (!payloadLine.test(text)) throw new Error("a payload line has a character that HAProxy would interpret")
    lines.push(text)
  }
  const terminator = freshTerminator(payload)
  lines.push(terminator, "")
  const body = lines.join("\n")
  const { maxPayload, maxWhole = maxPayload } = limits
  const fits = command.isWhole === true ? line.length + body.length <= maxWhole : body.length <= maxPayload
  if (!fits) throw new Error(`a payload of ${body.length} bytes does not fit`)
  return `${line} <<${terminator}${body}`
}

/** At most 7 characters: before 3.3 a longer one is not recognised and the payload would run as commands. */
const freshTerminator = (payload: ReadonlyArray<string>): string => {
  for (;;) {
    const terminator = Math.floor(Math.random() * 36 ** 6).toString(36).padStart(6, "0") + "z"
    if (!payload.includes(terminator)) return terminator
  }
}

/** Lines that 3.0 echoes as `+ ` before the answer of a payload command. */
export const echoes = (command: Command<unknown>): number =>
  command.payload === undefined ? 0 : command.payload.length + 1

/** Removes the `+ ` echoes; null when they are not all there, which means that answers are out of step. */
export const withoutEchoes = (answer: string, count: number): string | null => {
  if (count === 0) return answer
  const echo = "+ ".repeat(count)
  return answer.startsWith(echo) ? answer.slice(echo.length) : null
}

/** Splits a byte stream into answers. */
export class AnswerReader {
  private readonly parts: Array<Buffer> = []
  private readonly quiet: boolean
  private readonly terminator: string
  /** The last bytes of `parts`, at most 2: where a terminator may have begun. */
  private tail = ""
  private fresh = true

  constructor(framing: Framing) {
    this.quiet = framing === "quiet"
    this.terminator = this.quiet ? "\n\n" : "\n> "
  }

  /** Bytes of an unfinished answer are waiting. */
  get pending(): boolean {
    return this.parts.length > 0
  }

  /** Takes a chunk; calls `each` with every answer that it completes, without its terminator. */
  push(chunk: Buffer, each: (answer: string) => void): void {
    let from = 0
    while (from < chunk.length) {
      const end = this.findEnd(chunk, from)
      if (end < 0) {
        const rest = from === 0 ? chunk : chunk.subarray(from)
        this.parts.push(rest)
        this.tail = (this.tail + rest.toString("latin1", Math.max(0, rest.length - 2))).slice(-2)
        this.fresh = false
        return
      }
      const last = chunk.subarray(from, end)
      const all = this.parts.length === 0 ? last : Buffer.concat([...this.parts, last])
      const text = all.toString("utf8", 0, all.length - (this.quiet ? 1 : this.terminator.length))
      from = end
      this.parts.length = 0
      this.tail = ""
      this.fresh = true
      each(text)
    }
  }

  /** The index after the terminator that ends the answer going on at `from`, or -1. */
  private findEnd(chunk: Buffer, from: number): number {
    // In quiet mode an answer begins as if after a newline: an empty one is its empty line alone.
    const before = this.fresh && this.quiet ? "\n" : this.tail
    if (before !== "") {
      const seam = before + chunk.toString("latin1", from, from + this.terminator.length - 1)
      const at = seam.indexOf(this.terminator)
      if (at >= 0) return from + at + this.terminator.length - before.length
    }
    const found = chunk.indexOf(this.terminator, from, "latin1")
    return found < 0 ? -1 : found + this.terminator.length
  }
}

/** HAProxy's own words, made safe to carry: control characters out, 500 characters at most. */
export const refusal = (answer: string): Refusal => ({ text: plain(answer, 500) || "HAProxy gave no reason" })

/** A verdict for an answer that is not what success looks like. */
export const refused = (answer: string): Verdict<never> => Result.fail(refusal(answer))

/** Text of a stranger as data: one line, control characters replaced by spaces, length capped. */
export const plain = (text: string, limit: number): string =>
  // oxlint-disable-next-line no-control-regex
  text.slice(0, limit * 2).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim().slice(0, limit)

/** A command that says nothing when it succeeds. */
export const silent = (words: ReadonlyArray<string>): Command<void> => ({ words, parse: expectSilence })

const expectSilence = (answer: string): Verdict<void> => answer.trim() === "" ? Result.void : refused(answer)
