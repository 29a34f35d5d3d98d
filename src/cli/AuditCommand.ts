/** `haproxy-mcp audit`: its commands and flags; Audit.ts does the work. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

const verifyCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("verify", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of text"), Flag.withDefault(false)),
    settings: settingFlags("stdio")
  }, ({ json, settings }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Audit.ts")),
      ({ verify }) => verify(handlers, sourcesOf(settings), { json })
    )).pipe(
      Command.withDescription(
        "Recomputes the audit chain of the database from its first record that is kept, and compares the log of changes with "
          + "it. Names every record and change that was edited or is missing; exit code 1 then. Note the last line somewhere "
          + "else: it tells later whether the whole chain was made anew."
      ),
      Command.withShortDescription("Say whether the audit chain is whole"),
      Command.withExamples([{ command: "haproxy-mcp audit verify", description: "Is anything edited or gone?" }])
    )

const exportCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("export", {
    since: Flag.String("since").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only records of this time or later, ISO 8601 (2026-02-08, 2026-02-08T12:00:00Z)"),
      Flag.optional
    ),
    settings: settingFlags("stdio")
  }, ({ settings, since }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Audit.ts")),
      ({ writeOut }) => writeOut(handlers, sourcesOf(settings), { since: Option.getOrNull(since) })
    )).pipe(
      Command.withDescription(
        "Writes the audit chain as lines of JSON, oldest first: who did what with which token, what became of it, and what was "
          + "refused; each with its hash and the text that was hashed."
      ),
      Command.withShortDescription("Write the audit chain as lines of JSON"),
      Command.withExamples([
        { command: "haproxy-mcp audit export --since 2026-02-08 > audit.jsonl", description: "To keep it longer" }
      ])
    )

export const auditCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("audit").pipe(
    Command.withDescription("The audit chain of the database: verify it, write it out."),
    Command.withShortDescription("Verify or export the audit chain"),
    Command.withSubcommands([verifyCommand(handlers), exportCommand(handlers)])
  )
