/**
 * What a client on standard input and output watches: `resources/subscribe` of the older eras, `subscriptions/listen` of
 * 2026-07-28.
 *
 * Guarantees: an address is watched once, however often it was asked for, and no longer than somebody wants it or the
 * connection lasts; at most {@link mostWatched} of them; one notice of an address is on its way at a time, so a client that
 * does not read costs nothing. An answer to a subscription means that nothing is missed from then on, unless the process that
 * serves takes longer than {@link patience} to say so.
 */
import * as sdk from "@modelcontextprotocol/server"
import type { Principal } from "../domain/Principal.ts"
import type { Liveness } from "./Server.ts"
import { askedOf, mostWatched, watchable, withUris } from "./Subscriptions.ts"
import type { RulesShape } from "./Visible.ts"

/** Subscriptions of 2026-07-28 on one connection; each names any number of resources. */
export const mostListens = 16

/** Milliseconds that the begin of watching is waited for. */
const patience = 2_000

export interface ConnectionOptions {
  readonly caller: Principal
  readonly rules: RulesShape
  /** Begins to watch an address; answers how to stop. `told` is waited for. */
  readonly watch: (uri: string, told: () => Promise<void>, begun: () => void) => () => void
  /** Tells the client. */
  readonly notify: (uri: string) => Promise<void>
}

interface Held {
  wanted: number
  readonly stop: () => void
  readonly begun: Promise<void>
}

/** Waits, but not for ever. */
const soon = (work: Promise<unknown>): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, patience)
  void work.finally(resolve)
  return promise.finally(() => clearTimeout(timer))
}

/** See the module's head. */
export class ConnectionWatches {
  private readonly options: ConnectionOptions
  private readonly held = new Map<string, Held>()
  private readonly subscribed = new Set<string>()
  private readonly listens = new Map<sdk.RequestId, ReadonlyArray<string>>()
  private stopped = false

  constructor(options: ConnectionOptions) {
    this.options = options
  }

  /** What a server on this connection can do. */
  readonly liveness: Liveness = {
    live: true,
    subscribe: async (uri) => {
      const { caller, rules } = this.options
      if (watchable([uri], caller, rules).length === 0) throw new sdk.ResourceNotFoundError(uri.slice(0, 900))
      if (this.subscribed.has(uri)) return
      const begun = this.hold(uri)
      if (begun === null) throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InternalError, "Subscription limit reached")
      this.subscribed.add(uri)
      await soon(begun)
    },
    unsubscribe: (uri) => {
      if (this.subscribed.delete(uri)) this.release(uri)
    }
  }

  /** Begins to watch what a request names, and answers it without what cannot be; null: it was cancelled meanwhile. */
  async listen(request: sdk.JSONRPCRequest): Promise<sdk.JSONRPCRequest | null> {
    const { caller, rules } = this.options
    // An id that is in use, or one too many: the SDK refuses it, or takes it for the one before.
    if (this.listens.has(request.id) || this.listens.size >= mostListens) return withUris(request, [])
    const begun: Array<Promise<void>> = []
    const kept = watchable(askedOf(request), caller, rules).filter((uri) => {
      const holding = this.hold(uri)
      if (holding !== null) begun.push(holding)
      return holding !== null
    })
    this.listens.set(request.id, kept)
    await soon(Promise.all(begun))
    return this.listens.has(request.id) ? withUris(request, kept) : null
  }

  /** The request is over: cancelled, or refused. */
  drop(id: sdk.RequestId): void {
    for (const uri of this.listens.get(id) ?? []) this.release(uri)
    this.listens.delete(id)
  }

  /** The connection is over. */
  stop(): void {
    this.stopped = true
    for (const { stop } of this.held.values()) stop()
    this.held.clear()
  }

  /** Resolves once the address is watched; null: there are too many. */
  private hold(uri: string): Promise<void> | null {
    const known = this.held.get(uri)
    if (known !== undefined) {
      known.wanted++
      return known.begun
    }
    if (this.stopped || this.held.size >= mostWatched) return null
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = this.options.watch(uri, () => this.options.notify(uri), resolve)
    this.held.set(uri, { wanted: 1, stop, begun: promise })
    return promise
  }

  private release(uri: string): void {
    const known = this.held.get(uri)
    if (known === undefined || --known.wanted > 0) return
    known.stop()
    this.held.delete(uri)
  }
}
