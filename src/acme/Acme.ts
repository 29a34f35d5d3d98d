/**
 * Certificates from a CA, by acme.sh and a DNS hook.
 *
 * Guarantees: every run has a folder of its own (`--config-home`), so that runs beside each other share nothing but
 * the account; an account's saved reload commands, deploy hooks and paths are never read; arguments are a fixed list
 * with checked names; credentials go through the environment of that one process, never through an argument; its
 * output is only matched against known sentences, never repeated; it ends by its time limit, with every process that
 * it started. What it answers is raw PEM, not yet checked.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { AcmeFailed, ConfigInvalid, StorageFailed } from "../domain/Errors.ts"

/** What a run gave: PEM texts as acme.sh wrote them. */
export interface Issued {
  /** The certificate and its chain. */
  readonly chain: string
  readonly key: Redacted.Redacted<string>
}

/** What doctor and health want to know. */
export interface AcmeState {
  /** The program and its version; null when there is none. */
  readonly program: { readonly path: string; readonly version: string } | null
  /** Why nothing could be issued now; null when all is in place. */
  readonly problem: string | null
  /** What would surprise: a cron job of acme.sh, saved reload commands. */
  readonly warnings: ReadonlyArray<string>
}

/** The CA's advice when to renew (RFC 9773): a moment between `start` and `end`, milliseconds since 1970. */
export interface RenewalWindow {
  readonly start: number
  readonly end: number
  /** Ask again after so many milliseconds (Retry-After). */
  readonly askAgain: number
}

export class Acme extends Context.Service<Acme, {
  /** The directory URL of the CA that is set. */
  readonly server: string
  /**
   * Gets a certificate for these names, the first of which names it. `progress` hears of each phase, in our own words.
   * Interruption ends acme.sh and removes its folder.
   */
  readonly issue: (
    names: ReadonlyArray<string>,
    progress: (done: number, total: number, message: string) => Effect.Effect<void>
  ) => Effect.Effect<Issued, AcmeFailed | ConfigInvalid | StorageFailed>
  /**
   * The CA's renewal information for a certificate (PEM of it and its issuers); null where the CA gives none.
   * Never fails: a CA that is down has nothing to say now.
   */
  readonly renewalWindow: (chain: string) => Effect.Effect<RenewalWindow | null>
  /** Looks at program, home and credentials; runs nothing but `acme.sh --version`. */
  readonly state: Effect.Effect<AcmeState>
}>()("haproxy-mcp/acme/Acme") {}
