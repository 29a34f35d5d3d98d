/** A layer of your own over the control plane: every shop gets a host name, and all use the servers of one pool. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { addDomain, type ControlError, type ProgramServices, removeDomain } from "haproxy-mcp"

export class Shops extends Context.Service<Shops, {
  /** Routes the host; true when it was not routed before. */
  readonly open: (host: string) => Effect.Effect<boolean, ControlError>
  readonly close: (host: string) => Effect.Effect<void, ControlError>
}>()("shops/Shops") {
  /** `owner`: the domain whose servers the shops use. */
  static readonly layer = (owner: string): Layer.Layer<Shops, never, ProgramServices> =>
    Layer.effect(
      Shops,
      Effect.gen(function*() {
        const services = yield* Effect.context<ProgramServices>()
        return Shops.of({
          open: (host) =>
            addDomain({ domain: host, share_with: owner }).pipe(
              Effect.map(({ changed }) => changed),
              Effect.provideContext(services)
            ),
          close: (host) => removeDomain({ domain: host }).pipe(Effect.asVoid, Effect.provideContext(services))
        })
      })
    )
}
