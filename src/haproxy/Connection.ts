/**
 * One connection to the Runtime API: opens it, tells the framing, and runs exchanges one after the other.
 *
 * Guarantees: an exchange gets exactly the answers of its own commands, in order, or the connection is closed; bytes
 * that nobody asked for, a timeout, or an answer out of step close it too. Every exchange ends: with its verdicts, or
 * with the reason and whether a byte of it may have reached HAProxy. Callbacks only: RuntimeApi.ts makes effects of
 * it. No retry, no reconnect.
 *
 * HAProxy runs the commands of a connection one at a time and stops reading while an answer waits to be read, so
 * reading never stops here, and no more than {@link window} bytes of commands are under way at once.
 */
import * as Result from "effect/Result"
import { createConnection } from "node:net"
import type { Duplex } from "node:stream"
import {
  AnswerReader,
  echoes,
  encode,
  type Framing,
  type Limits,
  opening,
  plain,
  readOpening,
  withoutEchoes
} from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** Where the Runtime API listens. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where it is reached: an address, or who opens a stream to it, as for one that is behind an SSH connection. */
export type Transport = SocketAddress | { readonly open: () => Duplex }

/** Bytes of commands that may be under way: enough to keep HAProxy busy, and little to be unsure of when it fails. */
const window = 256 * 1024

/** Before the probe has told more, no line is longer than this. */
const probeLimits: Limits = { maxLine: 1_000, maxPayload: 0 }

/** How an exchange ended. */
export interface Exchange {
  readonly commands: ReadonlyArray<Command<unknown>>
  /** Milliseconds without any byte from HAProxy after which the connection is given up. */
  readonly stall: number
  /** Its turn has come: the first bytes leave now. */
  readonly started?: () => void
  readonly done: (verdicts: ReadonlyArray<Verdict<unknown>>) => void
  /** `sent`: HAProxy may have run some of it. */
  readonly lost: (reason: string, sent: boolean) => void
  /** A mistake of ours: a command that cannot be written, or a parser that threw. */
  readonly defect: (error: unknown) => void
}

/** Ways to end an exchange early. Both do nothing once it has ended. */
export interface Handle {
  /** Nobody waits for it: what is unsent stays unsent, answers under way are read away, the connection goes on. */
  readonly abandon: () => void
  /** Its time is over: closes the connection if any of it was sent. */
  readonly expire: (reason: string) => void
}

const unread: Verdict<never> = Result.fail({ text: "not read" })

interface Running extends Exchange {
  /** All commands as bytes; empty until it is this exchange's turn. */
  encoded: ReadonlyArray<string>
  /** Commands written so far. */
  written: number
  /** Bytes written and not yet answered. */
  underWay: number
  readonly verdicts: Array<Verdict<unknown>>
  /** Nobody waits for it any more: no further command is sent, the answers of those sent are read away. */
  abandoned: boolean
}

/** A connection that is open, or was. */
export class Connection {
  /** Known once HAProxy answered the opening. */
  framing: Framing | null = null
  limits: Limits = probeLimits
  /** Why it is closed, once it is. */
  closed: string | null = null
  private reader: AnswerReader | null = null
  private readonly socket: Duplex
  private onClose: (reason: string) => void
  private readonly waiting: Array<Running> = []
  private current: Running | null = null
  private greeting = ""
  private timer: NodeJS.Timeout | undefined

  /** Begins to connect; exchanges may be queued at once. `onClose` is called once, also when connecting failed. */
  constructor(transport: Transport, onClose: (reason: string) => void) {
    this.onClose = onClose
    this.socket = connect(transport)
    this.socket.on("data", (chunk: Buffer) => this.receive(chunk))
    this.socket.on("error", (error: NodeJS.ErrnoException) => this.close(explain(error, "open" in transport)))
    this.socket.once("end", () => this.close("HAProxy closed the connection"))
    this.socket.once("close", () => this.close("the connection was closed"))
    this.socket.write(opening)
  }

  /** Replaces the callback for the end; called at once when it has ended already. */
  whenClosed(onClose: (reason: string) => void): void {
    this.onClose = onClose
    if (this.closed !== null) onClose(this.closed)
  }

  /** Queues an exchange behind those that wait. */
  run(exchange: Exchange): Handle {
    if (this.closed !== null) {
      exchange.lost(this.closed, false)
      return { abandon: () => {}, expire: () => {} }
    }
    const running: Running = { ...exchange, encoded: [], written: 0, underWay: 0, verdicts: [], abandoned: false }
    this.waiting.push(running)
    this.next()
    return {
      abandon: () => this.abandon(running, "nobody waits for it any more"),
      expire: (reason) => this.waiting.includes(running) ? this.abandon(running, reason) : this.close(reason)
    }
  }

  /** Closes the socket and ends every exchange. */
  close(reason: string): void {
    if (this.closed !== null) return
    this.closed = reason
    clearTimeout(this.timer)
    this.socket.destroy()
    const unfinished = this.current === null ? this.waiting : [this.current, ...this.waiting]
    this.current = null
    for (const exchange of unfinished) if (!exchange.abandoned) exchange.lost(reason, exchange.written > 0)
    this.waiting.length = 0
    this.onClose(reason)
  }

  private abandon(exchange: Running, reason: string): void {
    if (exchange.abandoned || this.closed !== null) return
    exchange.abandoned = true
    const index = this.waiting.indexOf(exchange)
    if (index >= 0) {
      this.waiting.splice(index, 1)
      exchange.lost(reason, false)
    } else if (exchange === this.current) {
      exchange.lost(reason, exchange.written > 0)
      if (exchange.verdicts.length === exchange.written) this.finish()
    }
  }

  /** Starts the next exchange when the connection is free. */
  private next(): void {
    while (this.current === null && this.framing !== null) {
      const exchange = this.waiting.shift()
      if (exchange === undefined) return
      this.current = exchange
      try {
        exchange.encoded = exchange.commands.map((command) => encode(command, this.limits))
      } catch (error) {
        this.current = null
        exchange.abandoned = true
        exchange.defect(error)
        continue
      }
      if (exchange.commands.length === 0) this.finish()
      else {
        exchange.started?.()
        this.write(exchange)
        this.watch(exchange.stall)
      }
    }
  }

  /** Writes as many commands as the window has room for, in one go. */
  private write(exchange: Running): void {
    if (exchange.abandoned) return
    let bytes = ""
    while (exchange.written < exchange.encoded.length && exchange.underWay < window) {
      const text = exchange.encoded[exchange.written++]!
      exchange.underWay += text.length
      bytes += text
    }
    if (bytes !== "") this.socket.write(bytes, "latin1")
  }

  private watch(stall: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.close(`HAProxy sent nothing for ${stall} ms`), stall)
  }

  /** Ends the current exchange; called only between chunks, so that what is left over belongs to nobody. */
  private finish(): void {
    const exchange = this.current!
    if (this.reader?.pending === true) {
      this.close("HAProxy answered more than it was asked")
      return
    }
    this.current = null
    clearTimeout(this.timer)
    if (!exchange.abandoned) exchange.done(exchange.verdicts)
    this.next()
  }

  private receive(chunk: Buffer): void {
    if (this.closed !== null) return
    if (this.reader === null) {
      this.greet(chunk)
      return
    }
    const exchange = this.current
    if (exchange === null) {
      this.close("HAProxy sent an answer that nobody waits for")
      return
    }
    this.timer?.refresh()
    this.reader.push(chunk, (answer) => this.answer(exchange, answer))
    if (this.closed !== null) return
    const unsent = exchange.abandoned ? 0 : exchange.encoded.length - exchange.written
    if (unsent === 0 && exchange.verdicts.length === exchange.written) this.finish()
    else if (exchange.underWay < window / 2) this.write(exchange)
  }

  private greet(chunk: Buffer): void {
    this.greeting += chunk.toString("latin1")
    const framing = readOpening(this.greeting)
    if (framing === "more") return
    if (framing === "strange") {
      this.close(`this does not answer like a HAProxy of today: ${plain(this.greeting, 60)}`)
      return
    }
    this.framing = framing
    this.reader = new AnswerReader(framing)
    this.next()
  }

  private answer(exchange: Running, answer: string): void {
    if (this.closed !== null) return
    const index = exchange.verdicts.length
    if (index >= exchange.written) {
      this.close("HAProxy sent more answers than it was asked for")
      return
    }
    const command = exchange.commands[index]!
    const text = this.framing === "prompt" ? withoutEchoes(answer, echoes(command)) : answer
    if (text === null) {
      this.close("HAProxy's answers are out of step")
      return
    }
    exchange.underWay -= exchange.encoded[index]!.length
    if (exchange.abandoned) {
      exchange.verdicts.push(unread)
      return
    }
    try {
      exchange.verdicts.push(command.parse(text))
    } catch (error) {
      exchange.verdicts.push(unread)
      exchange.abandoned = true
      exchange.defect(error)
    }
  }
}

/** Begins to connect. */
export const connect = (transport: Transport): Duplex => {
  if ("open" in transport) return transport.open()
  return createConnection("path" in transport ? { path: transport.path } : { ...transport, noDelay: true })
}

/** A socket error in an operator's words; who opened it for us knows better what a failure to do so means. */
export const explain = (error: NodeJS.ErrnoException, opened: boolean): string => {
  if (opened && error.code !== "ECONNRESET" && error.code !== "EPIPE") return plain(error.message, 200)
  switch (error.code) {
    case "ENOENT":
      return "there is no Runtime API socket at this path"
    case "ECONNREFUSED":
      return "nobody listens on the Runtime API's address"
    case "EACCES":
      return "the Runtime API socket may not be opened by this user"
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the Runtime API's host name cannot be resolved"
    case "ECONNRESET":
    case "EPIPE":
      return "HAProxy closed the connection"
    default:
      return `the Runtime API cannot be reached (${error.code ?? "no code"})`
  }
}
