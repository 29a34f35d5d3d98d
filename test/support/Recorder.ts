/**
 * A unix socket in front of HAProxy's that passes every byte on and remembers each command line that went to HAProxy,
 * so that a test can say "nothing but reads was sent". It knows no more of the protocol than lines and `;`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createConnection, createServer, type Server, type Socket } from "node:net"

export interface Recorder {
  /** Connect here instead of HAProxy's own socket. */
  readonly path: string
  /** Everything sent so far, one command or payload line each, in order. */
  readonly commands: ReadonlyArray<string>
}

/** Commands that cannot change anything in HAProxy. */
const reading =
  /^(?:|help|prompt i|quit|show .+|get (?:map|acl) .+|echo .+|set timeout cli \d+|set severity-output .+)$/

/** Those of `commands` that may change something. */
export const writesIn = (commands: ReadonlyArray<string>): ReadonlyArray<string> =>
  commands.filter((command) => !reading.test(command))

/** Listens on `path` until the scope closes. HAProxy may come and go behind it. */
export const startRecorder = (path: string, haproxy: string): Effect.Effect<Recorder, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => listen(path, haproxy)),
      ({ server, sockets }) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            for (const socket of sockets) socket.destroy()
            server.close(() => resolve())
          })
        )
    ),
    ({ commands }) => ({ path, commands })
  )

const listen = (path: string, haproxy: string) => {
  const commands: Array<string> = []
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const behind = createConnection({ path: haproxy, allowHalfOpen: true })
    let rest = ""
    client.on("data", (part: Buffer) => {
      const lines = (rest + part.toString("latin1")).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) for (const command of line.split(";")) commands.push(command.trim())
    })
    for (const [from, to] of [[client, behind], [behind, client]] as const) {
      sockets.add(from)
      from.pipe(to)
      from.once("error", () => to.destroy())
      from.once("close", () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  return new Promise<{ readonly server: Server; readonly sockets: Set<Socket>; readonly commands: Array<string> }>(
    (resolve, reject) => {
      server.once("error", reject)
      server.listen(path, () => resolve({ server, sockets, commands }))
    }
  )
}
