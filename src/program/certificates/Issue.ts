/**
 * The verb that gets a certificate for a domain from the CA and serves it. Idempotent: one that is there for the same
 * names, came from here and is not due is only made sure of.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import { isWildcard } from "../../domain/RouteName.ts"
import { CertificateFiles } from "../../haproxy/certificates/CertificateFiles.ts"
import { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import { Caller } from "../Caller.ts"
import * as Input from "../Input.ts"
import { Limits } from "../Limits.ts"
import { longWork } from "../LongWork.ts"
import { requireWithin } from "../Reach.ts"
import type { ProgramServices } from "../Services.ts"
import { shownAs, written } from "./Answers.ts"
import { Certificates, type Installed } from "./Certificates.ts"
import { noteFailure } from "./Failures.ts"
import { sameNames } from "./Issuing.ts"
import type { CertWriteAnswer, IssueCertInput } from "./Shapes.ts"

/** A domain that a CA gives certificates for. */
const domainOf = Effect.fnUntraced(function*(value: string) {
  const limits = yield* Limits
  if (value.startsWith("*.")) {
    return yield* new InvalidInput({
      message: `domain ${Input.shown(value)} is a wildcard`,
      hint: "Name the domain under it, with wildcard=true: the certificate then stands for both.",
      field: "domain"
    })
  }
  const name = yield* Input.routeName(limits, "domain", value)
  if (!isWildcard(name) && !limits.suffixes.isSuffix(name)) return name
  return yield* new InvalidInput({
    message: `domain ${Input.shown(value)} is a public suffix: no CA gives certificates for it`,
    hint: "Name a domain of your own under it.",
    field: "domain"
  })
})

/** The answer while acme.sh still works. */
const stillIssuing = (name: string, names: ReadonlyArray<string>) => (operationId: string) =>
  Effect.gen(function*() {
    const store = yield* Store
    const row = yield* store.certificate(name)
    const about = yield* shownAs(name, row?.state === "active" ? row : null)
    const answer: CertWriteAnswer = {
      summary: `${name} is still being issued: follow it with haproxy_operation`,
      ...about,
      domains: about.domains.length > 0 ? about.domains : names,
      proved: false,
      changed: false,
      revision: yield* store.revision,
      warnings: [],
      operation_id: operationId
    }
    return answer
  })

/** Failures that say nothing of the certificate: what renews by itself need not wait longer for them. */
const passing: ReadonlySet<ControlError["_tag"]> = new Set(["Busy", "Cancelled", "HaproxyUnreachable", "TimedOut"])

/** Issues as work that may outlive the call; a failure is noted in the row, where there is one. */
export const issueInTime = (
  tool: string,
  request: { readonly name: string; readonly names: ReadonlyArray<string>; readonly summary: string }
): Effect.Effect<CertWriteAnswer, ControlError, ProgramServices> =>
  longWork(
    tool,
    Effect.gen(function*() {
      const certificates = yield* Certificates
      const store = yield* Store
      const { dryRun } = yield* Caller
      const installed = yield* certificates.issue(request).pipe(
        Effect.tapError((error) =>
          passing.has(error._tag) || dryRun === true ? Effect.void : noteFailure(store, request.name, error)
        )
      )
      return yield* written(installed, `${request.summary} for ${request.names.join(" and ")}; HAProxy serves it`)
    }),
    stillIssuing(request.name, request.names)
  )

/** What is there already and still good for these names; null: nothing. */
const present = Effect.fnUntraced(
  function*(
    name: string,
    names: ReadonlyArray<string>
  ): Effect.fn.Return<Installed | null, ControlError, ProgramServices> {
    const row = yield* (yield* Store).certificate(name)
    const now = yield* Clock.currentTimeMillis
    if (row === null || row.source !== "acme" || row.state !== "active" || !sameNames(row.facts.names, names)) {
      return null
    }
    if (now < row.facts.notBefore || now >= (row.renewAt ?? 0)) return null
    const bundle = yield* Effect.catchTag(
      (yield* CertificateFiles).read(name),
      "InvalidInput",
      () => Effect.succeed(null)
    )
    if (bundle === null || bundle.facts.sha256 !== row.facts.sha256) return null
    // In the folder: is it live as well?
    return yield* (yield* Certificates).install({
      name,
      bundle,
      source: "acme",
      summary: `Loaded the certificate ${name}`,
      renewAt: row.renewAt
    })
  }
)

/** Issues a certificate for a domain (and its wildcard) and serves it. */
export const issueCert = Tracing.fn("issueCert")(function*(
  input: IssueCertInput
): Effect.fn.Return<CertWriteAnswer, ControlError, ProgramServices> {
  const name = yield* domainOf(input.domain)
  const names = input.wildcard === false ? [name] : [name, `*.${name}`]
  yield* requireWithin("domain", names)
  // What it would replace.
  yield* requireWithin("domain", (yield* (yield* Store).certificate(name))?.facts.names ?? [])
  const there = yield* present(name, names)
  if (there !== null) return yield* written(there, `${name} has its certificate already; HAProxy serves it`)
  return yield* issueInTime("haproxy_issue_cert", { name, names, summary: `Issued the certificate ${name}` })
})
