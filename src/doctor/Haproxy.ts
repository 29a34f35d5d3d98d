/** HAProxy as the control plane reaches it: the Runtime API, who else may reach it, the version, the clock. */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { userInfo } from "node:os"
import type { SettingsShape } from "../Config.ts"
import * as BoundAddresses from "../haproxy/BoundAddresses.ts"
import { plain } from "../haproxy/Cli.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import * as Listeners from "../haproxy/ListenerCommands.ts"
import type { LinkState, RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Sessions from "../haproxy/SessionCommands.ts"
import { addressesHere, isHere } from "../Listeners.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"

/** HAProxy that answered. */
export interface Live {
  readonly runtime: RuntimeApi["Service"]
  readonly link: Extract<LinkState, { readonly _tag: "Up" }>
}

type Transport = SettingsShape["haproxyTransport"]

const whereOf = (transport: Transport): string =>
  "path" in transport
    ? `unix socket ${transport.path}${transport.ssh === true ? " over SSH" : ""}`
    : `${transport.host} port ${transport.port}`

/** Does HAProxy run on this machine? */
export const haproxyIsHere = (transport: Transport): boolean =>
  "path" in transport || isHere(transport.host, addressesHere())

/** Where the connection to HAProxy's host is what is wrong. */
export const mendConnection = "Mend the connection (the finding \"SSH\"), then run `haproxy-mcp doctor` again."

/** What mends a link that is down, by the reasons of Connection.ts and Probe.ts. */
const mendOf = (reason: string, transport: Transport): string => {
  const setting = "path" in transport ? "HAPROXY_RUNTIME_SOCKET" : "HAPROXY_HOST and HAPROXY_PORT"
  const start =
    `Start HAProxy (\`systemctl start haproxy\`), or let ${setting} name what its \`stats socket\` line says.`
  const rules: ReadonlyArray<readonly [RegExp, string]> = [
    // Of Failure.ts: nothing was asked, and nothing is known of HAProxy.
    [/^HAProxy's host /, mendConnection],
    [/no Runtime API socket|nobody listens/, start],
    [
      /may not be opened by this user/,
      "In haproxy.cfg: `stats socket … mode 660 group haproxy-mcp level admin`; then "
      + `\`usermod -aG haproxy-mcp ${userInfo().username}\` and log in again.`
    ],
    [/level admin/, "In haproxy.cfg, on the `stats socket` line: `level admin`; then reload HAProxy."],
    [
      /did not answer|sent nothing/,
      "HAProxy hangs, or all connections of the socket are taken (10 by default): `stats maxconn 20` and "
      + "`stats timeout 1m` in the global section, then reload; `ss -xp` or `ss -tp` shows who holds them."
    ],
    [/cannot be resolved/, "Mend the name in HAPROXY_HOST, or the resolver (`getent hosts NAME`)."],
    [
      /does not answer like a HAProxy/,
      `Another program answers there: let ${setting} name HAProxy's \`stats socket\`.`
    ],
    [/closed the connection/, "Look into HAProxy's log; `stats timeout` in its global section may be very short."]
  ]
  return rules.find(([pattern]) => pattern.test(reason))?.[1] ?? start
}

/** The finding on a HAProxy that does not answer as it should. */
export const unreachable = (transport: Transport, reason: string): Check =>
  check(
    "HAProxy",
    "Runtime API",
    Effect.succeed([
      error(
        "Runtime API",
        `${whereOf(transport)}: ${plain(reason, 200)}. Maps, pools and frontends were not looked at.`,
        mendOf(reason, transport)
      )
    ])
  )

/** Connections of the Runtime API that leave no room for others: `stats maxconn` is 10 where nothing is said. */
const crowded = 8
/** Above so many connections `show sess` is a long answer. */
const busy = 2_000

const reached = Effect.fnUntraced(function*({ link, runtime }: Live, transport: Transport) {
  const [info] = yield* Effect.orDie(runtime.exchange([Info.show]))
  const text = `${whereOf(transport)}, level admin`
  if (Result.isFailure(info) || info.success.currentConnections > busy) return [ok("Runtime API", text)]
  const [sessions] = yield* Effect.orDie(runtime.exchange([Sessions.cliSessions]))
  const count = Result.isSuccess(sessions) ? sessions.success.length : 0
  const kept = link.capabilities.quietPrompt ? "kept connection" : "connection with prompt (HAProxy before 3.2)"
  return [
    count >= crowded
      ? warning(
        "Runtime API",
        `${text}; ${count} connections are open, and HAProxy takes 10 where \`stats maxconn\` does not say more`,
        "In the global section of haproxy.cfg: `stats maxconn 20`; find who keeps them: `ss -xp` or `ss -tp`."
      )
      : ok("Runtime API", `${text}, ${kept}`)
  ]
})

/** The lines that the tests run on. */
const supported = ["3.0", "3.2", "3.4"]

const versionOf = ({ link: { capabilities } }: Live): Found => {
  const { line, version } = capabilities
  const name = line.join(".")
  const patch = Number(/^\d+\.\d+\.(\d+)/.exec(version)?.[1] ?? Number.NaN)
  const upgrade = `Install the newest ${name} (\`apt-get install --only-upgrade haproxy\`).`
  if (/-dev/.test(version) || !supported.includes(name)) {
    return warning("Version", `${version} is not a supported line`, `Use a long-term line: ${supported.join(", ")}.`)
  }
  // 3.2.0 was seen to die of a large payload and to hang while many are sent.
  if (name === "3.2" && patch < 5) {
    return warning("Version", `${version}: early 3.2 can crash or hang on Runtime API payloads`, upgrade)
  }
  return patch === 0
    ? warning("Version", `${version} is the first of its line; known bugs of the Runtime API are mended later`, upgrade)
    : ok("Version", `${version}${capabilities.dynamicBackends ? ", can make backends at run time" : ""}`)
}

const isLoopback = (ip: string): boolean => {
  const address = NetAddress.ipFromString(ip)
  return Result.isSuccess(address) && NetAddress.isLoopback(address.success)
}

const noPassword = "The Runtime API over TCP asks for no password: whoever connects commands HAProxy"
const closeIt =
  "In haproxy.cfg: `stats socket /run/haproxy/admin.sock mode 660 level admin` instead of the TCP one (or "
  + "`ipv4@127.0.0.1:9999`); HAPROXY_RUNTIME_MODE=unix, HAPROXY_RUNTIME_SOCKET=/run/haproxy/admin.sock; reload."

const exposure = Effect.fnUntraced(function*({ link, runtime }: Live, transport: Transport) {
  if (!haproxyIsHere(transport)) {
    return [
      warning(
        "Exposure",
        `${noPassword}, and it listens beyond its own machine (${whereOf(transport)})`,
        "Let a firewall admit the control plane's address only, or run the control plane beside HAProxy."
      )
    ]
  }
  const [answer] = yield* Effect.orDie(runtime.exchange([Listeners.show]))
  if (Result.isFailure(answer)) return []
  const own = answer.success.filter(({ frontend }) => frontend === "GLOBAL")
  if (own.length === 0) return [ok("Exposure", "the Runtime API is on unix sockets only")]
  // The sockets of this machine say nothing of another one.
  const bound = transport.ssh === true ? null : yield* BoundAddresses.read(link.epoch.pid, own.map(({ fd }) => fd))
  const rows = (bound?.sockets ?? []).filter((row) =>
    own.some(({ family, fd, port }) =>
      bound!.inodes.has(fd) ? bound!.inodes.get(fd) === row.inode : row.family === family && row.port === port
    )
  )
  const open = [...new Set(rows.filter(({ ip }) => !isLoopback(ip)).map(({ ip, port }) => `${ip} port ${port}`))]
  if (open.length > 0) return [error("Exposure", `${noPassword}; it listens on ${open.join(", ")}`, closeIt)]
  const ports = [...new Set(own.map(({ port }) => port))].join(", ")
  return [
    rows.length === 0
      ? warning("Exposure", `${noPassword}; which address port ${ports} is bound to cannot be seen from here`, closeIt)
      : ok("Exposure", `the Runtime API listens on loopback (port ${ports}); every user of this machine may command it`)
  ]
})

/** Seconds between two clocks that still count as the same time. */
const skew = 5

const clock = Effect.fnUntraced(function*({ runtime }: Live) {
  const [info] = yield* Effect.orDie(runtime.exchange([Info.show]))
  if (Result.isFailure(info) || info.success.startTime === 0) return []
  const apart = Math.abs(info.success.startTime + info.success.uptime - Date.now() / 1000)
  return apart > skew
    ? [
      warning(
        "Clock of HAProxy",
        `differs from ours by ${Math.round(apart)} s`,
        "Let both machines keep their time: `timedatectl set-ntp true`."
      )
    ]
    : []
})

/** The checks of a HAProxy that answers. */
export const checks = (live: Live, transport: Transport): ReadonlyArray<Check> => [
  check("HAProxy", "Runtime API", reached(live, transport)),
  check("HAProxy", "Version", Effect.sync(() => [versionOf(live)])),
  check("HAProxy", "Exposure", exposure(live, transport)),
  check("HAProxy", "Clock of HAProxy", clock(live))
]
