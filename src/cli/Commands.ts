/**
 * The command line: the commands in their groups, each in a file of its own. Only src/cli knows effect/cli, which is
 * unstable.
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
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { version } from "../Version.ts"
import { auditCommand } from "./AuditCommand.ts"
import { backupCommand } from "./BackupCommand.ts"
import { certsCommand } from "./CertsCommand.ts"
import { changesCommand } from "./ChangesCommand.ts"
import { completionCommand, completionsFlag } from "./Completion.ts"
import { configCommand } from "./ConfigCommand.ts"
import { doctorCommand } from "./Doctor.ts"
import { Ended, exitCodes } from "./Exit.ts"
import { explainCommand } from "./ExplainCommand.ts"
import { exportCommand } from "./ExportCommand.ts"
import { foreignCommand } from "./ForeignCommand.ts"
import type { Handlers } from "./Handlers.ts"
import { importCommand } from "./ImportCommand.ts"
import { presenter } from "./Presenter.ts"
import { remoteCommand } from "./RemoteCommand.ts"
import { restoreCommand } from "./RestoreCommand.ts"
import { serveCommand, stdioCommand } from "./ServeCommands.ts"
import { statusCommand } from "./StatusCommand.ts"
import { tokenCommand } from "./Token.ts"

const make = <R>(handlers: Handlers<R>) => {
  // The completion script is of the whole program, this command included.
  const whole = (): Command.Command.Any => root
  const root = Command.make("haproxy-mcp").pipe(
    Command.withDescription(
      "A control plane for HAProxy: domains, servers and certificates change while traffic flows, without a reload. Every setting is an "
        + "environment variable and a flag (`haproxy-mcp serve --help`). Exit codes: 0 done, 1 failed, 2 wrong command "
        + "line or settings, 3 degraded (status, doctor, explain), 70 a defect."
    ),
    Command.withSubcommands([
      { group: "Run", commands: [serveCommand(handlers), stdioCommand(handlers)] },
      { group: "Set up", commands: [configCommand, tokenCommand(handlers), completionCommand(whole)] },
      { group: "Domains", commands: [importCommand(handlers), exportCommand(handlers), foreignCommand(handlers)] },
      { group: "Certificates", commands: [certsCommand(handlers)] },
      { group: "Database", commands: [backupCommand, restoreCommand, remoteCommand(handlers)] },
      {
        group: "Look",
        commands: [
          statusCommand(handlers),
          explainCommand(handlers),
          doctorCommand(handlers),
          changesCommand(handlers),
          auditCommand(handlers)
        ]
      }
    ]),
    Command.withExamples([
      { command: "haproxy-mcp config > haproxy.cfg", description: "A configuration for HAProxy, then HAProxy with it" },
      { command: "MCP_TOKEN=$(openssl rand -hex 32) haproxy-mcp serve", description: "The control plane" },
      { command: "haproxy-mcp status", description: "How it is" },
      { command: "haproxy-mcp doctor", description: "What is wrong, and how to mend it" }
    ])
  )
  return root
}

const output = Layer.mergeAll(
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, completionsFlag] })
)

/** Runs the command that the arguments name. What is wrong with them has been said when it fails with {@link Ended}. */
export const runCommand = <R>(handlers: Handlers<R>, args: ReadonlyArray<string>): Effect.Effect<void, unknown, R> =>
  Command.runWith(make(handlers), { version })(args).pipe(
    Effect.mapError((error) => CliError.isCliError(error) ? new Ended({ code: exitCodes.usage }) : error),
    Effect.provide([output, NodeServices.layer])
  )
