/**
 * One connection of the fake: reads units, runs their commands in the worker it was opened to, frames the answers.
 *
 * Guarantees: commands run in the order received; what was received is run even when the client has gone (but for
 * 3.0, which then runs two commands); nothing runs while the fake is paused. Answers are kept until the client reads
 * them; the real HAProxy stops running commands instead, which no client of answers can see.
 */
import type { Socket } from "node:net"
import { type Answer, message, render } from "./Answer.ts"
import type { Parsed } from "./CommandLine.ts"
import type { Fault } from "./Fault.ts"
import type { Process, Session } from "./Process.ts"
import { Prompt } from "./Prompt.ts"
import { Reader, type Unit } from "./Reader.ts"

/** What a connection asks of the fake that it belongs to. */
export interface Host {
  readonly paused: boolean
  /** Milliseconds of silence that a connection is allowed. */
  readonly idleTimeout: number
  readonly now: () => number
  /** Notes a command; says what goes wrong with it. */
  readonly receive: (
    connection: Connection,
    command: Parsed
  ) => { readonly fault: Fault | undefined; readonly entry: Entry }
  /** The command was dealt with. */
  readonly handled: (entry: Entry) => void
  readonly closed: (connection: Connection) => void
}

/** A command in the log. */
export interface Entry {
  answer: string | undefined
  ran: boolean
}

type Commands = Extract<Unit, { readonly _tag: "Commands" }>

/** One connection. */
export class Connection {
  readonly number: number
  readonly process: Process
  readonly session: Session
  private readonly host: Host
  private readonly socket: Socket
  private readonly reader: Reader
  private readonly prompt: Prompt
  /** 3.0 remembers for good that it has read a whole line without a prompt. */
  private lastLine = false
  private unit: Commands | undefined
  private index = 0
  private output: Array<string> = []
  private flushing = false
  /** No more commands run: it hangs, or it is over. */
  private stopped = false
  /** An answer is trickling. */
  private busy = false
  private ended = false
  private gone = false
  private runsLeft = Number.POSITIVE_INFINITY
  private timer: NodeJS.Timeout | undefined
  /** False while all places of the socket are taken. */
  admitted = false

  constructor(host: Host, socket: Socket, process: Process, number: number) {
    this.host = host
    this.socket = socket
    this.process = process
    this.number = number
    this.reader = new Reader(process.traits)
    this.prompt = new Prompt(process.traits)
    const tcp = socket.remotePort !== undefined
    this.session = {
      number,
      protocol: tcp ? "tcpv4" : "unix_stream",
      source: tcp ? `${socket.remoteAddress}:${socket.remotePort}` : "unix:1",
      since: host.now(),
      severity: "none"
    }
    socket.setNoDelay(true)
    if (Number.isFinite(host.idleTimeout)) {
      socket.setTimeout(host.idleTimeout, () => {
        if (!host.paused && !this.busy) this.close()
      })
    }
    socket.on("data", (chunk: Buffer) => {
      this.reader.push(chunk)
      this.work()
    })
    socket.on("end", () => {
      this.ended = true
      if (this.stopped) socket.destroySoon()
      else this.work()
    })
    socket.on("error", () => undefined)
    socket.on("close", () => {
      this.gone = true
      this.ended = true
      this.work()
      this.finish()
    })
  }

  /** Runs what is complete, as far as nothing holds it back. */
  work(): void {
    if (!this.admitted || this.host.paused || this.stopped || this.busy) return
    for (;;) {
      if (this.unit === undefined) {
        const unit = this.reader.next()
        if (unit === undefined) break
        if (!this.begin(unit)) return
        continue
      }
      if (this.index < this.unit.commands.length) {
        if (this.runsLeft-- <= 0) return this.close()
        this.run(this.unit.commands[this.index++]!)
        if (this.stopped || this.busy) break
        continue
      }
      this.endUnit(this.unit)
      if (this.stopped) break
    }
    this.process.servers.settle()
    if (this.ended && !this.stopped && !this.busy) this.close()
    else this.flush()
  }

  private begin(unit: Unit): boolean {
    if (unit._tag === "Stalled") {
      this.stopped = true
      this.flush()
      return false
    }
    if (unit._tag === "Fatal") {
      this.close(unit.text)
      return false
    }
    this.unit = unit
    this.index = 0
    if (this.prompt.mode === "n" && unit.last) this.lastLine = true
    if (!this.process.traits.quietPrompt && this.prompt.mode === "p") this.output.push("+ ".repeat(unit.echoes))
    return true
  }

  private endUnit(unit: Commands): void {
    this.unit = undefined
    const { quietPrompt } = this.process.traits
    if (this.prompt.mode !== "n") {
      if (quietPrompt && this.prompt.mode === "p") this.output.push(this.promptText())
    } else if (quietPrompt ? unit.last : this.lastLine) this.close()
  }

  private promptText(): string {
    return this.prompt.text(this.host.now() - this.process.started)
  }

  private run(command: Parsed): void {
    const { entry, fault } = this.host.receive(this, command)
    const runs = fault === undefined ||
      (fault._tag === "Hang" || fault._tag === "Drop" ? fault.run : fault._tag !== "Refuse" && fault._tag !== "Pretend")
    const answer = fault?._tag === "Refuse" ? this.frame(message(3, fault.text)) : runs ? this.execute(command) : ""
    entry.ran = runs
    if (fault === undefined || fault._tag === "Refuse") {
      this.output.push(answer)
      entry.answer = answer
      if (command.words[0] === "quit") this.close()
    } else entry.answer = this.fail(fault, answer)
    this.host.handled(entry)
    if (this.process.traits.losesCommandsOnClose && !this.busy) this.flushNow()
  }

  /** Does to an answer what the fault says; returns what of it was sent. */
  private fail(fault: Fault, answer: string): string | undefined {
    switch (fault._tag) {
      case "Hang":
        this.stopped = true
        return undefined
      case "Drop":
        this.close()
        return undefined
      case "AnswerThenDrop":
        this.close(answer)
        return answer
      case "Partial":
        this.close(answer.slice(0, fault.bytes))
        return answer.slice(0, fault.bytes)
      case "Nonsense":
      case "Pretend":
        this.output.push(fault.bytes)
        return fault.bytes
      case "Slow":
        this.trickle(answer, fault.delay)
        return answer
      default:
        return answer
    }
  }

  private trickle(answer: string, delay: number): void {
    this.flushNow()
    this.busy = true
    let at = 0
    const step = () => {
      if (this.gone || at >= answer.length) {
        this.busy = false
        this.work()
        return
      }
      this.socket.write(answer[at++]!, "latin1")
      this.timer = setTimeout(step, delay)
    }
    step()
  }

  private execute(command: Parsed): string {
    const [name, ...options] = command.words
    if (name === "quit") return ""
    return this.frame(name === "prompt" ? this.prompt.set(options) : this.process.run(command, this.session))
  }

  private frame(answer: Answer): string {
    const text = render(answer, this.session.severity)
    return this.prompt.mode === "p" && !this.process.traits.quietPrompt ? `${text}\n${this.promptText()}` : `${text}\n`
  }

  /** Sends what is answered once everything that has arrived is run. */
  private flush(): void {
    if (this.flushing || this.output.length === 0) return
    this.flushing = true
    setImmediate(() => {
      this.flushing = false
      this.flushNow()
    })
  }

  private flushNow(): void {
    const output = this.output.join("")
    this.output = []
    if (output === "") return
    if (this.gone || this.socket.destroyed) return
    this.socket.write(output, "latin1")
    // 3.0 notices that the client has gone when it writes, and gives up after the command that follows.
    if (this.process.traits.losesCommandsOnClose && this.socket.errored !== null) {
      this.runsLeft = Math.min(this.runsLeft, 1)
    }
  }

  /** Sends what is answered, and `last`, then closes. */
  close(last = ""): void {
    this.stopped = true
    this.output.push(last)
    this.flushNow()
    this.socket.destroySoon()
  }

  /** Ends the connection at once, as the end of the process does. */
  kill(): void {
    this.stopped = true
    this.output = []
    this.finish()
    this.socket.destroy()
  }

  private finish(): void {
    if (this.host.paused && !this.stopped) return
    clearTimeout(this.timer)
    this.stopped = true
    const lingers = this.process.traits.keepsClosedPayload && this.reader.withinPayloadLine
    if (!lingers) this.process.sessions.delete(this.session)
    this.host.closed(this)
  }

  /** Catches up after a pause. */
  resume(): void {
    this.work()
    if (this.gone) this.finish()
  }
}
