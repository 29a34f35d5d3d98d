/**
 * What has to be asked of HAProxy's host and not of its Runtime API: to check its configuration, to reload, and how
 * its container is.
 *
 * A way that is set wins over one that is found; of several that are set the first counts: master socket, Podman
 * container, systemd unit, command. A master is used only when the worker that we speak to is one of its own, so no
 * other HAProxy is ever reloaded. What to check is taken from the running HAProxy's own command line unless it is set.
 *
 * Guarantees: no shell, bounded time and output, no secret of ours in a child's environment; HAProxy's own words are
 * passed on, cut and printable. Not here: checking before a reload, waiting for the new worker, reconciling
 * (program/Reload.ts).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import type { Disk } from "../domain/Disk.ts"
import { ConfigInvalid, type RemoteUnreachable, TimedOut } from "../domain/Errors.ts"
import { plain } from "./Cli.ts"
import { type CheckMessage, parseMessages } from "./host/CheckMessages.ts"
import * as CommandLine from "./host/CommandLine.ts"
import { inspect } from "./host/Container.ts"
import { type HaproxyHost, thisHost } from "./host/HaproxyHost.ts"
import * as Master from "./host/MasterSocket.ts"
import { type ReloadError, tell, type Told, type Way } from "./host/Ways.ts"
import { RuntimeApi } from "./RuntimeApi.ts"
import { make as makeStateFile, type StateFile } from "./StateFile.ts"

export type { CheckMessage } from "./host/CheckMessages.ts"
export type { ReloadError, Told, Way } from "./host/Ways.ts"

/** What `haproxy -c` said. */
export interface CheckReport {
  readonly valid: boolean
  readonly messages: ReadonlyArray<CheckMessage>
}

/** HAProxy's container; `not_configured` when none is set. */
export interface ContainerState {
  readonly status: "ok" | "error" | "not_configured"
  readonly state: string
}

/** A configuration file of HAProxy; its text where this process can read it. */
export interface ConfigFile {
  readonly path: string
  readonly text: string | null
}

export class HostControl extends Context.Service<HostControl, {
  /** How a reload would be done. */
  readonly way: Effect.Effect<Way, ConfigInvalid>
  /** Checks the configuration files as HAProxy would read them; fails when they cannot be checked at all. */
  readonly check: (timeout: number) => Effect.Effect<CheckReport, ConfigInvalid | TimedOut | RemoteUnreachable>
  /** Tells HAProxy to reload. Does not check first and does not wait for the new worker. */
  readonly reload: (way: Way, timeout: number) => Effect.Effect<Told, ReloadError>
  readonly container: Effect.Effect<ContainerState>
  /** HAPROXY_STATE_FILE, of the legacy tools. */
  readonly stateFile: StateFile
  /** The files that HAProxy was started with, or those set; null when neither is known. */
  readonly configFiles: Effect.Effect<ReadonlyArray<ConfigFile> | null>
}>()("haproxy-mcp/haproxy/HostControl") {
  static readonly layer = (options: HostOptions): Layer.Layer<HostControl, never, RuntimeApi> =>
    Layer.effect(HostControl, make(options))
}

/** What the operator set; null is not set. */
export interface HostOptions {
  readonly masterSocket: string | null
  readonly container: string | null
  readonly systemdUnit: string | null
  readonly reloadCommand: ReadonlyArray<string> | null
  readonly checkCommand: ReadonlyArray<string> | null
  readonly configFiles: ReadonlyArray<string> | null
  readonly binary: ReadonlyArray<string> | null
  readonly stateFile: string
  /** Where all of this is; default: this machine. */
  readonly host?: HaproxyHost
  /** Does HAProxy run on that host, so that its process can be looked at? */
  readonly isHere: boolean
  /** Look for a master's socket and a container where they usually are. */
  readonly search: boolean
}

/** Nothing is set and nothing is looked for: no way to reload, and a check of a HAProxy on this machine alone. */
export const noHost: HostOptions = {
  masterSocket: null,
  container: null,
  systemdUnit: null,
  reloadCommand: null,
  checkCommand: null,
  configFiles: null,
  binary: null,
  stateFile: "/opt/haproxy/data/servers.state",
  isHere: true,
  search: false
}

/** Where they usually are. */
const usualMasterSocket = "/run/haproxy/master.sock"
const usualContainer = "haproxy"

/** Milliseconds that Podman and the master get for a question that changes nothing. */
const askTime = 3_000
/** Bytes of a configuration file that is read for its text. */
const longestFile = 8 * 1024 * 1024

interface Check {
  readonly argv: ReadonlyArray<string>
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

const optionsOf = (files: ReadonlyArray<string>) => files.flatMap((file) => ["-f", file])

/** A file, or the `*.cfg` of a folder in the order in which HAProxy reads them (management.txt, `-f`). */
const readConfig = async (disk: Disk, path: string): Promise<ReadonlyArray<ConfigFile>> => {
  try {
    if ((await disk.stat(path))?.kind === "folder") {
      const names = (await disk.readdir(path)).filter((name) => name.endsWith(".cfg") && !name.startsWith(".")).sort()
      return (await Promise.all(names.map((name) => readConfig(disk, join(path, name))))).flat()
    }
    return [{ path, text: (await disk.readFile(path, longestFile))?.toString("utf8") ?? null }]
  } catch {
    return [{ path, text: null }]
  }
}

const make = Effect.fnUntraced(function*(options: HostOptions) {
  const runtime = yield* RuntimeApi
  const { host = thisHost } = options
  const { commands, disk } = host
  const isThere = (path: string) => Effect.promise(() => disk.stat(path).then((found) => found !== null, () => false))

  /** The worker that answers now, by its pid. */
  const worker = Effect.map(runtime.link, (link) => link._tag === "Up" ? link.epoch.pid : null)

  /** Is it the master of the worker that we speak to? Null: nobody can say, because that one is not reached. */
  const owns = Effect.fnUntraced(function*(socket: string) {
    const pid = yield* worker
    const { workers } = yield* Master.processes(host, socket, askTime)
    return pid === null ? null : workers.includes(pid)
  })

  const found = Effect.gen(function*() {
    if (!options.search) return null
    if (yield* isThere(usualMasterSocket)) {
      const ours = yield* Effect.result(owns(usualMasterSocket))
      if (ours._tag === "Success" && ours.success === true) {
        const way: Way = { _tag: "master_socket", socket: usualMasterSocket }
        return way
      }
    }
    const container = yield* inspect(commands, usualContainer, askTime)
    const way: Way | null = container._tag === "found" ? { _tag: "container", name: usualContainer } : null
    return way
  })

  const way: HostControl["Service"]["way"] = Effect.gen(function*() {
    const { container, masterSocket, reloadCommand, systemdUnit } = options
    if (masterSocket !== null) {
      const ours = yield* Effect.result(owns(masterSocket))
      if (ours._tag === "Success" && ours.success === false) {
        return yield* new ConfigInvalid({
          message: `The master at ${masterSocket} is another HAProxy's: the worker of the Runtime API is not its own`,
          hint: "Set HAPROXY_MASTER_SOCKET to the `-S` socket of the HAProxy that the Runtime API belongs to."
        })
      }
      return { _tag: "master_socket", socket: masterSocket }
    }
    if (container !== null) return { _tag: "container", name: container }
    if (systemdUnit !== null) return { _tag: "systemd", unit: systemdUnit }
    if (reloadCommand !== null) return { _tag: "command", argv: reloadCommand }
    return (yield* found) ?? (yield* new ConfigInvalid({
      message: "How to reload HAProxy is not known",
      hint: "Set HAPROXY_MASTER_SOCKET to the socket of `haproxy -W -S …`; or HAPROXY_CONTAINER, HAPROXY_SYSTEMD_UNIT "
        + "or HAPROXY_RELOAD_COMMAND."
    }))
  })

  /** How the HAProxy on this machine was started; null when it is elsewhere or not to be seen. */
  const started = Effect.gen(function*() {
    if (!options.isHere) return null
    const pid = yield* worker
    const seen = pid === null ? null : yield* CommandLine.ofProcess(disk, pid)
    if (seen !== null || options.masterSocket === null) return seen
    // The worker may be down while its master still is there.
    const known = yield* Effect.result(Master.processes(host, options.masterSocket, askTime))
    return known._tag === "Failure" ? null : yield* CommandLine.ofProcess(disk, known.success.master)
  })

  const inContainer = Effect.fnUntraced(function*(name: string): Effect.fn.Return<Check, ConfigInvalid> {
    const container = yield* inspect(commands, name, askTime)
    if (container._tag !== "found") {
      return yield* new ConfigInvalid({
        message: `The container ${name} cannot be asked: ${container.reason}`,
        hint: "Start it, correct HAPROXY_CONTAINER, or set HAPROXY_CHECK_COMMAND."
      })
    }
    const from = options.configFiles === null ? container.options : optionsOf(options.configFiles)
    if (from === null) {
      return yield* new ConfigInvalid({
        message: `The command of the container ${name} does not name HAProxy's files`,
        hint: "Set HAPROXY_CONFIG_FILES to them, as the container sees them."
      })
    }
    return { argv: ["podman", "exec", name, ...options.binary ?? ["haproxy"], "-c", ...from] }
  })

  const howToCheck: Effect.Effect<Check, ConfigInvalid> = Effect.gen(function*() {
    if (options.checkCommand !== null) return { argv: options.checkCommand }
    if (options.container !== null && options.masterSocket === null) return yield* inContainer(options.container)
    const seen = yield* started
    const from = options.configFiles === null ? seen?.options ?? null : optionsOf(options.configFiles)
    if (from !== null) {
      const argv = [...options.binary ?? seen?.program ?? ["haproxy"], "-c"]
      const cwd = seen?.cwd ?? null
      if (!commands.isLocal) {
        // HAProxy goes to its folder itself there. Its environment stays out: an argument list is seen by everyone.
        return { argv: [...argv, ...(cwd === null || from.includes("-C") ? [] : ["-C", cwd]), ...from] }
      }
      return {
        argv: [...argv, ...from],
        ...(cwd === null ? {} : { cwd }),
        ...(seen?.env == null ? {} : { env: seen.env })
      }
    }
    const container = options.container ?? (yield* found.pipe(
      Effect.map((other) => other?._tag === "container" ? other.name : null)
    ))
    if (container !== null) return yield* inContainer(container)
    return yield* new ConfigInvalid({
      message: "HAProxy's configuration cannot be checked: its process does not show which files it was started with",
      hint:
        "Set HAPROXY_CONFIG_FILES to the files of HAProxy's -f, or HAPROXY_CHECK_COMMAND to a command that checks them."
    })
  })

  const check: HostControl["Service"]["check"] = Effect.fnUntraced(function*(timeout: number) {
    const { argv, ...rest } = yield* howToCheck
    const command = plain(argv.join(" "), 200)
    const ended = yield* commands.run(argv, { ...rest, timeout }).pipe(
      Effect.catchTag("CommandFailed", ({ message, reason }) =>
        Effect.fail(
          reason === "timeout"
            ? new TimedOut({
              message: `Checking the configuration took more than ${timeout} ms`,
              hint: "HAProxy was not told anything. Try again when the machine is less busy."
            })
            : new ConfigInvalid({
              message: `HAProxy's configuration cannot be checked: ${message}`,
              hint: "Set HAPROXY_BINARY to the HAProxy program, or HAPROXY_CHECK_COMMAND."
            })
        ))
    )
    const messages = parseMessages(`${ended.stderr}\n${ended.stdout}`)
    // A refusal of HAProxy's has its reason; without one it was the program around it that failed.
    if (ended.code !== 0 && !messages.some(({ level }) => level === "alert")) {
      return yield* new ConfigInvalid({
        message: `The check itself failed: \`${command}\` ended with ${ended.code ?? "a signal"}: ${
          plain(ended.stderr || ended.stdout, 300) || "it said nothing"
        }`,
        hint:
          "Run it as the user of haproxy-mcp; then correct HAPROXY_CHECK_COMMAND, HAPROXY_CONFIG_FILES or HAPROXY_BINARY."
      })
    }
    return { valid: ended.code === 0, messages }
  })

  return HostControl.of({
    way,
    check,
    reload: (way, timeout) => tell(host, way, timeout),
    container: Effect.gen(function*() {
      if (options.container === null) return { status: "not_configured", state: "not_configured" }
      const container = yield* inspect(commands, options.container, askTime)
      return container._tag === "found"
        ? { status: container.state === "running" ? "ok" : "error", state: container.state }
        : { status: "error", state: container.reason }
    }),
    stateFile: makeStateFile(disk, options.stateFile),
    configFiles: Effect.gen(function*() {
      const seen = yield* started
      const files = options.configFiles ?? (seen === null ? null : CommandLine.paths(seen))
      if (files === null) return null
      return (yield* Effect.promise(() => Promise.all(files.map((file) => readConfig(disk, file))))).flat()
    })
  })
})
