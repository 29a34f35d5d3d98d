/** HAProxy's host: how a reload would be done, and whether its configuration is valid as it lies there now. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { HostControl, Way } from "../haproxy/HostControl.ts"
import { type Check, check, error, type Found, ok } from "./Finding.ts"

const wayText = (way: Way): string => {
  switch (way._tag) {
    case "master_socket":
      return `by the master's socket ${way.socket}`
    case "container":
      return `by SIGHUP to the container ${way.name}`
    case "systemd":
      return `by \`systemctl reload ${way.unit}\``
    case "command":
      return `by ${way.argv[0]}`
  }
}

const reload = (host: HostControl["Service"]) =>
  Effect.map(Effect.result(host.way), (way): ReadonlyArray<Found> => [
    Result.isSuccess(way)
      ? ok("Reload", wayText(way.success))
      // Routine changes need none.
      : ok("Reload", "not configured; only haproxy_reload needs it (HAPROXY_MASTER_SOCKET and others set it)")
  ])

/** Milliseconds for `haproxy -c`: a second for thousands of certificates or a large map. */
const checkTime = 4_000

const configuration = (host: HostControl["Service"]) =>
  Effect.map(Effect.result(host.check(checkTime)), (answer): ReadonlyArray<Found> => {
    const name = "Configuration"
    if (Result.isFailure(answer)) return [ok(name, `not checked: ${answer.failure.message}`)]
    const { messages, valid } = answer.success
    const alert = messages.find(({ level }) => level === "alert")
    const warnings = messages.filter(({ level }) => level === "warning")
    if (!valid) {
      return [
        error(name, `invalid: ${alert?.text ?? "haproxy -c refuses it"}`, "Mend it before the next start or reload.")
      ]
    }
    const first = warnings[0] === undefined ? "" : `, with ${warnings.length} warnings: ${warnings[0].text}`
    return [ok(name, `valid (haproxy -c)${first}`)]
  })

/** The checks of a HAProxy that answers. */
export const checks = (host: HostControl["Service"]): ReadonlyArray<Check> => [
  check("HAProxy", "Reload", reload(host), 4_000),
  check("HAProxy", "Configuration", configuration(host), checkTime + 500)
]
