/**
 * From bytes to commands: the framing of the Runtime API, for one connection.
 *
 * The unit that HAProxy reads is a command on 3.0 (ended by `;` or newline) and a line on 3.2 and later (ended by a
 * newline, run command by command). A unit whose last word is `<<TERM` goes on until a line that is TERM alone.
 * Guarantees: the same bytes give the same units, however they are cut. It knows nothing of what commands mean.
 */
import { findDelimiter, type Parsed, splitLine, terminatorOf, wordsOf } from "./CommandLine.ts"
import type { Traits } from "./Line.ts"

/** What was read next. */
export type Unit =
  | {
    readonly _tag: "Commands"
    readonly commands: ReadonlyArray<Parsed>
    /** Without `prompt` the connection closes after it. */
    readonly last: boolean
    /** Lines of the payload and its terminator: 3.0 answers each with `+ ` in prompt mode. */
    readonly echoes: number
  }
  /** The connection ends with this text, without the empty line of an answer. */
  | { readonly _tag: "Fatal"; readonly text: string }
  /** HAProxy never answers again on this connection. */
  | { readonly _tag: "Stalled" }

/** The end of the unit that begins at `from`: a newline, or on 3.0 also `;`, that is not escaped. */
const findEnd = (text: string, from: number, byCommand: boolean): number => {
  const newline = text.indexOf("\n", from)
  const line = text.slice(from, newline < 0 ? text.length : newline)
  if (line.includes("\\")) return findDelimiter(text, byCommand ? "\n;" : "\n", from)
  const semicolon = byCommand ? line.indexOf(";") : -1
  return semicolon < 0 ? newline : from + semicolon
}

/** Reads one connection. */
export class Reader {
  private readonly traits: Traits
  private buffer = ""
  private from = 0
  /** Where the search for the end of the unit goes on. */
  private searched = 0
  /** The unit has announced a payload; `head` is its text before `<<`. */
  private open: { readonly head: string; readonly body: number; readonly terminator: string } | undefined

  constructor(traits: Traits) {
    this.traits = traits
  }

  /** Takes bytes. */
  push(chunk: Buffer): void {
    if (this.from > 0) {
      this.buffer = this.buffer.slice(this.from)
      this.searched -= this.from
      if (this.open !== undefined) this.open = { ...this.open, body: this.open.body - this.from }
      this.from = 0
    }
    this.buffer += chunk.toString("latin1")
  }

  /** Bytes are left that are no complete unit, and they end within a line of a payload. */
  get withinPayloadLine(): boolean {
    return this.open !== undefined && this.buffer.length > this.open.body && !this.buffer.endsWith("\n")
  }

  /** Forgets everything received. */
  clear(): void {
    this.buffer = ""
    this.from = 0
    this.searched = 0
    this.open = undefined
  }

  /** The next complete unit, or `undefined` when more bytes are needed. */
  next(): Unit | undefined {
    if (this.open === undefined) {
      const unit = this.readLine()
      if (this.open === undefined) return unit
    }
    return this.readPayload(this.open)
  }

  private readLine(): Unit | undefined {
    const { maxLine, quietPrompt } = this.traits
    const end = findEnd(this.buffer, this.from, !quietPrompt)
    const size = (end < 0 ? this.buffer.length : end + 1) - this.from
    if (size > maxLine) return this.fatal(this.traits.tooBig)
    if (end < 0) return undefined
    let line = this.buffer.slice(this.from, end)
    const carriageReturn = line.endsWith("\r")
    if (carriageReturn) line = line.slice(0, -1)
    const terminator = terminatorOf(line)
    if (terminator !== undefined && terminator.name.length <= this.traits.maxTerminator) {
      this.open = { head: line.slice(0, terminator.at), body: end + 1, terminator: terminator.name }
      this.searched = end
      return undefined
    }
    const newline = this.buffer[end] === "\n"
    this.from = end + 1
    // 3.0 looks for `<<` to know that more will come, also when it then does not take it for a payload.
    const last = newline && (quietPrompt || terminator === undefined)
    return this.commands(line + (quietPrompt && carriageReturn ? "\0" : ""), undefined, last, 0)
  }

  private readPayload(
    open: { readonly head: string; readonly body: number; readonly terminator: string }
  ): Unit | undefined {
    const { maxPayload, maxUnit, payloadTooBig, stallsFrom, strictPayload } = this.traits
    const mark = `\n${open.terminator}\n`
    const found = this.buffer.indexOf(mark, Math.max(open.body - 1, this.searched - mark.length))
    const end = found < 0 ? this.buffer.length : found + mark.length
    if (end - this.from > maxUnit || end - open.body > maxPayload) return this.fatal(payloadTooBig)
    if (found < 0) {
      this.searched = this.buffer.length
      return undefined
    }
    if (end - this.from >= stallsFrom) return { _tag: "Stalled" }
    const noLine = found < open.body
    const text = noLine ? "" : this.buffer.slice(open.body, found)
    this.from = end
    this.open = undefined
    if (strictPayload && open.head.trim() === "") {
      return this.fatal("The payload cannot be passed without command.\n")
    }
    // Without a line, HAProxy before 3.3 takes the terminator and its newline for the payload; from 3.4 there is none.
    const payload = strictPayload ? (text === "" ? undefined : text) : noLine ? `${open.terminator}\n` : text
    return this.commands(open.head, payload, true, noLine ? 1 : text.split("\n").length + 1)
  }

  private commands(line: string, payload: string | undefined, last: boolean, echoes: number): Unit {
    const texts = this.traits.quietPrompt ? splitLine(line) : [line.split("\0", 1)[0]!]
    const commands = texts.map((text, index): Parsed => ({
      words: wordsOf(text),
      text: text.trim(),
      payload: index === texts.length - 1 ? payload : undefined
    }))
    return { _tag: "Commands", commands, last, echoes }
  }

  private fatal(text: string): Unit {
    this.clear()
    return { _tag: "Fatal", text }
  }
}
