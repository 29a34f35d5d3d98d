/** `haproxy-mcp remote`: its commands and flags; Remote.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

type Runs<R> = Pick<Handlers<R>, "alone">

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON instead of text"),
  Flag.withDefault(false)
)

/** Loaded when it is asked for. */
const work = Effect.promise(() => import("./Remote.ts"))

const statusCommand = <R>(handlers: Runs<R>) =>
  Command.make(
    "status",
    { json, settings: settingFlags("stdio") },
    ({ json, settings }) =>
      Effect.flatMap(work, ({ printRemoteStatus }) => printRemoteStatus(handlers, sourcesOf(settings), json))
  ).pipe(
    Command.withDescription(
      "Says which generation the remote host holds, how far it is behind, and whether this control plane writes there. "
        + "Exit code 3 when it only reads, or the copy is behind."
    ),
    Command.withShortDescription("How the remote copy stands"),
    Command.withExamples([{ command: "haproxy-mcp remote status", description: "At a glance" }])
  )

const listCommand = <R>(handlers: Runs<R>) =>
  Command.make("list", {
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Most generations to print (default: 50)"),
      Flag.withDefault(50)
    ),
    json,
    settings: settingFlags("stdio")
  }, ({ json, limit, settings }) =>
    Effect.flatMap(work, ({ printGenerations }) =>
      printGenerations(handlers, sourcesOf(settings), {
        limit: Math.min(1_000, Math.max(1, limit)),
        json
      }))).pipe(
      Command.withDescription("Lists the generations of the database on the remote host, newest first."),
      Command.withShortDescription("List the generations"),
      Command.withExamples([{ command: "haproxy-mcp remote list --limit 10", description: "The newest ten" }])
    )

const restoreCommand = <R>(handlers: Runs<R>) =>
  Command.make("restore", {
    generation: Argument.Int("generation").pipe(Argument.withDescription("Its number in `remote list`")),
    json,
    settings: settingFlags("stdio")
  }, ({ generation, json, settings }) =>
    Effect.flatMap(
      work,
      ({ restoreGeneration }) => restoreGeneration(handlers, sourcesOf(settings), { generation, json })
    )).pipe(
      Command.withDescription(
        "Makes an old generation the desired state again: as the newest generation, here and in HAProxy. What came after it "
          + "stays in the log. Tokens that were revoked since stay revoked."
      ),
      Command.withShortDescription("Go back to a generation"),
      Command.withExamples([{ command: "haproxy-mcp remote restore 41", description: "As it was then" }])
    )

const takeOverCommand = <R>(handlers: Runs<R>) =>
  Command.make("take-over", {
    keep: Flag.Literals("keep", ["remote", "local"]).pipe(
      Flag.withDescription("Which database goes on: the newest one of the remote host, or the one that lies here"),
      Flag.withDefault("remote" as const)
    ),
    json,
    settings: settingFlags("stdio")
  }, ({ json, keep, settings }) =>
    Effect.flatMap(work, ({ takeOver }) =>
      takeOver(handlers, sourcesOf(settings), { keep, json }))).pipe(
      Command.withDescription(
        "Makes this control plane the one that writes: after it was fenced, when the copies contradict each other, or at the "
          + "first use of a remote host. The database that does not go on is kept beside the other. Another control plane "
          + "that still runs is fenced by it."
      ),
      Command.withShortDescription("Become the one that writes"),
      Command.withExamples([
        { command: "haproxy-mcp remote take-over", description: "Go on from the remote host's newest generation" },
        { command: "haproxy-mcp remote take-over --keep local", description: "Put the database of this machine there" }
      ])
    )

export const remoteCommand = <R>(handlers: Runs<R>) =>
  Command.make("remote").pipe(
    Command.withDescription("The copy of the database on the remote host (HAPROXY_SSH_HOST)."),
    Command.withShortDescription("The remote copy of the database"),
    Command.withSubcommands([
      statusCommand(handlers),
      listCommand(handlers),
      restoreCommand(handlers),
      takeOverCommand(handlers)
    ])
  )
