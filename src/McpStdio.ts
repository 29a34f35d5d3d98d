/**
 * MCP over standard input and output: through the process that serves on this machine, or, when nobody does, over
 * the database itself. In the second case it opens the admin socket too, so that further `stdio` processes and the
 * CLI work through this one. Ends when the client closes the input.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "./Config.ts"
import { ConfigInvalid, Conflict } from "./domain/Errors.ts"
import { fetchStatus, layer as remoteTools } from "./mcp/RemoteTools.ts"
import * as Stdio from "./mcp/Stdio.ts"
import type { ToolRunner } from "./mcp/ToolRunner.ts"
import { Rules, rulesOf } from "./mcp/Visible.ts"

/** Two that start at once: the slower finds the database held before the other's socket is there. Times 100 ms. */
const patience = 30

/** `own`: the tools over the database of this process, with the admin socket. */
export const run = Effect.fnUntraced(function*<E, R>(own: Layer.Layer<ToolRunner, E | Conflict, R>) {
  const settings = yield* Settings
  const serve = Stdio.serve(settings.mcpCallTimeout, settings.mcpStdioScopes)
  const socket = settings.mcpAdminSocket
  const rules = rulesOf(settings)
  if (rules instanceof ConfigInvalid) return yield* rules
  for (let attempt = 0;; attempt++) {
    const serving = yield* fetchStatus(socket)
    if (serving !== null) {
      yield* Effect.logInfo("working through the process that serves", { pid: serving.pid, socket })
      return yield* serve.pipe(Effect.provide(remoteTools(socket)), Effect.provideService(Rules, rules))
    }
    const held = yield* serve.pipe(
      Effect.provide(own),
      Effect.as(false),
      Effect.catch((error) =>
        error instanceof Conflict && attempt < patience ? Effect.succeed(true) : Effect.fail(error)
      )
    )
    if (!held) return
    yield* Effect.sleep(100)
  }
})
