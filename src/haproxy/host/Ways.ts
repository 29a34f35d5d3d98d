/** The ways to make HAProxy's host reload, as told by the settings or found, and what each one answers. */
import * as Effect from "effect/Effect"
import {
  ConfigInvalid,
  HaproxyRefused,
  HaproxyUnreachable,
  OutcomeUnknown,
  type TimedOut
} from "../../domain/Errors.ts"
import { plain } from "../Cli.ts"
import { type CheckMessage, parseMessages, reasonIn } from "./CheckMessages.ts"
import type { HaproxyHost } from "./HaproxyHost.ts"
import * as Master from "./MasterSocket.ts"

/** How HAProxy is told to reload. */
export type Way =
  | { readonly _tag: "master_socket"; readonly socket: string }
  | { readonly _tag: "container"; readonly name: string }
  | { readonly _tag: "systemd"; readonly unit: string }
  | { readonly _tag: "command"; readonly argv: ReadonlyArray<string> }

/** HAProxy was told. Only the master says that the new worker serves; after the others one has to look. */
export interface Told {
  readonly loaded: boolean
  readonly messages: ReadonlyArray<CheckMessage>
}

export type ReloadError = ConfigInvalid | HaproxyRefused | HaproxyUnreachable | OutcomeUnknown | TimedOut

const oldGoesOn = "The old worker goes on as it was. Repair the configuration and check it with haproxy_check_config."

const byMaster = (host: HaproxyHost, socket: string, timeout: number): Effect.Effect<Told, ReloadError> =>
  Effect.matchEffect(Master.reload(host, socket, timeout), {
    onFailure: ({ message, sent }): Effect.Effect<never, ReloadError> =>
      Effect.fail(
        sent
          ? new OutcomeUnknown({
            message: `HAProxy was told to reload, but ${message}`,
            hint: "Ask haproxy_health which worker serves."
          })
          : new HaproxyUnreachable({
            message: `HAProxy was not told to reload: ${message}`,
            hint: "Start HAProxy in master-worker mode with `-S` and this path, or correct HAPROXY_MASTER_SOCKET."
          })
      ),
    onSuccess: ({ loaded, log }): Effect.Effect<Told, ReloadError> => {
      const messages = parseMessages(log)
      return loaded
        ? Effect.succeed({ loaded, messages })
        : Effect.fail(
          new HaproxyRefused({
            message: `HAProxy's new worker did not start: ${reasonIn(messages, log)}`,
            hint: oldGoesOn
          })
        )
    }
  })

const byProgram = (
  { commands }: HaproxyHost,
  argv: ReadonlyArray<string>,
  timeout: number,
  setting: string,
  look: string
): Effect.Effect<Told, ReloadError> =>
  Effect.matchEffect(commands.run(argv, { timeout }), {
    onFailure: (failure): Effect.Effect<never, ReloadError> => {
      const { message } = failure
      return Effect.fail(
        failure._tag === "RemoteUnreachable" || failure.reason === "timeout"
          ? new OutcomeUnknown({
            message: `${message}; whether HAProxy reloads is not known`,
            hint: `Ask haproxy_health which worker serves. ${look}`
          })
          : new ConfigInvalid({
            message: `HAProxy was not told to reload: ${message}`,
            hint: `Correct ${setting}, or set HAPROXY_MASTER_SOCKET instead.`
          })
      )
    },
    onSuccess: ({ code, stderr, stdout }): Effect.Effect<Told, ReloadError> => {
      const messages = parseMessages(`${stdout}\n${stderr}`)
      return code === 0
        ? Effect.succeed({ loaded: false, messages })
        : Effect.fail(
          new HaproxyRefused({
            message: `${plain(argv.slice(0, 4).join(" "), 200)} ended with ${code ?? "a signal"}: ${
              reasonIn(messages, stderr || stdout)
            }`,
            hint: `HAProxy goes on as it was, as far as is known. ${look}`
          })
        )
    }
  })

/**
 * Tells HAProxy to reload, within so many milliseconds. A container's first process gets SIGHUP: the master takes it
 * for a reload (management.txt, "Stopping and restarting HAProxy"), and a HAProxy without master-worker mode, which
 * SIGUSR2 would end, only prints its servers' states.
 */
export const tell = (host: HaproxyHost, way: Way, timeout: number): Effect.Effect<Told, ReloadError> => {
  switch (way._tag) {
    case "master_socket":
      return byMaster(host, way.socket, timeout)
    case "container":
      return byProgram(
        host,
        ["podman", "kill", "--signal", "HUP", way.name],
        timeout,
        "HAPROXY_CONTAINER",
        `\`podman logs ${way.name}\` says more.`
      )
    case "systemd":
      return byProgram(
        host,
        ["systemctl", "--no-ask-password", "reload", way.unit],
        timeout,
        "HAPROXY_SYSTEMD_UNIT",
        `\`journalctl -u ${way.unit}\` says more.`
      )
    case "command":
      return byProgram(host, way.argv, timeout, "HAPROXY_RELOAD_COMMAND", "HAProxy's own log says more.")
  }
}
