/** Inputs and answers of the verbs on domains. Field names are the tools' contract. */
import type { ServerState } from "../domain/Pool.ts"
import type { Answer, WriteAnswer } from "./Answer.ts"

/** A server as lists show it. */
export interface ServerItem {
  readonly slot: number
  readonly name: string
  readonly addr: string
  readonly weight: number
  readonly state: ServerState
}

/** A routed name as lists show it. */
export interface DomainItem {
  readonly domain: string
  readonly backend: string
  /** The owner, when this domain uses another one's pool. */
  readonly shares_with: string | null
  /** A wildcard that came with its registrable domain. Only wildcards have it. */
  readonly implicit?: boolean
  readonly servers: ReadonlyArray<ServerItem>
}

export interface ListDomainsInput {
  readonly include_wildcards?: boolean
  readonly search?: string
  readonly limit?: number
  readonly cursor?: string
}

export interface ListDomainsAnswer extends Answer {
  readonly domains: ReadonlyArray<DomainItem>
  /** Of the whole database, whatever the filter. */
  readonly total: number
  /** Pass it back as `cursor`; null on the last page. */
  readonly next_cursor: string | null
  readonly foreign_entries: number
}

export interface AddDomainInput {
  readonly domain: string
  readonly ip?: string
  readonly http_port?: number
  readonly share_with?: string
}

export interface AddDomainAnswer extends WriteAnswer {
  readonly domain: string
  readonly backend: string
  readonly shares_with: string | null
  /** The wildcard that was added with it, when the domain is registrable. */
  readonly wildcard: string | null
  readonly servers: ReadonlyArray<ServerItem>
}

export interface RemoveDomainInput {
  readonly domain: string
}

export interface RemoveDomainAnswer extends WriteAnswer {
  readonly domain: string
  /** The wildcard that left with it. */
  readonly wildcard: string | null
  /** The pool, and whether it is free now. */
  readonly backend: string | null
  readonly pool_freed: boolean
  /** The share that owns the pool now. */
  readonly new_owner: string | null
}

export interface CleanupWildcardsInput {
  readonly dry_run?: boolean
}

export interface CleanupWildcardsAnswer extends WriteAnswer {
  readonly dry_run: boolean
  /** Wildcards of subdomains that were (with `dry_run`: would be) removed; at most 100 are listed. */
  readonly removed: ReadonlyArray<string>
  readonly removed_count: number
  /** Wildcards of subdomains that someone added explicitly: kept; at most 100 are listed. */
  readonly kept_explicit: ReadonlyArray<string>
}
