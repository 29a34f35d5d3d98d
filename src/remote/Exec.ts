/**
 * Runs one command on HAProxy's host. Words only, quoted by Quote.ts; the command ends itself there after its time, and
 * what it prints is cut. A command whose answer was lost may have run.
 *
 * sshd allows ten sessions on a connection and SFTP is one; {@link sessions} run at once here, the others wait.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ClientChannel } from "ssh2"
import { RemoteUnreachable } from "../domain/Errors.ts"
import { plain } from "./Failure.ts"
import type { Link } from "./Link.ts"
import { bounded } from "./Quote.ts"

/** Commands at once; with SFTP they are four sessions. */
export const sessions = 3

/** Bytes that are kept of each output when nothing else is said. */
const usual = 1 << 20

export interface ExecOptions {
  /** Milliseconds; the command gets SIGTERM there when they are over, SIGKILL two seconds later. */
  readonly timeout: number
  readonly stdin?: string | Uint8Array
  /** Bytes that are kept of each of the two outputs; default 1 MiB. */
  readonly largest?: number
}

/** How a command ended. `code` is null when a signal ended it. */
export interface ExecResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * The command gave no answer of its own: it ran out of time (and was ended), there is no such program, or sshd does not
 * let this user run commands.
 */
export class ExecFailed extends Schema.TaggedError<ExecFailed>()("ExecFailed", {
  reason: Schema.Literals(["timeout", "missing", "refused"]),
  message: Schema.String
}) {}

/** Exit codes of `timeout` (its own time is over; SIGKILL was needed) and of shells (not there, not executable). */
const endedByTimeout = new Set([124, 137])
const notThere = new Set([126, 127])

/**
 * Asks sshd to end a command. It does so for other users than root only; `timeout` ends the rest. ssh2's own `signal` does
 * nothing once the input of a command has ended, which sshd does not mind.
 */
const terminate = (channel: ClientChannel): void => {
  const { _client, outgoing } = channel as unknown as {
    readonly _client: { readonly _protocol: { readonly signal: (channel: number, name: string) => void } }
    readonly outgoing: { readonly id: number; readonly state: string }
  }
  if (outgoing.state === "open" || outgoing.state === "eof") _client._protocol.signal(outgoing.id, "TERM")
}

class Output {
  private readonly parts: Array<Buffer> = []
  private room: number
  constructor(largest: number) {
    this.room = largest
  }
  add(data: Buffer): void {
    const kept = data.subarray(0, this.room)
    this.room -= kept.length
    if (kept.length > 0) this.parts.push(kept)
  }
  get text(): string {
    return Buffer.concat(this.parts).toString("utf8")
  }
}

/** Runs a command on a link. */
export const exec = (
  link: Link,
  argv: ReadonlyArray<string>,
  { largest = usual, stdin, timeout }: ExecOptions
): Effect.Effect<ExecResult, RemoteUnreachable | ExecFailed> => {
  const line = bounded(argv, timeout / 1000)
  const name = plain(argv[0]!)
  const fail = (reason: ExecFailed["reason"], message: string) => Effect.fail(new ExecFailed({ reason, message }))
  return Effect.callback<ExecResult, RemoteUnreachable | ExecFailed>((resume) => {
    const began = performance.now()
    let channel: ClientChannel | null = null
    let isOver = false
    let forget = () => {}
    const end = () => {
      isOver = true
      clearTimeout(timer)
      forget()
      // Nobody reads what still comes; sshd closes the pipes, and `timeout` ends what does not notice that.
      channel?.close()
    }
    const finish = (answer: Effect.Effect<ExecResult, RemoteUnreachable | ExecFailed>) => {
      if (isOver) return
      end()
      resume(answer)
    }
    const late = () => finish(fail("timeout", `${name} did not end within ${timeout / 1000} s`))
    const timer = setTimeout(late, timeout + 3_000)
    const attach = (opened: ClientChannel) => {
      channel = opened
      const stdout = new Output(largest)
      const stderr = new Output(largest)
      let code: number | null = null
      opened.on("data", (data: Buffer) => stdout.add(data))
      opened.stderr.on("data", (data: Buffer) => stderr.add(data))
      opened.on("exit", (given: number | null) => {
        code = typeof given === "number" ? given : null
      })
      opened.on("error", () => {})
      opened.on("close", () => {
        channel = null
        const tookAll = performance.now() - began >= timeout
        if (code !== null && endedByTimeout.has(code) && tookAll) late()
        else if (code !== null && notThere.has(code)) {
          finish(fail("missing", `${name} cannot be run there: ${plain(stderr.text) || `exit code ${code}`}`))
        } else finish(Effect.succeed({ code, stdout: stdout.text, stderr: stderr.text }))
      })
      forget = link.whenClosed(() => lost())
      if (isOver) opened.close()
      else opened.end(stdin)
    }
    link.ask<ClientChannel>((answer) =>
      link.client.exec(line, (error, opened) => {
        // At once: its output and its end may have come with the same packet.
        if (error === undefined) attach(opened)
        answer(error, opened)
      })
    ).catch((error: unknown) =>
      finish(
        error instanceof RemoteUnreachable
          ? Effect.fail(error)
          : fail("refused", `sshd does not run commands for this user (${plain((error as Error).message)})`)
      )
    )
    /** The link closed while the command ran. */
    const lost = () =>
      link.ask(() => {}).catch((error: unknown) =>
        finish(error instanceof RemoteUnreachable ? Effect.fail(error) : Effect.die(error))
      )
    return Effect.sync(() => {
      if (isOver) return
      if (channel !== null) terminate(channel)
      end()
    })
  })
}
