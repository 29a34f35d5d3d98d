/** The verbs that renew certificates: one of them, or all that are due. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Certificate } from "../../domain/Certificate.ts"
import { Conflict, type ControlError } from "../../domain/Errors.ts"
import { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import { Caller } from "../Caller.ts"
import { endOfDryRun, makePlan } from "../DryRun.ts"
import { longWork } from "../LongWork.ts"
import type { ProgramServices } from "../Services.ts"
import { shownAs } from "./Answers.ts"
import { Certificates } from "./Certificates.ts"
import { issueInTime } from "./Issue.ts"
import { requireStanding } from "./Lookup.ts"
import type { CertWriteAnswer, RenewAllCertsAnswer, RenewCertInput } from "./Shapes.ts"
import { visibleNow } from "./Standing.ts"

/** Hand-placed certificates have nobody here who could renew them. */
const notOurs = (name: string) =>
  new Conflict({
    message: `${name} was put into the folder by hand, so it is not renewed here`,
    hint: `Replace its file and call haproxy_load_cert, or let haproxy_issue_cert get a new one from the CA.`,
    field: "domain"
  })

/** Renews one certificate; without `force` only when it is due. The one of before serves until the new one does. */
export const renewCert = Tracing.fn("renewCert")(function*(
  input: RenewCertInput
): Effect.fn.Return<CertWriteAnswer, ControlError, ProgramServices> {
  const { name, row } = yield* requireStanding(yield* visibleNow, "domain", input.domain)
  const certificates = yield* Certificates
  if (row === null || row.source !== "acme") return yield* notOurs(name)
  const now = yield* Clock.currentTimeMillis
  if (input.force !== true && row.state === "active") {
    const due = yield* certificates.dueAt(row)
    if (due !== null && due > now) {
      const answer: CertWriteAnswer = {
        summary: `${name} is not due before ${new Date(due).toISOString()}; force=true renews it now`,
        ...(yield* shownAs(name, row)),
        proved: false,
        changed: false,
        revision: yield* (yield* Store).revision,
        warnings: []
      }
      return answer
    }
  }
  return yield* issueInTime("haproxy_renew_cert", {
    name,
    names: row.facts.names,
    summary: `Renewed the certificate ${name}`
  })
})

/** What a round of renewals would do now. */
const foreseeDue = Effect.gen(function*() {
  const certificates = yield* Certificates
  const now = yield* Clock.currentTimeMillis
  const due: Array<Certificate> = []
  for (const row of yield* (yield* Store).certificates) {
    const moment = row.source === "acme" && row.state === "active" ? yield* certificates.nextAttempt(row) : null
    if (moment !== null && moment <= now) due.push(row)
  }
  const count = `${due.length} certificate${due.length === 1 ? "" : "s"}`
  return {
    summary: `${count} that ${due.length === 1 ? "is" : "are"} due would be renewed`,
    warnings: [],
    answer: { due: due.length },
    plan: makePlan({
      files: due.map(({ name }) => `${certificates.folder}/${name}.pem`),
      steps: due.length === 0 ? [] : [`acme.sh asks the CA for ${count}, and HAProxy takes each that comes`],
      domains: due.flatMap(({ facts }) => facts.names)
    })
  }
})

/** Renews all that are due. Failures are in the answer, and tried again by themselves. */
export const renewAllCerts = Tracing.fn("renewAllCerts")(
  function*(): Effect.fn.Return<RenewAllCertsAnswer, ControlError, ProgramServices> {
    const certificates = yield* Certificates
    yield* endOfDryRun(foreseeDue)
    const work = Effect.gen(function*() {
      const caller = yield* Caller
      let heard = 0
      // Steps of runs beside each other: only their number grows steadily.
      const progress: typeof caller.progress = (_done, _total, message) =>
        Effect.suspend(() => caller.progress(++heard, heard + 1, message))
      const { due, failed, renewed, skipped } = yield* certificates.renewDue.pipe(
        Effect.provideService(Caller, { ...caller, progress })
      )
      const answer: RenewAllCertsAnswer = {
        summary: due === 0
          ? `No certificate is due; ${skipped} are not`
          : `${renewed.length} of ${due} certificates that were due are renewed${
            failed.length === 0 ? "" : `, ${failed.length} failed and are tried again`
          }`,
        due,
        renewed: renewed.slice(0, mostNamed),
        failed: failed.slice(0, mostNamed),
        skipped,
        warnings: Math.max(renewed.length, failed.length) > mostNamed
          ? [`Only ${mostNamed} of each kind are named here; haproxy_list_certs has all`]
          : []
      }
      return answer
    })
    return yield* longWork(
      "haproxy_renew_all_certs",
      work,
      (operationId) =>
        Effect.map(certificates.underWay, (under): RenewAllCertsAnswer => ({
          summary: `Renewals are still running (${under.size} now): follow them with haproxy_operation`,
          due: under.size,
          renewed: [],
          failed: [],
          skipped: 0,
          warnings: [],
          operation_id: operationId
        }))
    )
  }
)

/** Certificates of each kind that an answer names. */
const mostNamed = 50
