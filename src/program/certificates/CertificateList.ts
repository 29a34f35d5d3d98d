/** The verbs that look at certificates: those of the database and those that lie in the folder, as one. No key is read. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import type { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import * as Input from "../Input.ts"
import * as Page from "../Page.ts"
import { Certificates } from "./Certificates.ts"
import { neededBy, requireStanding } from "./Lookup.ts"
import type { CertificateStatus, CertInfoAnswer, CertInfoInput, ListCertsAnswer, ListCertsInput } from "./Shapes.ts"
import { countByStatus, iso, itemOf, visibleNow } from "./Standing.ts"

/** A certificate's name, as isSafeName of haproxy/certificates/FileNames.ts has it. */
const fileName = /^[!-.0-~]{1,255}$/

/** What an operator wants to hear of first. */
const troubles: ReadonlyArray<CertificateStatus> = [
  "expired",
  "expiring",
  "missing",
  "broken",
  "not_yet_valid",
  "issuing"
]

/** `3 expired, 1 missing`. */
const troubleText = (counts: Readonly<Record<string, number>>): string =>
  troubles.filter((status) => counts[status]! > 0).map((status) => `${counts[status]} ${status.replaceAll("_", " ")}`)
    .join(", ")

/** Certificates by name. */
export const listCerts = Tracing.fn("listCerts")(function*(
  input: ListCertsInput
): Effect.fn.Return<ListCertsAnswer, ControlError, Store | Certificates> {
  const limit = yield* Page.rowsFor(input.limit)
  const after = input.cursor === undefined ? null : (yield* Page.positionOf(input.cursor, fileName))[0]
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const state = yield* (yield* Certificates).state
  const all = yield* visibleNow
  const found = search === undefined
    ? all
    : all.filter(({ facts, name }) =>
      name.toLowerCase().includes(search) || (facts?.names ?? []).some((domain) => domain.includes(search))
    )
  const rest = after === null ? found : found.filter(({ name }) => name > after)
  const items = yield* Effect.forEach(rest.slice(0, limit), (one) => itemOf(one, state))
  const certificates = Page.fitting(items)
  const last = certificates.at(-1)
  const more = last !== undefined && certificates.length < rest.length
  const counts = countByStatus(all, yield* Clock.currentTimeMillis)
  const trouble = troubleText(counts)
  return {
    summary: found.length === 0
      ? (search === undefined
        ? `There are no certificates in ${(yield* Certificates).folder} yet`
        : `No certificate matches ${Input.shown(search)}`)
      : `${certificates.length} of ${found.length} certificates${trouble === "" ? "" : ` (in all: ${trouble})`}${
        more ? "; more with next_cursor" : ""
      }`,
    certificates,
    total: found.length,
    counts,
    next_cursor: more ? Page.cursorOf(last.certificate) : null
  }
})

/** One certificate, by its name or by a host that it stands for. */
export const certInfo = Tracing.fn("certInfo")(function*(
  input: CertInfoInput
): Effect.fn.Return<CertInfoAnswer, ControlError, Store | Certificates> {
  const all = yield* visibleNow
  const one = yield* requireStanding(all, "domain", input.domain)
  const item = yield* itemOf(one, yield* (yield* Certificates).state)
  const needers = yield* neededBy(all, one)
  const { facts, file, name, row } = one
  const days = item.days_left
  return {
    summary: `${name} is ${item.status.replaceAll("_", " ")}${
      days === null ? "" : days < 0 ? `, since ${-days} days` : `, ${days} days left`
    }${item.loaded === false ? "; HAProxy does not serve it" : ""}${
      item.last_error === null ? "" : `; last error: ${item.last_error}`
    }`,
    domain: input.domain,
    ...item,
    file: `${(yield* Certificates).folder}/${file?.file.file ?? `${name}.pem`}`,
    serial: facts?.serial ?? "",
    fingerprint_sha256: facts?.sha256 ?? "",
    not_before: iso(facts?.notBefore ?? null),
    key_type: facts?.keyType ?? "",
    chain_length: facts?.chain ?? 0,
    failures: row?.failures ?? 0,
    needed_by: needers
  }
})
