/**
 * One certificate from the CA to an acknowledgement: a row that says so, acme.sh, the checks of what came, the install.
 *
 * Guarantees: the CA is asked only when HAProxy could take the certificate now; whatever fails, the certificate of
 * before serves on, and no trace of a new one is left; some run beside each other, the rest waits. A process that dies
 * on the way leaves the row, which the next start clears up (Rows.ts).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Semaphore from "effect/Semaphore"
import type { Issued } from "../../acme/Acme.ts"
import { issuingRow } from "../../domain/Certificate.ts"
import { AcmeFailed, type ControlError } from "../../domain/Errors.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import { ownFile } from "../../haproxy/certificates/FileNames.ts"
import { parseBundle } from "../../haproxy/certificates/Pem.ts"
import * as Tracing from "../../Tracing.ts"
import { Caller } from "../Caller.ts"
import type { Installed } from "./Certificates.ts"
import { endOfCertificateDryRun } from "./Foresight.ts"
import type { InstallRequest } from "./Installation.ts"
import * as Metrics from "./Metrics.ts"
import { renewalOf } from "./RenewalPlan.ts"
import { requirePlace, type Workshop } from "./Workshop.ts"

export interface IssueRequest {
  readonly name: string
  readonly names: ReadonlyArray<string>
  readonly summary: string
}

/** Milliseconds that HAProxy has to be there before the CA is asked. */
const readyTime = 5_000

const notAsAsked = (name: string, what: string): AcmeFailed =>
  new AcmeFailed({
    message: `What acme.sh gave for ${name} ${what}`,
    hint: "Nothing was changed. Look at the CA's settings (ACME_SERVER, ACME_PROFILE, ACME_KEY_TYPE).",
    retryable: false
  })

/** What came from the CA, checked: one chain in order, its key, all names. */
const check = (request: IssueRequest, issued: Issued): Result.Result<CertificateBundle, AcmeFailed> =>
  Result.flatMap(
    Result.mapError(parseBundle(issued), ({ problem }) => notAsAsked(request.name, problem)),
    (bundle) => {
      const lacking = request.names.filter((name) => !bundle.facts.names.includes(name))
      return lacking.length === 0
        ? Result.succeed(bundle)
        : Result.fail(notAsAsked(request.name, `does not stand for ${lacking.join(", ")}`))
    }
  )

/** Issues of one control plane. `install` waits for its turn by itself. */
export const make = (
  shop: Workshop,
  turns: Semaphore.Semaphore,
  install: (request: Omit<InstallRequest, "changeId">) => Effect.Effect<Installed, ControlError>
) => {
  const { acme, store } = shop.plane

  /** Asks the CA when its turn has come. */
  const ask = Effect.fnUntraced(function*(request: IssueRequest) {
    const caller = yield* Caller
    const began = performance.now()
    const issued = yield* acme.issue(
      request.names,
      (done, total, message) => caller.progress(done, total + 1, message)
    ).pipe(
      Effect.onExit((exit) => Metrics.issued(Exit.isSuccess(exit) ? "ok" : "failed", performance.now() - began))
    )
    return yield* Effect.fromResult(check(request, issued))
  })

  /** A dry run ends here. */
  const foreseen = Effect.fnUntraced(function*({ name, names, summary }: IssueRequest) {
    const { files } = shop.plane
    const file = (yield* files.fileOf(name)) ?? ownFile(name)
    const { problem, warnings } = yield* acme.state
    yield* endOfCertificateDryRun(store, {
      name,
      names,
      summary: `${summary} for ${names.join(" and ")}; HAProxy serves it`,
      files: [`${files.folder}/${file}`],
      steps: [
        `acme.sh asks the CA ${acme.server} for a certificate of ${names.join(" and ")}`,
        `HAProxy takes ${file}; a handshake proves it`
      ],
      warnings: problem === null ? warnings : [problem, ...warnings]
    })
  })

  return Tracing.fn("Certificates.issue")(function*(request: IssueRequest): Effect.fn.Return<Installed, ControlError> {
    const { name, summary } = request
    yield* requirePlace(shop, Date.now() + readyTime)
    yield* foreseen(request)
    // What is there already keeps its row, and its file.
    const isNew = (yield* store.certificate(name)) === null && (yield* shop.plane.files.fileOf(name)) === null
    if (isNew) yield* shop.ledger.note(store.putCertificate(issuingRow(name, request.names)))
    return yield* Effect.gen(function*() {
      const bundle = yield* turns.withPermit(ask(request))
      const installed = yield* install({
        name,
        bundle,
        source: "acme",
        summary,
        renewAt: renewalOf(bundle.facts, Date.now())
      })
      yield* Effect.flatMap(Caller, (caller) => caller.progress(1, 1, `${name} is served`))
      return installed
    }).pipe(
      Effect.onExit((exit) => {
        if (!isNew || Exit.isSuccess(exit)) return Effect.void
        return store.certificate(name).pipe(
          // One that is active came all the same.
          Effect.flatMap((row) =>
            row?.state === "issuing" ? shop.ledger.note(store.removeCertificate(name)) : Effect.void
          ),
          Effect.catch((error) =>
            Effect.logWarning(`The row of ${name}, which was not issued, stays until the next start: ${error.message}`)
          )
        )
      })
    )
  })
}
