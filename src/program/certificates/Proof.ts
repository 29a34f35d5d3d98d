/**
 * Proof that HAProxy serves a certificate: a TLS handshake with one of its names, where HAProxy answers TLS.
 *
 * Guarantees: it ends by the deadline; only a handshake that showed another certificate, or none, speaks against the
 * install. Where no TLS can be reached from here (another network, PROXY protocol, a firewall) nothing is known, and
 * said so. The first exact name is asked for, and one host that nobody else has a certificate for under the first
 * wildcard.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import type { CertificateFacts } from "../../domain/Certificate.ts"
import type { HandshakeResult, TlsAddress } from "../../haproxy/certificates/Handshake.ts"
import type { CertificatePlane } from "./Plane.ts"

/** What came of it. */
export type Proof =
  | { readonly _tag: "Shown" }
  /** Another certificate answers for the name. */
  | { readonly _tag: "Other"; readonly serverName: string; readonly sha256: string }
  /** TLS is answered, and no certificate for the name. */
  | { readonly _tag: "None"; readonly serverName: string }
  | { readonly _tag: "Unknown"; readonly reason: string }

/** Milliseconds for one handshake, and for finding out whether an address speaks TLS. */
const longest = 2_000
const shortest = 250
/** Addresses that are asked at most. */
const mostAddresses = 8

/** Names to ask for: each is shown by another entry of HAProxy's. Pure but for the random host. */
export const namesToAsk = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const exact = names.find((name) => !name.startsWith("*."))
  const wildcard = names.find((name) => name.startsWith("*."))
  return [
    ...(exact === undefined ? [] : [exact]),
    ...(wildcard === undefined ? [] : [`h${randomUUID().slice(0, 8)}.${wildcard.slice(2)}`])
  ]
}

/** Loaded with the first proof: nobody needs TLS before. */
const load = Effect.promise(() => import("../../haproxy/certificates/Handshake.ts"))

const toProof = (serverName: string, result: HandshakeResult, facts: Pick<CertificateFacts, "sha256">): Proof => {
  switch (result._tag) {
    case "Certificate":
      return result.sha256 === facts.sha256
        ? { _tag: "Shown" }
        : { _tag: "Other", serverName, sha256: result.sha256 }
    case "Refused":
      return { _tag: "None", serverName }
    case "NotTls":
      return { _tag: "Unknown", reason: "what answers there does not speak TLS" }
    case "Unreachable":
      return { _tag: "Unknown", reason: result.reason }
  }
}

/** What speaks loudest: ours shown on one bind is proof, whatever other binds serve. */
const rank = { Shown: 0, Other: 1, None: 2, Unknown: 3 } as const

export const make = (plane: Pick<CertificatePlane, "tlsAddress" | "haproxyHost" | "listeners">) => {
  /** Where the last proof was found. */
  let known: TlsAddress | null = null

  return Effect.fnUntraced(
    function*(facts: Pick<CertificateFacts, "names" | "sha256">, deadline: number): Effect.fn.Return<Proof> {
      const asked = namesToAsk(facts.names)
      if (asked.length === 0) return { _tag: "Unknown", reason: "it has no DNS name to ask for" }
      const { handshake, tlsCandidates } = yield* load
      const timeout = () => Math.max(shortest, Math.min(longest, deadline - Date.now()))

      /** All names at one address, beside each other; the first that is not shown decides. */
      const at = Effect.fnUntraced(function*(address: TlsAddress) {
        const proofs = yield* Effect.forEach(asked, (serverName) =>
          Effect.map(
            handshake({ ...address, serverName, timeout: timeout() }),
            (result) => toProof(serverName, result, facts)
          ), { concurrency: "unbounded" })
        const proof = proofs.find(({ _tag }) => _tag !== "Shown") ?? { _tag: "Shown" }
        if (proof._tag === "Shown") known = address
        return proof
      })

      if (plane.tlsAddress !== null) return yield* at(plane.tlsAddress)
      const candidates = tlsCandidates(plane.listeners(), plane.haproxyHost)
      const listed = known
      const ordered =
        listed === null || !candidates.some(({ host, port }) => host === listed.host && port === listed.port)
          ? candidates
          : [listed, ...candidates.filter(({ host, port }) => host !== listed.host || port !== listed.port)]
      let best: Proof = {
        _tag: "Unknown",
        reason: ordered.length === 0 ? "where HAProxy listens is not known now" : "no listener of HAProxy answers TLS"
      }
      for (const address of ordered.slice(0, mostAddresses)) {
        if (Date.now() >= deadline) break
        const proof = yield* at(address)
        if (proof._tag === "Shown") return proof
        if (rank[proof._tag] < rank[best._tag]) best = proof
      }
      return best
    }
  )
}

export type Prove = ReturnType<typeof make>
