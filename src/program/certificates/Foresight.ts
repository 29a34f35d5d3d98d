/**
 * What a change of a certificate would do, for dry runs. What HAProxy would be told is said in words: these commands carry
 * keys.
 */
import * as Effect from "effect/Effect"
import { isWithin } from "../../domain/Principal.ts"
import type { Store } from "../../store/Store.ts"
import { Caller } from "../Caller.ts"
import { endOfDryRun, makePlan } from "../DryRun.ts"

/** Routed names that are looked at. */
const mostRoutes = 1_000

export interface CertificateForesight {
  readonly name: string
  /** Names that it stands for. */
  readonly names: ReadonlyArray<string>
  /** What the real call would say. */
  readonly summary: string
  readonly files: ReadonlyArray<string>
  readonly steps: ReadonlyArray<string>
  readonly warnings?: ReadonlyArray<string>
}

/** Ends a dry run of a change of one certificate. */
export const endOfCertificateDryRun = (
  store: Store["Service"],
  { files, name, names, steps, summary, warnings = [] }: CertificateForesight
) =>
  endOfDryRun(Effect.gen(function*() {
    const { principal } = yield* Caller
    const routes = (yield* store.routesUnder(names, mostRoutes)).filter((route) => isWithin(principal, route))
    return {
      summary,
      warnings,
      answer: { certificate: name, domains: names.slice(0, mostNames) },
      plan: makePlan({ files, steps, domains: routes })
    }
  }))

/** Names of a certificate that an answer shows. */
const mostNames = 100
