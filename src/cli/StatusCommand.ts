/** `haproxy-mcp status`: its flags; Status.ts does the work. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { decodeSettings } from "../Config.ts"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"
import { printStatus } from "./Status.ts"

export const statusCommand = <R>(handlers: Pick<Handlers<R>, "peek">) =>
  Command.make("status", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of a table"), Flag.withDefault(false)),
    nagios: Flag.Boolean("nagios").pipe(
      Flag.withDescription("Print one line and end with 0 OK, 1 WARNING, 2 CRITICAL, as Nagios and its kin expect"),
      Flag.withDefault(false)
    ),
    settings: settingFlags("status")
  }, ({ json, nagios, settings }) => {
    const sources = sourcesOf(settings)
    const form = nagios ? "nagios" : json ? "json" : "table"
    return Effect.flatMap(
      decodeSettings(sources),
      ({ mcpAdminSocket }) => printStatus(mcpAdminSocket, (why) => handlers.peek(sources, why), form)
    )
  }).pipe(
    Command.withDescription(
      "Says how HAProxy, the desired state and the files are, as a running `serve` sees them; without one, what the "
        + "database says. Exit codes: 0 healthy, 3 degraded, 1 down or nobody serves."
    ),
    Command.withShortDescription("Say how everything is"),
    Command.withExamples([
      { command: "haproxy-mcp status", description: "For people" },
      { command: "haproxy-mcp status --json | jq .components.reconciler", description: "For scripts" },
      { command: "haproxy-mcp status --nagios", description: "For monitoring" }
    ])
  )
