/** `haproxy-mcp status`: the answer of haproxy_health as text, JSON or one line on standard output, and an exit code for scripts. */
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import { Internal } from "../domain/Errors.ts"
import { withAllRights } from "../domain/Principal.ts"
import { fetchStatus, layer as remoteTools } from "../mcp/RemoteTools.ts"
import { newRequestId } from "../mcp/RequestId.ts"
import { ToolRunner } from "../mcp/ToolRunner.ts"
import type { HealthAnswer } from "../program/HealthShapes.ts"
import { Ended, exitCodes } from "./Exit.ts"
import { wantsColours } from "./HelpText.ts"
import { pluginLine, statusText } from "./StatusText.ts"

/** Milliseconds that a running `serve` gets to answer. */
const patience = 10_000

const codeOf: Readonly<Record<HealthAnswer["status"], number>> = {
  healthy: exitCodes.done,
  degraded: exitCodes.degraded,
  unhealthy: exitCodes.failed
}

/** `nagios`: one line, and the exit codes of monitoring plugins. */
export type StatusForm = "table" | "json" | "nagios"

/** monitoring-plugins.org, "Plugin Return Codes". */
const pluginCodeOf: Readonly<Record<HealthAnswer["status"], number>> = { healthy: 0, degraded: 1, unhealthy: 2 }

const textOf = (health: HealthAnswer, form: StatusForm): string => {
  switch (form) {
    case "json":
      return `${JSON.stringify(health, null, 2)}\n`
    case "nagios":
      return pluginLine(health)
    case "table":
      return statusText(health, Date.now(), wantsColours(process.stdout))
  }
}

const print = (health: HealthAnswer, form: StatusForm): Effect.Effect<void, Ended> =>
  Effect.suspend(() => {
    process.stdout.write(textOf(health, form))
    const code = (form === "nagios" ? pluginCodeOf : codeOf)[health.status]
    return code === exitCodes.done ? Effect.void : Effect.fail(new Ended({ code }))
  })

/** What the process behind the socket says of itself. */
const ask = Effect.fnUntraced(function*(): Effect.fn.Return<HealthAnswer, Internal, ToolRunner> {
  const runner = yield* ToolRunner
  const result = yield* runner.call("haproxy_health", {}, {
    actor: { via: "cli", who: userInfo().username, requestId: newRequestId() },
    principal: withAllRights("owner", userInfo().username),
    timeout: patience,
    progress: () => Effect.void
  })
  if (result.isError) {
    return yield* new Internal({ message: `The control plane does not say how it is: ${result.text}`, hint: "" })
  }
  return result.structuredContent as unknown as HealthAnswer
})

/** Prints how things are: as the process behind the admin socket says, else as `peek` finds them. */
export const printStatus = Effect.fnUntraced(function*<E, R>(
  socket: string,
  peek: (reason: string) => Effect.Effect<HealthAnswer, E, R>,
  form: StatusForm
) {
  const serving = yield* fetchStatus(socket)
  const health = serving === null
    ? yield* peek(`no answer on ${socket}`)
    : yield* ask().pipe(Effect.provide(remoteTools(socket)))
  yield* print(health, form)
})
