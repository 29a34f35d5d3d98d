/**
 * What the programs must know of the settings: the shape of the pools, the public suffixes, and which addresses
 * lead back to the control plane or to HAProxy's Runtime API (no server may be one of them). Where its frontends
 * listen, HAProxy says itself (haproxy/ListenerCommands.ts).
 *
 * A Runtime API host that is a name is looked up in the background: the start never waits for a name server, and
 * until the answer is there only its own text counts.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { Settings, type SettingsShape } from "./Config.ts"
import type { Listener } from "./domain/Address.ts"
import * as PublicSuffix from "./domain/PublicSuffix.ts"
import { Limits } from "./program/Limits.ts"

/** Addresses of this machine, without zones. */
export const addressesHere = (): ReadonlySet<string> =>
  new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address.split("%")[0]!)))

/** Is it this machine? */
export const isHere = (host: string, here: ReadonlySet<string>): boolean =>
  host === "localhost" || host.startsWith("127.") || host === "::1" || here.has(host)

const isLoopback = (ip: string): boolean => ip.startsWith("127.") || ip === "::1"

/** Does HAProxy run on this machine? With an SSH host it runs there. */
export const isHaproxyHere = (
  { haproxyTransport: transport, ssh }: SettingsShape,
  here: ReadonlySet<string> = addressesHere()
): boolean => ssh === null && ("path" in transport || isHere(transport.host, here))

/** The listener of a host: one of this machine counts on all its addresses, for nobody knows how it is bound. */
const listenerOf = (host: string, port: number, name: string, here: ReadonlySet<string>): Listener => ({
  ip: isHere(host, here) ? "0.0.0.0" : host,
  port,
  name
})

export const layer: Layer.Layer<Limits, never, Settings> = Layer.effect(
  Limits,
  Effect.gen(function*() {
    const settings = yield* Settings
    const here = addressesHere()
    const listeners: Array<Listener> = []
    if (settings.mcpSocket === null) {
      const { mcpHost, mcpPort: port } = settings
      const name = "this control plane's own port"
      const bound = listenerOf(mcpHost ?? "0.0.0.0", port, name, here)
      if (settings.ssh === null) listeners.push(bound)
      else {
        // Loopback is HAProxy's host, where this port is somebody else's.
        const own = bound.ip === "0.0.0.0" ? [...here].filter((ip) => !isLoopback(ip)) : [bound.ip]
        listeners.push(...own.map((ip) => ({ ip, port, name })))
      }
    }
    if ("host" in settings.haproxyTransport) {
      const { host, port } = settings.haproxyTransport
      const name = "HAProxy's Runtime API"
      listeners.push(listenerOf(host, port, name, here))
      if (isIP(host) === 0 && host !== "localhost") {
        yield* Effect.tryPromise(() => lookup(host, { all: true })).pipe(
          Effect.map((found) => listeners.push(...found.map(({ address }) => listenerOf(address, port, name, here)))),
          Effect.catch(() => Effect.logDebug(`The name ${host} has no address now`)),
          Effect.forkScoped
        )
      }
    }
    return {
      pools: { pools: settings.haproxyPoolCount, slots: settings.haproxyMaxSlots },
      suffixes: PublicSuffix.make(settings.haproxyCustomTlds),
      listeners,
      localAddresses: here,
      haproxyIsHere: isHaproxyHere(settings, here)
    }
  })
)
