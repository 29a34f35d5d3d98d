/** `haproxy-mcp explain`: its arguments and flags; Explain.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const explainCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("explain", {
    host: Argument.String("HOST").pipe(Argument.withDescription("Host of the request, such as shop.example.com")),
    path: Argument.String("PATH").pipe(Argument.withDescription("Path of the request (default: /)"), Argument.optional),
    source: Flag.String("source-ip").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("Client's address, to see which lists it is in"),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of text"), Flag.withDefault(false)),
    settings: settingFlags("stdio")
  }, ({ host, json, path, settings, source }) =>
    Effect.flatMap(
      Effect.promise(() => import("./Explain.ts")),
      ({ printExplanation }) =>
        printExplanation(handlers, sourcesOf(settings), {
          host,
          ...(Option.isSome(path) ? { path: path.value } : {}),
          ...(Option.isSome(source) ? { source_ip: source.value } : {})
        }, { json })
    )).pipe(
      Command.withDescription(
        "Says from HAProxy's memory what becomes of a request: which frontend takes it, which map entry its host meets, "
          + "which servers may answer, which certificate is shown, and what stands in the way. Ends with 0 when it would be "
          + "served, else with 3."
      ),
      Command.withShortDescription("Say what becomes of a request"),
      Command.withExamples([
        { command: "haproxy-mcp explain shop.example.com", description: "Why a site answers as it does" },
        { command: "haproxy-mcp explain shop.example.com /cart --source-ip 192.0.2.7", description: "For one client" }
      ])
    )
