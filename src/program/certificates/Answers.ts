/** Answers of the verbs that change certificates. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Certificate, daysLeft } from "../../domain/Certificate.ts"
import type { StorageFailed } from "../../domain/Errors.ts"
import { Store } from "../../store/Store.ts"
import type { Installed } from "./Certificates.ts"
import type { CertWriteAnswer } from "./Shapes.ts"
import { iso } from "./Standing.ts"

/** Names of a certificate that an answer shows. */
const mostNames = 100

/** One certificate as answers of writes show it; `null`: there is none yet. */
export const shownAs = Effect.fnUntraced(function*(name: string, certificate: Certificate | null) {
  const now = yield* Clock.currentTimeMillis
  const facts = certificate?.state === "active" ? certificate.facts : null
  return {
    certificate: name,
    domains: (certificate?.facts.names ?? []).slice(0, mostNames),
    not_after: iso(facts?.notAfter ?? null),
    days_left: facts === null ? null : daysLeft(facts, now),
    issuer: facts?.issuer ?? "",
    fingerprint_sha256: facts?.sha256 ?? ""
  }
})

/** A warning when no domain that is served uses any of these names. */
const unused = Effect.fnUntraced(
  function*(names: ReadonlyArray<string>): Effect.fn.Return<ReadonlyArray<string>, StorageFailed, Store> {
    const routes = yield* (yield* Store).routesUnder(names, 1)
    return routes.length > 0 ? [] : [`No domain that is routed here uses ${names.slice(0, 3).join(" or ")} yet`]
  }
)

/** What an install came to. */
export const written = Effect.fnUntraced(
  function*(installed: Installed, summary: string): Effect.fn.Return<CertWriteAnswer, StorageFailed, Store> {
    const { certificate, changed, changeId, proved, revision, warnings } = installed
    const about = yield* shownAs(certificate.name, certificate)
    return {
      summary: `${summary}${about.days_left === null ? "" : `, ${about.days_left} days left`}`,
      ...about,
      proved,
      changed,
      ...(changeId === null ? {} : { change_id: changeId }),
      revision,
      warnings: [...warnings, ...(yield* unused(certificate.facts.names))]
    }
  }
)
