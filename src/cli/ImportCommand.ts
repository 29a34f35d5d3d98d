/** `haproxy-mcp import`: its flags; Import.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { formats } from "./rows/Rows.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const importCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("import", {
    file: Argument.String("FILE").pipe(Argument.withDescription("CSV or JSON; - reads standard input")),
    format: Flag.Literals("format", formats).pipe(
      Flag.withDescription("csv or json; default: by what the file holds"),
      Flag.optional
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Check everything and say what would be done, without doing it"),
      Flag.withDefault(false)
    ),
    skipBad: Flag.Boolean("skip-bad").pipe(
      Flag.withDescription("Import the good rows although others are bad, and list the bad ones"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the answer as JSON"), Flag.withDefault(false)),
    timeout: Flag.Int("timeout").pipe(
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("How long it may take, waiting for HAProxy included (default: 120)"),
      Flag.withDefault(120)
    ),
    settings: settingFlags("stdio")
  }, ({ settings, ...options }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Import.ts")),
      ({ runImport }) =>
        runImport(handlers, sourcesOf(settings), {
          ...options,
          format: Option.getOrNull(options.format),
          timeout: Math.min(3_600, Math.max(1, options.timeout))
        })
    )).pipe(
      Command.withDescription(
        "Routes all domains of a file as one change: checked as a whole, all or nothing, live without a reload; up to "
          + "200,000 rows. Columns or fields: domain, pool, shares_with, wildcard, servers; only domain is needed. What "
          + "is wrong is listed by line. Repeating it changes nothing. Works through a running `serve`, else alone."
      ),
      Command.withShortDescription("Route all domains of a CSV or JSON file"),
      Command.withExamples([
        { command: "haproxy-mcp import --dry-run domains.csv", description: "Check it first" },
        { command: "haproxy-mcp import domains.csv", description: "All of it, or nothing" },
        { command: "ssh old haproxy-mcp export | haproxy-mcp import -", description: "From another control plane" }
      ])
    )
