/** `haproxy-mcp export`: its flags; Export.ts does the work. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { formats } from "./rows/Rows.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const exportCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("export", {
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write to this file instead of standard output; never over an existing one without --force"),
      Flag.optional
    ),
    format: Flag.Literals("format", formats).pipe(
      Flag.withDescription("csv or json; default: by the name of the file, else csv"),
      Flag.optional
    ),
    force: Flag.Boolean("force").pipe(Flag.withDescription("Replace a file that is there"), Flag.withDefault(false)),
    timeout: Flag.Int("timeout").pipe(
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("How long it may take (default: 60)"),
      Flag.withDefault(60)
    ),
    settings: settingFlags("stdio")
  }, ({ settings, ...options }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Export.ts")),
      ({ runExport }) =>
        runExport(handlers, sourcesOf(settings), {
          ...options,
          format: Option.getOrNull(options.format),
          output: Option.getOrNull(options.output),
          timeout: Math.min(3_600, Math.max(1, options.timeout))
        })
    )).pipe(
      Command.withDescription(
        "Writes all domains with their pools, owners and servers, of one revision, oldest first. An import into an empty "
          + "database gives the same state. Works through a running `serve`, else alone."
      ),
      Command.withShortDescription("Write all domains as CSV or JSON"),
      Command.withExamples([
        { command: "haproxy-mcp export > domains.csv", description: "A copy to keep or to edit" },
        { command: "haproxy-mcp export --output domains.json", description: "The same as JSON" }
      ])
    )
