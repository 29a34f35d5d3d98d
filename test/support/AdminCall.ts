/** A verb of the admin socket, as the command line calls it. */
import * as Effect from "effect/Effect"
import { withAllRights } from "../../src/domain/Principal.ts"
import * as RemoteTools from "../../src/mcp/RemoteTools.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"

/** Calls a verb at this socket; answers `OK` or the code of the error, and its data. */
export const adminCall = (socket: string, verb: string, args: Readonly<Record<string, unknown>>, timeout = 10_000) =>
  Effect.flatMap(ToolRunner, (runner) =>
    runner.admin(verb, args, {
      actor: { via: "test", who: "test", requestId: "test" },
      principal: withAllRights("program", "test"),
      progress: () => Effect.void,
      timeout
    })).pipe(Effect.provide(RemoteTools.layer(socket)), Effect.runPromise)
