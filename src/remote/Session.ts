/**
 * A command on HAProxy's host that is listened to while it runs, for minutes perhaps: one exec channel whose standard
 * input stays open. Words only, quoted by Quote.ts.
 *
 * Guarantees: its output is passed on as it comes and kept nowhere; when the scope closes the command's standard input
 * ends, and the channel is closed at the latest {@link farewell} milliseconds later; a lost link is said at once. The
 * command ends itself there when its input ends: sshd kills nothing when a connection is lost.
 *
 * {@link sessions} at once, besides those of Exec.ts and SFTP: six of the ten that sshd allows on a connection, so that
 * a long command never keeps a short one from running.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { StringDecoder } from "node:string_decoder"
import type { ClientChannel } from "ssh2"
import { RemoteUnreachable } from "../domain/Errors.ts"
import type { Heard } from "../domain/FarHost.ts"
import { ExecFailed } from "./Exec.ts"
import { plain } from "./Failure.ts"
import type { Link } from "./Link.ts"
import { quote } from "./Quote.ts"

/** Commands that are listened to at once. */
export const sessions = 2

/** Milliseconds that a command has to tidy up after its input has ended. */
const farewell = 10_000

interface Opened {
  readonly channel: ClientChannel
  /** The other side has closed it. */
  readonly closed: Promise<void>
}

/** Opens a channel whose events go to `say` from its first packet on: its output and its end may come with that one. */
const openChannel = async (link: Link, line: string, say: (heard: Heard) => void): Promise<Opened> => {
  let close = () => {}
  const closed = new Promise<void>((resolve) => {
    close = resolve
  })
  const channel = await link.ask<ClientChannel>((answer) =>
    link.client.exec(line, (error, channel) => {
      if (error === undefined) {
        let code: number | null = null
        const decoder = new StringDecoder("utf8")
        channel.on("data", (data: Buffer) => say({ _tag: "Output", text: decoder.write(data) }))
        channel.stderr.resume()
        channel.on("error", () => {})
        channel.on("exit", (given: number | null) => {
          code = typeof given === "number" ? given : null
        })
        channel.on("close", () => {
          close()
          if (link.closed === null) say({ _tag: "Ended", code })
        })
      }
      answer(error, channel)
    })
  )
  return { channel, closed }
}

/** Waits until a channel is closed, by the other side if it can. */
const leave = (link: Link, { channel, closed }: Opened): Promise<void> =>
  new Promise((resolve) => {
    if (link.closed !== null) return resolve()
    const over = () => {
      clearTimeout(timer)
      forget()
      resolve()
    }
    const timer = setTimeout(() => {
      channel.close()
      over()
    }, farewell)
    const forget = link.whenClosed(over)
    void closed.then(over)
    channel.end()
  })

/** Starts a command in the scope and gives it `stdin`. */
export const listen = (
  link: Link,
  argv: ReadonlyArray<string>,
  stdin: string
): Effect.Effect<Queue.Dequeue<Heard>, RemoteUnreachable | ExecFailed, Scope.Scope> => {
  const line = quote(argv)
  return Effect.gen(function*() {
    const heard = yield* Queue.unbounded<Heard>()
    const { channel } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => openChannel(link, line, (one) => Queue.offerUnsafe(heard, one)),
        catch: (error) =>
          error instanceof RemoteUnreachable ? error : new ExecFailed({
            reason: "refused",
            message: `sshd does not run commands for this user (${plain((error as Error).message)})`
          })
      }),
      (opened) => Effect.promise(() => leave(link, opened))
    )
    const forget = link.whenClosed(() => {
      // The link's own error, with its words for the operator.
      link.ask(() => {}).catch((error: unknown) => {
        if (error instanceof RemoteUnreachable) Queue.offerUnsafe(heard, { _tag: "Lost", error })
      })
    })
    yield* Effect.addFinalizer(() => Effect.sync(forget))
    channel.write(stdin)
    return heard
  })
}
