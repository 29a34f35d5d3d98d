/** What Podman says of HAProxy's container. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Commands } from "../../domain/Commands.ts"
import { plain } from "../Cli.ts"
import { parseArguments } from "./CommandLine.ts"

/** A container, or why nothing is known of it. */
export type Container =
  | {
    readonly _tag: "found"
    /** Podman's word: `running`, `exited`, `paused`, … */
    readonly state: string
    /** HAProxy's files as the container was started with them; null when its command names none. */
    readonly options: ReadonlyArray<string> | null
  }
  | { readonly _tag: "missing"; readonly reason: string }
  | { readonly _tag: "no podman"; readonly reason: string }

/** Of `podman inspect --type container NAME` (podman-inspect(1)), what is needed here. */
const Inspected = Schema.fromJsonString(
  Schema.NonEmptyArray(Schema.Struct({
    Path: Schema.String,
    Args: Schema.Array(Schema.String),
    State: Schema.Struct({ Status: Schema.String })
  }))
)
const decode = Schema.decodeUnknownEffect(Inspected)

/** Asks Podman for a container; never fails. */
export const inspect = (commands: Commands, name: string, timeout: number): Effect.Effect<Container> =>
  Effect.gen(function*(): Effect.fn.Return<Container> {
    const ended = yield* Effect.result(commands.run(["podman", "inspect", "--type", "container", name], { timeout }))
    if (ended._tag === "Failure") {
      const { failure } = ended
      if (failure._tag === "RemoteUnreachable") return { _tag: "missing", reason: failure.message }
      return failure.reason === "timeout"
        ? { _tag: "missing", reason: "Podman does not answer" }
        : { _tag: "no podman", reason: failure.message }
    }
    const { code, stderr, stdout } = ended.success
    if (code !== 0) return { _tag: "missing", reason: plain(stderr, 200) || `Podman knows no container ${name}` }
    const found = yield* Effect.result(decode(stdout))
    if (found._tag === "Failure") return { _tag: "missing", reason: "Podman's answer was not understood" }
    const [{ Args, Path, State }] = found.success
    return {
      _tag: "found",
      state: plain(State.Status, 40),
      options: parseArguments([Path, ...Args])?.options ?? null
    }
  })
