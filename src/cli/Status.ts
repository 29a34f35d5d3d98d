/** `haproxy-mcp status`: the answer of haproxy_health as text or JSON on standard output, and an exit code for scripts. */
import * as Effect from "effect/Effect"
import type { HealthAnswer } from "../program/HealthShapes.ts"
import { wantsColours } from "./Commands.ts"
import { Ended, exitCodes } from "./Exit.ts"
import { statusText } from "./StatusText.ts"

const codeOf: Readonly<Record<HealthAnswer["status"], number>> = {
  healthy: exitCodes.done,
  degraded: exitCodes.degraded,
  unhealthy: exitCodes.failed
}

/** Prints an answer and ends with its code. */
export const printStatus = (health: HealthAnswer, options: { readonly json: boolean }): Effect.Effect<void, Ended> =>
  Effect.suspend(() => {
    process.stdout.write(
      options.json
        ? `${JSON.stringify(health, null, 2)}\n`
        : statusText(health, Date.now(), wantsColours(process.stdout))
    )
    const code = codeOf[health.status]
    return code === exitCodes.done ? Effect.void : Effect.fail(new Ended({ code }))
  })
