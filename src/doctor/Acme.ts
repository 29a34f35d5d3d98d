/**
 * What issuing certificates stands on: acme.sh, its home, its DNS hook, the credentials; on this machine, or on HAProxy's
 * host (ACME_WHERE). Where nobody has set any of it and nothing was issued here, that is no fault: only issuing needs it.
 */
import * as Effect from "effect/Effect"
import { look } from "../acme/Acme.ts"
import type { SettingsShape } from "../Config.ts"
import type { FarHost } from "../domain/FarHost.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"

const guide = "docs/operations.md, \"Certificates\""
const name = "acme.sh"

/** `far`: where acme.sh runs, when that is another host. `wanted`: somebody has set it up, or certificates here were issued by it. */
export const checks = (
  settings: SettingsShape,
  env: Readonly<Record<string, string | undefined>>,
  far: FarHost | null,
  wanted: boolean
): ReadonlyArray<Check> => [
  check(
    "certificates",
    name,
    Effect.map(look({ ...settings, env }, far), ({ problem, program, warnings }): ReadonlyArray<Found> => {
      const where = far === null ? "" : ` on ${far.name}`
      const which = program === null ? "" : `${program.version} (${program.path}${where}), `
      const can = problem === null
        ? ok(name, `${which}CA ${settings.acmeServer}, DNS hook ${settings.acmeDns}, credentials at hand`)
        : wanted
        ? error(name, `${which}nothing can be issued or renewed: ${problem}`, `Do what it says; ${guide}.`)
        : ok(name, "not set up; only issuing certificates needs it")
      // What acme.sh does by itself concerns only those who issue here as well.
      return [can, ...(wanted ? warnings.map((text) => warning(name, text, `${guide}.`)) : [])]
    }),
    // A look at the version and at the crontab.
    8_000
  )
]
