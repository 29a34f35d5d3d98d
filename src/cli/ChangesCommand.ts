/** `haproxy-mcp changes`: its flags; Changes.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const changesCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("changes", {
    change: Argument.String("change").pipe(
      Argument.withDescription("Id of one change (chg_…): show what it did, row by row"),
      Argument.optional
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Most changes to print (default: 20)"),
      Flag.withDefault(20)
    ),
    since: Flag.Int("since").pipe(
      Flag.withMetavar("REVISION"),
      Flag.withDescription("Only changes after this revision"),
      Flag.optional
    ),
    domain: Flag.String("domain").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only changes that speak of this name"),
      Flag.optional
    ),
    who: Flag.String("who").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only changes by this token (its name or id), address or user"),
      Flag.optional
    ),
    from: Flag.String("from").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only changes since then, such as 2026-02-08T12:00:00Z"),
      Flag.optional
    ),
    until: Flag.String("until").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only changes until then"),
      Flag.optional
    ),
    revert: Flag.Boolean("revert").pipe(
      Flag.withDescription("With CHANGE: take it back, as a new change"),
      Flag.withDefault(false)
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("With --revert: only say what it would do"),
      Flag.withDefault(false)
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("With --revert: also where a guardrail would stop it (MCP_GUARDRAILS=strict)"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of a table"), Flag.withDefault(false)),
    settings: settingFlags("stdio")
  }, ({ change, domain, dryRun, force, from, json, limit, revert, settings, since, until, who }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Changes.ts")),
      ({ printChange, printChanges, revertChange }) =>
        Option.isSome(change) && revert
          ? revertChange(handlers, sourcesOf(settings), change.value, { dryRun, force, json })
          : Option.isSome(change)
          ? printChange(handlers, sourcesOf(settings), change.value, { json })
          : printChanges(handlers, sourcesOf(settings), {
            limit: Math.min(10_000, Math.max(1, limit)),
            since: Option.getOrNull(since),
            domain: Option.getOrNull(domain),
            who: Option.getOrNull(who),
            from: Option.getOrNull(from),
            until: Option.getOrNull(until),
            json
          })
    )).pipe(
      Command.withDescription(
        "Prints who changed what, newest first, out of the change log of the database. Works through a running `serve`, "
          + "else alone."
      ),
      Command.withShortDescription("Say who changed what"),
      Command.withExamples([
        { command: "haproxy-mcp changes", description: "The newest changes" },
        { command: "haproxy-mcp changes --domain shop.example.com", description: "Those of one domain" },
        { command: "haproxy-mcp changes chg_0mij4x2k1f3a9b7c2", description: "What one change did, row by row" },
        { command: "haproxy-mcp changes --who ci --from 2026-02-08", description: "What one token did since a day" },
        { command: "haproxy-mcp changes --since 120 --json", description: "For scripts" }
      ])
    )
