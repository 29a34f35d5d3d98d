/**
 * Who a caller is and what it may do: scopes, and perhaps some domains only. Pure data and the two questions about it.
 *
 * A right that is not given is not there: an empty list of scopes allows nothing, an empty list of domains none.
 */

/**
 * What tools are grouped by for rights:
 *
 * - `read`: look at domains, servers, certificates, statistics; every other scope includes it;
 * - `traffic`: state and weight of servers;
 * - `config`: domains, servers, HAProxy's configuration and reload;
 * - `certs`: issue, renew, load and delete certificates;
 * - `runtime`: HAProxy's Runtime API beyond our own objects: maps, tables, sessions, dynamic servers;
 * - `admin`: all of these, and what belongs to no other.
 */
export const scopes = ["read", "traffic", "config", "certs", "runtime", "admin"] as const

/** See {@link scopes}. */
export type Scope = (typeof scopes)[number]

/** A caller, as audit and policy see it. Never a secret. */
export interface Principal {
  /**
   * `token`: showed a bearer token. `open`: needs none where it comes from (MCP_TRUSTED_CIDRS, a listener without
   * authentication). `process`: an MCP client on standard input and output. `owner`: the command line of the user that
   * the control plane runs as. `program`: code in this process.
   */
  readonly kind: "token" | "open" | "process" | "owner" | "program"
  /** Public id of a stored token; null for everybody else. */
  readonly id: string | null
  /** Name of the token, address or user. */
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** Domains that it is limited to: exact names, and `*.example.com` for all names below. Null: no limit. */
  readonly domains: ReadonlyArray<string> | null
  /**
   * It needs no token where it comes from as long as there are none, and nobody knows yet whether there are: until then it
   * may look. Missing: its rights are known.
   */
  readonly undecided?: true
}

/** What a token that is good gives. */
export interface Grant {
  readonly principal: Principal
  /** Is the token still good? For requests that last. */
  readonly isGood: () => boolean
}

/** Somebody with every right. */
export const withAllRights = (kind: Principal["kind"], name: string): Principal => ({
  kind,
  id: null,
  name,
  scopes: ["admin"],
  domains: null
})

/** The caller as logs and the change log name it: `ci/3f9k2m7q1z` for a stored token. */
export const whoOf = ({ id, name }: Pick<Principal, "id" | "name">): string => id === null ? name : `${name}/${id}`

/** Does the caller have the scope? */
export const hasScope = ({ scopes }: Pick<Principal, "scopes">, scope: Scope): boolean =>
  scopes.includes(scope) || scopes.includes("admin") || (scope === "read" && scopes.length > 0)

/**
 * Is the name one of these domains? `*.example.com` stands for every name below `example.com`, the wildcard
 * `*.example.com` itself included, not for `example.com`. Names are canonical.
 */
export const covers = (domains: ReadonlyArray<string>, name: string): boolean =>
  domains.some((domain) => domain.startsWith("*.") ? name.endsWith(domain.slice(1)) : name === domain)

/** May the caller have to do with the name? */
export const isWithin = ({ domains }: Pick<Principal, "domains">, name: string): boolean =>
  domains === null || covers(domains, name)
