/** What `explain` takes and answers. */
import type { Answer } from "../Answer.ts"

export interface ExplainInput {
  readonly host: string
  readonly path?: string
  readonly source_ip?: string
}

/** How a request ends, as far as the maps and servers decide it. */
export const outcomes = ["served", "no_server", "no_backend", "no_route", "unknown"] as const

/** By which entry the host was found. */
export interface RouteFound {
  readonly map: string
  readonly key: string
  /** HAProxy's backend. */
  readonly backend: string
  /** exact, or the wildcard level: 1 is `*.` in place of the first label. */
  readonly match: "exact" | "wildcard"
  readonly level: number
  /** One of our pools. */
  readonly ours: boolean
}

export interface ExplainedServer {
  readonly name: string
  readonly addr: string
  readonly status: string
  readonly check_status: string
  readonly weight: number
  readonly sessions: number
  /** It may get this request. */
  readonly takes: boolean
}

export interface Problem {
  readonly what: string
  readonly hint: string
}

/** A file of patterns that the path or the source address meets. */
export interface Met {
  readonly kind: "acl" | "map"
  readonly list: string
  readonly by: "path" | "source_ip" | "host"
  readonly pattern: string
  readonly value: string | null
}

export interface ExplainAnswer extends Answer {
  readonly host: string
  readonly path: string
  readonly outcome: typeof outcomes[number]
  readonly frontends: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly binds: ReadonlyArray<string>
  }>
  readonly frontends_known: boolean
  readonly route: RouteFound | null
  /** The domain or wildcard of the desired state that is meant. */
  readonly domain: string | null
  readonly servers: ReadonlyArray<ExplainedServer>
  readonly certificate: {
    readonly shown: boolean
    readonly name: string | null
    readonly names: ReadonlyArray<string>
    readonly not_after: string | null
    readonly covers_host: boolean
    readonly fingerprint_sha256: string
  } | null
  readonly meets: ReadonlyArray<Met>
  readonly problems: ReadonlyArray<Problem>
}
