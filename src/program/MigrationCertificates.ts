/**
 * What becomes of the predecessor's certificates. They were issued by its acme.sh, so they are renewed here from now
 * on; HAProxy goes on loading their files, which stay as they are.
 *
 * A certificate whose file is not there, or cannot be used, has a row that says so and no date: nothing is issued that
 * nobody asked for. Names that our rules refuse are left, with the reason.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Certificate, noFacts } from "../domain/Certificate.ts"
import { type DomainName, parseDomainName } from "../domain/RouteName.ts"
import { CertificateFiles } from "../haproxy/certificates/CertificateFiles.ts"
import { renewalOf } from "./certificates/RenewalPlan.ts"
import type { Note } from "./MigrationReport.ts"

/** Which domains a source has certificates for. */
export interface LegacyCertificateNames {
  readonly file: string
  readonly found: ReadonlyArray<string>
}

/** What they came to. */
export interface TakenCertificates {
  readonly rows: ReadonlyArray<Certificate>
  readonly left: ReadonlyArray<Note>
  readonly decided: ReadonlyArray<Note>
}

/** Files that are read beside each other. */
const beside = 4

/**
 * The names that are taken, each once. `*.example.com` is `example.com`: a certificate of ours is called after the
 * first of its names, and holds the wildcard too.
 */
const namesOf = ({ file, found }: LegacyCertificateNames) => {
  const names = new Set<DomainName>()
  const left: Array<Note> = []
  for (const what of found) {
    const name = parseDomainName(what.replace(/^\*\./, ""))
    if (Result.isFailure(name)) left.push({ what, from: file, why: `the certificate's name ${name.failure.rule}` })
    else names.add(name.success)
  }
  return { names: [...names], left }
}

/** Reads the certificates' files and makes their rows. `now` in milliseconds since 1970. */
export const takeCertificates = Effect.fnUntraced(
  function*(source: LegacyCertificateNames, now: number): Effect.fn.Return<TakenCertificates, never, CertificateFiles> {
    const files = yield* CertificateFiles
    const { left, names } = namesOf(source)
    const read = Effect.fnUntraced(function*(name: DomainName): Effect.fn.Return<Certificate> {
      const bundle = yield* Effect.result(files.read(name))
      const facts = Result.isSuccess(bundle) ? bundle.success?.facts ?? null : null
      const why = Result.isFailure(bundle) ? bundle.failure.message : `no file ${name}.pem in ${files.folder}`
      return {
        name,
        source: "acme",
        state: "active",
        facts: facts ?? noFacts(),
        renewAt: facts === null ? null : renewalOf(facts, now),
        nextAttempt: null,
        failures: 0,
        lastError: facts === null ? why : null
      }
    })
    const rows = yield* Effect.forEach(names, read, { concurrency: beside })
    const decided = rows.flatMap(({ lastError, name }) =>
      lastError === null ? [] : [{
        what: name,
        from: source.file,
        why: `its certificate is not renewed before somebody issues it anew: ${lastError}`
      }]
    )
    return { rows, left, decided }
  }
)
