/**
 * What the contract needs of a HAProxy. A real one gives it through signals and files, a fake one by whatever means
 * it has; the tests do not know which it is.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Transport } from "../../../src/haproxy/Connection.ts"

/** How a target begins: slots at the placeholder, `disabled`; maps with these lines. */
export interface TargetOptions {
  /** `pool_1` to `pool_N`; default 4. */
  readonly pools?: number
  /** `pool_N_1` to `pool_N_K`; default 3. */
  readonly slots?: number
  /** Lines `key value` of the map files. */
  readonly domains?: ReadonlyArray<string>
  readonly wildcards?: ReadonlyArray<string>
  /** `stats timeout`, as HAProxy writes times; default `10s`. */
  readonly statsTimeout?: string
}

/** A HAProxy that is up. */
export interface Target {
  /** Major and minor of its version. */
  readonly line: readonly [number, number]
  /** The Runtime API on a unix socket and on TCP, both `level admin`; directly or through something in between. */
  readonly transports: { readonly unix: Transport; readonly tcp: Transport }
  /** The maps as HAProxy knows them. */
  readonly domainsMap: string
  readonly wildcardsMap: string
  /** One line on a connection of its own, by no code of ours: the bytes until HAProxy closes it. */
  readonly command: (line: string) => Effect.Effect<string>
  /** The worker stops running, as by SIGSTOP: connections stay, nothing is answered. */
  readonly pause: Effect.Effect<void>
  /** It goes on, with all that waits in its buffers. */
  readonly resume: Effect.Effect<void>
  /** The process is gone at once, as by SIGKILL; its addresses refuse connections. */
  readonly kill: Effect.Effect<void>
  /** Starts it again on the same addresses: a new epoch, with maps and slots as at the beginning. */
  readonly start: Effect.Effect<void>
  /**
   * A new worker takes over the addresses, with maps and slots as at the beginning; the old one keeps answering on
   * the connections it has, with `Stopping: 1`.
   */
  readonly reload: Effect.Effect<void>
}

/** Starts a target in a scope. */
export type MakeTarget = (options: TargetOptions) => Effect.Effect<Target, never, Scope.Scope>
