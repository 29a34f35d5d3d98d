/** Which certificate a visitor of the host is shown, by a handshake, and whether it stands for the host. */
import * as Effect from "effect/Effect"
import { covers } from "../../domain/Certificate.ts"
import type { ControlError } from "../../domain/Errors.ts"
import type { Store } from "../../store/Store.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { current } from "../certificates/Standing.ts"
import type { ExplainAnswer, Problem } from "./Shapes.ts"

const iso = (ms: number): string | null => Number.isNaN(ms) ? null : new Date(ms).toISOString()

const ownHint = "Get one with haproxy_issue_cert, or see haproxy_list_certs."

/** Shakes hands for the host. Where no TLS is answered there is no certificate, and nothing in the way of HTTP. */
export const explainCertificate = Effect.fnUntraced(function*(host: string): Effect.fn.Return<
  { readonly certificate: ExplainAnswer["certificate"]; readonly problems: ReadonlyArray<Problem> },
  ControlError,
  Store | Certificates
> {
  const shown = yield* (yield* Certificates).shown(host)
  if (shown._tag === "Unknown") return { certificate: null, problems: [] }
  if (shown._tag === "None") {
    return {
      certificate: {
        shown: false,
        name: null,
        names: [],
        not_after: null,
        covers_host: false,
        fingerprint_sha256: ""
      },
      problems: [{ what: `HTTPS fails: HAProxy has no certificate for ${host}`, hint: ownHint }]
    }
  }
  const ours = (yield* current).find(({ facts }) => facts?.sha256 === shown.sha256)
  const names = ours?.facts?.names ?? shown.names
  const isCovered = covers(names, host)
  const problems: Array<Problem> = []
  if (!isCovered) problems.push({ what: `HTTPS shows a certificate that does not stand for ${host}`, hint: ownHint })
  if (shown.notAfter < Date.now()) {
    problems.push({ what: "The certificate that HTTPS shows has ended", hint: "Renew it with haproxy_renew_cert." })
  }
  return {
    certificate: {
      shown: true,
      name: ours?.name ?? null,
      names: names.slice(0, 20),
      not_after: iso(shown.notAfter),
      covers_host: isCovered,
      fingerprint_sha256: shown.sha256
    },
    problems
  }
})
