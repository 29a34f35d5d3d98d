/** The verb that takes a file which somebody put into the folder: checked, made durable, served, and known from now on. */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput, NotFound } from "../../domain/Errors.ts"
import { nearest } from "../../domain/Nearest.ts"
import { CertificateFiles } from "../../haproxy/certificates/CertificateFiles.ts"
import { isSafeName } from "../../haproxy/certificates/FileNames.ts"
import { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import * as Input from "../Input.ts"
import { callersDomains, requireWithin, visibleNames } from "../Reach.ts"
import type { ProgramServices } from "../Services.ts"
import { written } from "./Answers.ts"
import { Certificates } from "./Certificates.ts"
import { beingIssued } from "./Delete.ts"
import { renewalOf } from "./RenewalPlan.ts"
import type { CertWriteAnswer, LoadCertInput } from "./Shapes.ts"

/** Loads a file of the folder into HAProxy, or again after it was replaced. */
export const loadCert = Tracing.fn("loadCert")(function*(
  input: LoadCertInput
): Effect.fn.Return<CertWriteAnswer, ControlError, ProgramServices> {
  const files = yield* CertificateFiles
  const certificates = yield* Certificates
  const store = yield* Store
  const name = input.domain.endsWith(".pem") ? input.domain.slice(0, -4) : input.domain
  if (!isSafeName(name) || name.length > 250) {
    return yield* new InvalidInput({
      message: `domain ${Input.shown(input.domain)} is not a name that a file may have`,
      hint: "Use the name of a file in the folder without .pem: letters, digits, dots, hyphens, underscores.",
      field: "domain"
    })
  }
  const row = yield* store.certificate(name)
  if ((yield* callersDomains) !== null) yield* requireWithin("domain", [name, ...row?.facts.names ?? []])
  if ((yield* certificates.underWay).has(name)) return yield* beingIssued(name)
  const bundle = yield* files.read(name).pipe(
    Effect.catchTag(
      "InvalidInput",
      ({ hint, message }) => Effect.fail(new InvalidInput({ message, hint, field: "domain" }))
    )
  )
  if (bundle === null) {
    const like = nearest(name, yield* visibleNames((yield* files.list).map((file) => file.name)), 5)
    return yield* new NotFound({
      message: `There is no file ${Input.shown(`${name}.pem`)} in ${files.folder}`,
      hint: like.length > 0
        ? "Use one of the valid values."
        : "Put the certificate, its chain and its key into that folder as one PEM file, mode 0600.",
      field: "domain",
      validValues: like
    })
  }
  yield* requireWithin("domain", bundle.facts.names)
  const source = row?.source ?? "file"
  const renewAt = source === "file"
    ? null
    : row?.facts.sha256 === bundle.facts.sha256
    ? row.renewAt
    : renewalOf(bundle.facts, Date.now())
  const installed = yield* certificates.install({
    name,
    bundle,
    source,
    summary: `Loaded the certificate ${name}`,
    renewAt
  })
  return yield* written(
    installed,
    installed.changed ? `Loaded the certificate ${name}; HAProxy serves it` : `HAProxy serves ${name} already`
  )
})
