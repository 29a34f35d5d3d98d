/**
 * The host that HAProxy runs on, as the settings say it is reached: this machine, or the one of HAPROXY_SSH_HOST over
 * the one connection that the whole process shares. With an SSH host all of HAProxy's files, its Runtime API socket in
 * mode `ssh`, its master's socket, the commands that reload and check it, and `/proc` are those of that host.
 *
 * The layer never fails and hardly waits: a host that is down is down, and every call to it says so.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings, type SettingsShape } from "./Config.ts"
import { CommandFailed } from "./domain/Commands.ts"
import type { FarHost } from "./domain/FarHost.ts"
import type { Transport } from "./haproxy/Connection.ts"
import { type HaproxyHost, thisHost } from "./haproxy/host/HaproxyHost.ts"
import type { ExecFailed, Ssh } from "./remote/Ssh.ts"

/** Bytes of each output of a command that are kept, as of a child of ours. */
const keptOutput = 256 * 1024

const commandFailed = ({ message, reason }: ExecFailed): Effect.Effect<never, CommandFailed> =>
  Effect.fail(new CommandFailed({ message, reason: reason === "refused" ? "cannot start" : reason }))

/** What is done on another host, done over its SSH connection. */
export const overSsh = (ssh: Ssh["Service"]): HaproxyHost => ({
  disk: ssh.disk,
  openUnix: ssh.openUnix,
  commands: {
    isLocal: false,
    run: (argv, { timeout }) =>
      Effect.catchTag(ssh.exec(argv, { timeout, largest: keptOutput }), "ExecFailed", commandFailed)
  }
})

/** The same host for programs that run there for minutes. */
export const farHost = (
  ssh: Ssh["Service"],
  { host, port, user }: { readonly host: string; readonly port: number; readonly user: string }
): FarHost => ({
  name: `${user}@${host}:${port}`,
  disk: ssh.disk,
  run: (argv, { stdin, timeout }) =>
    Effect.catchTag(ssh.exec(argv, { timeout, stdin, largest: keptOutput }), "ExecFailed", commandFailed),
  listen: (argv, stdin) => Effect.catchTag(ssh.listen(argv, stdin), "ExecFailed", commandFailed)
})

/** Where acme.sh runs, when that is not this machine (ACME_WHERE). */
export const acmeHost = (
  { acmeWhere, ssh: options }: Pick<SettingsShape, "acmeWhere" | "ssh">,
  ssh: Ssh["Service"] | null
): FarHost | null => acmeWhere === "remote" && ssh !== null && options !== null ? farHost(ssh, options) : null

export class HostAccess extends Context.Service<HostAccess, {
  readonly host: HaproxyHost
  /** How the Runtime API is reached. */
  readonly transport: Transport
  /** The connection to another host; null: HAProxy's files are on this machine. */
  readonly ssh: Ssh["Service"] | null
}>()("haproxy-mcp/HostAccess") {
  /** One layer for the whole process: whoever builds on it shares the connection. */
  static readonly layer: Layer.Layer<HostAccess, never, Settings> = Layer.effect(
    HostAccess,
    Effect.gen(function*() {
      const { haproxyTransport: transport, ssh: options } = yield* Settings
      if (options === null) return { host: thisHost, transport, ssh: null }
      // Its library is read where it is needed only: it would be a tenth of every start.
      const { Ssh } = yield* Effect.promise(() => import("./remote/Ssh.ts"))
      const ssh = Context.get(yield* Layer.build(Ssh.layer(options)), Ssh)
      return {
        host: overSsh(ssh),
        transport: transport.ssh === true ? { open: () => ssh.openUnix(transport.path) } : transport,
        ssh
      }
    })
  )
}

/** Where HAProxy's listeners are reached that are bound to every address. */
export const hostName = ({ haproxyTransport, ssh }: SettingsShape): string =>
  ssh?.host ?? ("host" in haproxyTransport ? haproxyTransport.host : "127.0.0.1")
