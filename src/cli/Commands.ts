/**
 * The command line: the one place that knows effect/cli, which is unstable.
 *
 * Flags are the settings by another name (`--haproxy-host` is HAPROXY_HOST) and win over the environment; they are
 * decoded by Config.ts with everything else. Secrets have no flag: an argument list is public on its machine.
 * Help goes to standard output when asked for; what is wrong with a command line goes to standard error, alone.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { decodeSettings, type Sources } from "../Config.ts"
import type { ToolRunner } from "../mcp/ToolRunner.ts"
import type { HealthAnswer } from "../program/HealthShapes.ts"
import { version } from "../Version.ts"
import { printConfig } from "./ConfigFiles.ts"
import { Ended, exitCodes } from "./Exit.ts"
import { helpText, wantsColours } from "./HelpText.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"
import { printStatus } from "./Status.ts"

/** What the commands need of the program behind them; main.ts provides it. */
export interface Handlers<R> {
  readonly serve: (sources: Sources) => Effect.Effect<void, unknown, R>
  readonly stdio: (sources: Sources) => Effect.Effect<void, unknown, R>
  /** How things are while nobody serves, and why nobody seems to. */
  readonly peek: (sources: Sources, why: string) => Effect.Effect<HealthAnswer, unknown, R>
  /** Runs `work` on a control plane of this process, without a transport, for as long as it takes (see Verb.ts). */
  readonly alone: <A, E>(
    sources: Sources,
    work: Effect.Effect<A, E, ToolRunner>
  ) => Effect.Effect<A, unknown, R>
}

const make = <R>(handlers: Handlers<R>) => {
  const serve = Command.make(
    "serve",
    { settings: settingFlags("serve") },
    ({ settings }) => handlers.serve(sourcesOf(settings))
  ).pipe(
    Command.withDescription(
      "Runs the control plane: opens the database, listens for MCP over HTTP, and keeps HAProxy as the database says. "
        + "HAProxy being down is no reason to stop; /readyz tells. MCP_TOKEN is read from the environment only."
    ),
    Command.withShortDescription("Run the control plane and answer MCP over HTTP"),
    Command.withExamples([
      { command: "MCP_TOKEN=… haproxy-mcp serve", description: "HAProxy on this machine, Runtime API on port 9999" },
      {
        command: "haproxy-mcp serve --haproxy-runtime-mode unix --haproxy-runtime-socket /run/haproxy/admin.sock",
        description: "Over HAProxy's unix socket"
      },
      {
        command: "haproxy-mcp serve --mcp-host 127.0.0.1 --mcp-auth off",
        description: "For this machine only, without a token"
      }
    ])
  )
  const stdio = Command.make(
    "stdio",
    { settings: settingFlags("stdio") },
    ({ settings }) => handlers.stdio(sourcesOf(settings))
  ).pipe(
    Command.withDescription(
      "Answers MCP on standard input and output, for a client that starts its servers itself. Works through a running "
        + "`serve` on this machine, else opens the database itself."
    ),
    Command.withShortDescription("Answer MCP on standard input and output"),
    Command.withExamples([
      {
        command: "{\"mcpServers\": {\"haproxy\": {\"command\": \"haproxy-mcp\", \"args\": [\"stdio\"]}}}",
        description: "What most MCP clients want in their settings"
      }
    ])
  )
  const config = Command.make(
    "config",
    {
      output: Flag.String("output").pipe(
        Flag.withAlias("o"),
        Flag.withMetavar("FILE"),
        Flag.withDescription("Write haproxy.cfg to this file instead of standard output; never over an existing one"),
        Flag.optional
      ),
      pools: Flag.String("pools").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Write the first pools.cfg to this file; never over an existing one"),
        Flag.optional
      ),
      settings: settingFlags("config")
    },
    ({ output, pools, settings }) =>
      Effect.flatMap(
        decodeSettings(sourcesOf(settings)),
        (decoded) => printConfig(decoded, { output: Option.getOrNull(output), pools: Option.getOrNull(pools) })
      )
  ).pipe(
    Command.withDescription(
      "Prints a complete, commented haproxy.cfg for the current settings. Nothing is read from HAProxy or the database."
    ),
    Command.withShortDescription("Print a haproxy.cfg for the current settings"),
    Command.withExamples([
      { command: "haproxy-mcp config > haproxy.cfg", description: "Look at it first" },
      {
        command: "haproxy-mcp config --output haproxy.cfg --pools pools.cfg && haproxy -f haproxy.cfg -f pools.cfg",
        description: "Both files that HAProxy starts from"
      }
    ])
  )
  const status = Command.make("status", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of a table"), Flag.withDefault(false)),
    settings: settingFlags("status")
  }, ({ json, settings }) => {
    const sources = sourcesOf(settings)
    return Effect.flatMap(
      decodeSettings(sources),
      ({ mcpAdminSocket }) => printStatus(mcpAdminSocket, (why) => handlers.peek(sources, why), { json })
    )
  }).pipe(
    Command.withDescription(
      "Says how HAProxy, the desired state and the files are, as a running `serve` sees them; without one, what the "
        + "database says. Exit codes: 0 healthy, 3 degraded, 1 down or nobody serves."
    ),
    Command.withShortDescription("Say how everything is"),
    Command.withExamples([
      { command: "haproxy-mcp status", description: "For people" },
      { command: "haproxy-mcp status --json | jq .components.reconciler", description: "For scripts" }
    ])
  )
  return Command.make("haproxy-mcp").pipe(
    Command.withDescription(
      "A control plane for HAProxy: domains and servers change while traffic flows, without a reload. Every setting is an "
        + "environment variable and a flag (`haproxy-mcp serve --help`). Exit codes: 0 done, 1 failed, 2 wrong command "
        + "line or settings, 3 degraded (status), 70 a defect."
    ),
    Command.withSubcommands([serve, stdio, config, status]),
    Command.withExamples([
      { command: "haproxy-mcp config > haproxy.cfg", description: "A configuration for HAProxy, then HAProxy with it" },
      { command: "MCP_TOKEN=$(openssl rand -hex 32) haproxy-mcp serve", description: "The control plane" },
      { command: "haproxy-mcp status", description: "How it is" }
    ])
  )
}

/** "Unrecognized flag: --a\n\n  Did you mean this?\n    --b\n    --c" on one line. */
const oneLine = (message: string): string =>
  message.trim().replace(/\n\n\s*Did you mean this\?\n\s*/, "; did you mean ").replaceAll(/\n\s*/g, " or ")

/** Help and version on standard output; errors alone on standard error, with the way to the help. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    Effect.sync(() => {
      if (event._tag === "Help") {
        const stream = event.reason === "Requested" ? process.stdout : process.stderr
        stream.write(helpText(event.helpDoc, wantsColours(stream)))
      } else if (event._tag === "Version") process.stdout.write(`${event.name} ${event.version}\n`)
      else {
        const lines = event.errors.map((error) => `haproxy-mcp: ${oneLine(error.message)}\n`)
        process.stderr.write(`${lines.join("")}haproxy-mcp: see \`${event.commandPath.join(" ")} --help\`\n`)
      }
    })
}

const output = Layer.mergeAll(
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)

/** Runs the command that the arguments name. What is wrong with them has been said when it fails with {@link Ended}. */
export const runCommand = <R>(handlers: Handlers<R>, args: ReadonlyArray<string>): Effect.Effect<void, unknown, R> =>
  Command.runWith(make(handlers), { version })(args).pipe(
    Effect.mapError((error) => CliError.isCliError(error) ? new Ended({ code: exitCodes.usage }) : error),
    Effect.provide([output, NodeServices.layer])
  )
