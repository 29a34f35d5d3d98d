/**
 * A Runtime API command as a value: typed words, an optional payload, and the parser of its answer. The one
 * encoder (Cli.ts) turns it into bytes; nothing else writes to the socket.
 */
import type * as Result from "effect/Result"

/** HAProxy answered, and not with what success looks like. `text` is HAProxy's own, trimmed and capped. */
export interface Refusal {
  readonly text: string
}

/** What one command got. A refusal is a value, so that one bad command never hides its neighbours' verdicts. */
export type Verdict<A> = Result.Result<A, Refusal>

/** One command. `A` is the value of a successful answer. */
export interface Command<out A> {
  /** Words of printable ASCII without `\ ; < # " ' $` or spaces; the encoder dies on anything else. */
  readonly words: ReadonlyArray<string>
  /** Lines of a payload, in the same alphabet plus spaces. Sent with a random terminator. */
  readonly payload?: ReadonlyArray<string>
  /** The payload cannot be sent in parts (a certificate): it may have `maxWhole` bytes instead of `maxPayload`. */
  readonly isWhole?: true
  /** Decides success by the text expected of this command; an unknown answer is a refusal. */
  readonly parse: (answer: string) => Verdict<A>
}

/** First words of commands that only ask. */
const asking: ReadonlySet<string> = new Set(["show", "get", "help"])

/** May the command change something in HAProxy? */
export const changesHaproxy = ({ words }: Pick<Command<unknown>, "words">): boolean => !asking.has(words[0]!)

/** The verdicts of a list of commands, position by position. */
export type Verdicts<C extends ReadonlyArray<Command<unknown>>> = {
  readonly [K in keyof C]: C[K] extends Command<infer A> ? Verdict<A> : never
}
