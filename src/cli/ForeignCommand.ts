/** `haproxy-mcp foreign`: its commands and flags; Foreign.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON instead of a table"),
  Flag.withDefault(false)
)

const listCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("list", {
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Most entries to print (default: 100)"),
      Flag.withDefault(100)
    ),
    json,
    settings: settingFlags("stdio")
  }, ({ json, limit, settings }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Foreign.ts")),
      ({ printForeign }) =>
        printForeign(handlers, sourcesOf(settings), { limit: Math.min(10_000, Math.max(1, limit)), json })
    )).pipe(
      Command.withDescription(
        "Lists the entries of domains.map and wildcards.map that are not ours, in the files and in HAProxy, each with the "
          + "reason. They are kept as they are, until someone adopts or removes them."
      ),
      Command.withShortDescription("List map entries that are not ours"),
      Command.withExamples([{ command: "haproxy-mcp foreign list --json | jq '.entries[].key'", description: "Keys" }])
    )

const adoptCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("adopt", {
    names: Argument.String("name").pipe(
      Argument.withDescription("Key of an entry, or the name it is adopted as"),
      Argument.variadic()
    ),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("All that can be adopted; beside an empty database, everything that HAProxy runs"),
      Flag.withDefault(false)
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Only say what would be done"),
      Flag.withDefault(false)
    ),
    json,
    settings: settingFlags("stdio")
  }, ({ settings, ...options }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Foreign.ts")),
      ({ adopt }) => adopt(handlers, sourcesOf(settings), options)
    )).pipe(
      Command.withDescription(
        "Adds the domains that foreign entries mean to the desired state, in the pools that they lead to. The entries stay "
          + "where they are, so nobody who is served notices. Exit code 1 when one of those named cannot be adopted."
      ),
      Command.withShortDescription("Make domains of foreign entries"),
      Command.withExamples([
        { command: "haproxy-mcp foreign adopt Shop.example.com", description: "As shop.example.com" },
        { command: "haproxy-mcp foreign adopt --all --dry-run", description: "What would become ours" }
      ])
    )

export const foreignCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("foreign").pipe(
    Command.withDescription("Map entries that are not ours: list them, adopt them."),
    Command.withShortDescription("Map entries that are not ours"),
    Command.withSubcommands([listCommand(handlers), adoptCommand(handlers)])
  )
