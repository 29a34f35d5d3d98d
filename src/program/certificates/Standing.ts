/** How every certificate stands: its row and its file together, whichever of the two there is. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  type Certificate,
  type CertificateFacts,
  type CertificateSource,
  daysLeft,
  validityAt
} from "../../domain/Certificate.ts"
import type { FileFailure } from "../../domain/Errors.ts"
import { isWithin } from "../../domain/Principal.ts"
import { Store } from "../../store/Store.ts"
import { Caller } from "../Caller.ts"
import { Certificates, type CertificatesState } from "./Certificates.ts"
import type { KnownFile, KnownFiles } from "./Folder.ts"
import type { CertificateItem, CertificateStatus } from "./Shapes.ts"

/** A certificate that there is, was or will be. */
export interface Standing {
  readonly name: string
  readonly row: Certificate | null
  readonly file: KnownFile | null
  readonly source: CertificateSource
  /** Of the file; of the row while there is no good one; null: there was never one. */
  readonly facts: CertificateFacts | null
}

/** All of them by name. */
export const standings = (rows: ReadonlyArray<Certificate>, files: KnownFiles): ReadonlyArray<Standing> => {
  const all = rows.map((row): Standing => {
    const file = files.get(row.name) ?? null
    return {
      name: row.name,
      row,
      file,
      source: row.source,
      facts: file?.facts ?? (row.state === "issuing" ? null : row.facts)
    }
  })
  const known = new Set(rows.map(({ name }) => name))
  for (const [name, file] of files) {
    if (!known.has(name)) all.push({ name, row: null, file, source: "file", facts: file.facts })
  }
  return all.sort((a, b) => a.name < b.name ? -1 : 1)
}

/** The same of now. */
export const current: Effect.Effect<ReadonlyArray<Standing>, FileFailure, Store | Certificates> = Effect.gen(
  function*() {
    const files = yield* (yield* Certificates).known
    return standings(yield* (yield* Store).certificates, files)
  }
)

/** Those that the caller may see: all names of each are its own. */
export const visibleNow: typeof current = Effect.gen(function*() {
  const { principal } = yield* Caller
  const all = yield* current
  return principal.domains === null
    ? all
    : all.filter(({ facts, name, row }) => namesOf({ facts, name, row }).every((one) => isWithin(principal, one)))
})

/** The names that one is about; while nothing is known of it, its own. */
export const namesOf = ({ facts, name, row }: Pick<Standing, "facts" | "name" | "row">): ReadonlyArray<string> => {
  const names = facts?.names ?? row?.facts.names ?? []
  return names.length === 0 ? [name] : names
}

/** How one stands at a moment. */
export const statusOf = ({ file, row }: Standing, now: number): CertificateStatus =>
  file === null
    ? row?.state === "issuing" ? "issuing" : "missing"
    : file.facts === null
    ? "broken"
    : validityAt(file.facts, now)

/** Every status, for counts that show their 0. */
export const statuses: ReadonlyArray<CertificateStatus> = [
  "valid",
  "expiring",
  "expired",
  "not_yet_valid",
  "issuing",
  "missing",
  "broken"
]

/** How many have each status. */
export const countByStatus = (all: ReadonlyArray<Standing>, now: number): Record<CertificateStatus, number> => {
  const counts = Object.fromEntries(statuses.map((status) => [status, 0])) as Record<CertificateStatus, number>
  for (const one of all) counts[statusOf(one, now)]++
  return counts
}

/** A time as answers show it. Times that no calendar has are shown as none. */
export const iso = (ms: number | null): string | null =>
  ms === null || !(Math.abs(ms) <= 8.64e15) ? null : new Date(ms).toISOString()

/** HAProxy serves exactly this certificate; null while that is not known. */
const isLoaded = ({ facts, name }: Standing, { loaded }: CertificatesState): boolean | null =>
  loaded === null ? null : facts !== null && loaded.get(name) === facts.sha1

/** Names that an item shows at most. */
const mostNames = 100

/** One as lists show it. */
export const itemOf = Effect.fnUntraced(function*(
  one: Standing,
  state: CertificatesState
): Effect.fn.Return<CertificateItem, never, Certificates> {
  const now = yield* Clock.currentTimeMillis
  const { facts, file, name, row, source } = one
  return {
    certificate: name,
    domains: (facts?.names ?? []).slice(0, mostNames),
    status: statusOf(one, now),
    not_after: iso(facts?.notAfter ?? null),
    days_left: facts === null ? null : daysLeft(facts, now),
    source,
    issuer: facts?.issuer ?? "",
    loaded: isLoaded(one, state),
    next_attempt: row === null ? null : iso(yield* (yield* Certificates).nextAttempt(row)),
    last_error: row?.lastError ?? file?.problem ?? null
  }
})
