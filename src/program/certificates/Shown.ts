/**
 * Which certificate HAProxy shows for a host: a TLS handshake where HAProxy answers TLS, as Proof.ts makes one, without
 * a certificate that it should be.
 */
import * as Effect from "effect/Effect"
import type { HandshakeResult } from "../../haproxy/certificates/Handshake.ts"
import type { CertificatePlane } from "./Plane.ts"

/** What a visitor is shown. */
export type Shown =
  | {
    readonly _tag: "Certificate"
    /** SHA-256 of the certificate, hexadecimal, upper case. */
    readonly sha256: string
    /** Names it stands for. */
    readonly names: ReadonlyArray<string>
    /** Milliseconds since 1970. */
    readonly notAfter: number
    /** `127.0.0.1:443`. */
    readonly at: string
  }
  /** TLS is answered, and no certificate for the host. */
  | { readonly _tag: "None"; readonly at: string }
  /** Nothing is known: HAProxy answers no TLS, or not where this process can reach it. */
  | { readonly _tag: "Unknown"; readonly reason: string }

/** Milliseconds for one handshake. */
const longest = 1_500
/** Addresses that are asked at most. */
const mostAddresses = 4

const load = Effect.promise(() => import("../../haproxy/certificates/Handshake.ts"))

const toShown = (at: string, result: HandshakeResult): Shown => {
  switch (result._tag) {
    case "Certificate":
      return { _tag: "Certificate", sha256: result.sha256, names: result.names, notAfter: result.notAfter, at }
    case "Refused":
      return { _tag: "None", at }
    case "NotTls":
      return { _tag: "Unknown", reason: "no listener of HAProxy answers TLS" }
    case "Unreachable":
      return { _tag: "Unknown", reason: result.reason }
  }
}

/** What is shown at the first address that answers TLS. */
export const make = (plane: Pick<CertificatePlane, "tlsAddress" | "haproxyHost" | "listeners">) =>
  Effect.fnUntraced(function*(host: string): Effect.fn.Return<Shown> {
    const { handshake, tlsCandidates } = yield* load
    const candidates = plane.tlsAddress !== null
      ? [plane.tlsAddress]
      : tlsCandidates(plane.listeners(), plane.haproxyHost)
    let last: Shown = {
      _tag: "Unknown",
      reason: candidates.length === 0 ? "where HAProxy listens is not known now" : "no listener of HAProxy answers TLS"
    }
    for (const address of candidates.slice(0, mostAddresses)) {
      const result = yield* handshake({ ...address, serverName: host, timeout: longest })
      last = toShown(`${address.host}:${address.port}`, result)
      if (last._tag !== "Unknown") return last
    }
    return last
  })
