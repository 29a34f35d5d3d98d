/**
 * Faults that a test can put between a command and its answer.
 *
 * A fault waits for the n-th command from now on that matches; then it happens, once or as often as asked. Several
 * faults may wait at a time; the first one injected that is due wins.
 */

/** What goes wrong. */
export type Fault =
  /** Not run; answered with this text, as an error. */
  | { readonly _tag: "Refuse"; readonly text: string }
  /** Never answered, nor is anything after it on this connection. */
  | { readonly _tag: "Hang"; readonly run: boolean }
  /** Run or not, the connection is gone before its answer. */
  | { readonly _tag: "Drop"; readonly run: boolean }
  /** Run and answered; then the connection is gone. */
  | { readonly _tag: "AnswerThenDrop" }
  /** Run; only the first bytes of its answer arrive, then the connection is gone. */
  | { readonly _tag: "Partial"; readonly bytes: number }
  /** Run; its answer is other bytes, sent as they are, framing included. */
  | { readonly _tag: "Nonsense"; readonly bytes: string }
  /** Not run; these bytes come as its answer, sent as they are, framing included. */
  | { readonly _tag: "Pretend"; readonly bytes: string }
  /** Run; its answer arrives byte by byte, with so many milliseconds between them. */
  | { readonly _tag: "Slow"; readonly delay: number }

/** Constructors of {@link Fault}. */
export const Fault = {
  /** HAProxy says no, with this text. Nothing happened. */
  refuse: (text: string): Fault => ({ _tag: "Refuse", text }),
  /** No answer ever. The command was not run, unless `{ run: true }`. */
  hang: (options?: { readonly run?: boolean }): Fault => ({ _tag: "Hang", run: options?.run ?? false }),
  /** The connection drops before the command is run. */
  dropBefore: { _tag: "Drop", run: false } as Fault,
  /** The command is done and its answer is lost with the connection. */
  loseAnswer: { _tag: "Drop", run: true } as Fault,
  /** The command is done and answered, then the connection drops. */
  answerThenDrop: { _tag: "AnswerThenDrop" } as Fault,
  /** The command is done; the connection drops after so many bytes of its answer. */
  partial: (bytes: number): Fault => ({ _tag: "Partial", bytes }),
  /** The command is done; these bytes come instead of its answer. End them with an empty line to keep the framing. */
  nonsense: (bytes: string): Fault => ({ _tag: "Nonsense", bytes }),
  /**
   * The command is not run, and these bytes come instead of its answer: with those of a success (see `answer` of a
   * received command), something that only a read-back tells.
   */
  pretend: (bytes: string): Fault => ({ _tag: "Pretend", bytes }),
  /** The command is done; its answer trickles, one byte each `delay` milliseconds. */
  slow: (delay: number): Fault => ({ _tag: "Slow", delay })
} as const

/** Which commands: those that begin with this text, or match this expression. Payloads are not looked at. */
export type CommandPattern = string | RegExp

/** Does a command match? */
export const matches = (pattern: CommandPattern, text: string): boolean =>
  typeof pattern === "string" ? text.startsWith(pattern) : pattern.test(text)

/** When a fault is due. */
export interface FaultOptions {
  /** It begins with the n-th matching command from now on. Default 1. */
  readonly nth?: number
  /** How many matching commands in a row it hits. Default 1; `Infinity` until it is removed. */
  readonly times?: number
}

/** A fault that waits or has happened. */
export interface InjectedFault {
  readonly pattern: CommandPattern
  readonly fault: Fault
  /** Matching commands seen since it was injected. */
  seen: number
  /** How often it has happened. */
  hits: number
}

/** The faults that wait. */
export class Faults {
  private readonly waiting: Array<InjectedFault & { readonly nth: number; readonly times: number }> = []

  inject(pattern: CommandPattern, fault: Fault, options: FaultOptions = {}): InjectedFault {
    const injected = { pattern, fault, nth: options.nth ?? 1, times: options.times ?? 1, seen: 0, hits: 0 }
    this.waiting.push(injected)
    return injected
  }

  remove(fault: InjectedFault): void {
    const at = this.waiting.findIndex((other) => other === fault)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  clear(): void {
    this.waiting.length = 0
  }

  /** Counts a command and says what goes wrong with it, if anything. */
  next(text: string): Fault | undefined {
    if (this.waiting.length === 0) return undefined
    let due: (typeof this.waiting)[number] | undefined
    for (const fault of this.waiting) {
      if (!matches(fault.pattern, text)) continue
      fault.seen++
      if (due === undefined && fault.seen >= fault.nth && fault.hits < fault.times) due = fault
    }
    if (due === undefined) return undefined
    due.hits++
    if (due.hits >= due.times) this.remove(due)
    return due.fault
  }
}
