/** The verb that takes a certificate from HAProxy, from the folder and from the database. */
import * as Effect from "effect/Effect"
import { Busy, Conflict, type ControlError } from "../../domain/Errors.ts"
import * as Tracing from "../../Tracing.ts"
import type { ProgramServices } from "../Services.ts"
import { Certificates } from "./Certificates.ts"
import { neededBy, requireStanding } from "./Lookup.ts"
import type { DeleteCertAnswer, DeleteCertInput } from "./Shapes.ts"
import { visibleNow } from "./Standing.ts"

/** Names in a sentence. */
const mostNamed = 3

const some = (names: ReadonlyArray<string>): string =>
  names.slice(0, mostNamed).join(", ") + (names.length > mostNamed ? ` and ${names.length - mostNamed} more` : "")

/** It is on its way. */
export const beingIssued = (name: string): Busy =>
  new Busy({
    message: `${name} is being issued now`,
    hint: "Nothing was changed. Ask again when that has ended."
  })

/** Deletes a certificate; without `force` only when no domain that is served needs it. */
export const deleteCert = Tracing.fn("deleteCert")(function*(
  input: DeleteCertInput
): Effect.fn.Return<DeleteCertAnswer, ControlError, ProgramServices> {
  const certificates = yield* Certificates
  const all = yield* visibleNow
  const one = yield* requireStanding(all, "domain", input.domain)
  const { name } = one
  if (name !== input.domain && name !== input.domain.toLowerCase()) {
    return yield* new Conflict({
      message: `${input.domain} is served by the certificate ${name}`,
      hint: "Nothing was changed. Name the certificate itself to delete it.",
      field: "domain",
      validValues: [name]
    })
  }
  if ((yield* certificates.underWay).has(name)) return yield* beingIssued(name)
  const needers = yield* neededBy(all, one)
  if (needers.length > 0 && input.force !== true) {
    return yield* new Conflict({
      message: `${some(needers)} ${needers.length === 1 ? "is" : "are"} served and have no other certificate`,
      hint: "Nothing was changed. Remove the domains first, or delete it all the same with force=true.",
      field: "domain"
    })
  }
  const warnings = needers.length === 0 ? [] : [`HTTPS of ${some(needers)} has no certificate now`]
  const { changed, changeId, revision } = yield* certificates.remove({ name, warnings })
  const answer: DeleteCertAnswer = {
    summary: changed ? `Deleted the certificate ${name}` : `There is no certificate ${name}`,
    certificate: name,
    needed_by: needers,
    changed,
    ...(changeId === null ? {} : { change_id: changeId }),
    revision,
    warnings
  }
  return answer
})
