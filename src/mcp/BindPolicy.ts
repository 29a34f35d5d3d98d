/**
 * Where the listener may be bound, given what authentication there is. Pure: the start-up rules of MCP_HOST,
 * MCP_AUTH, tokens and trusted networks in one place.
 *
 * Without authentication nothing but this machine may reach the listener: an unset host binds 127.0.0.1 and says
 * so, an explicit public one refuses to start. Trusted networks alone count as authentication only for an address
 * inside them, because anybody can reach the others.
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import { ConfigInvalid } from "../domain/Errors.ts"
import { type Openness, parseAddress, parseNetworks } from "./Gate.ts"

/** What the rules look at. */
export interface BindSettings {
  /** MCP_HOST; null when it is not set. */
  readonly host: string | null
  /** A unix socket to listen on instead of TCP; null for TCP. */
  readonly socket: string | null
  /** MCP_AUTH. */
  readonly auth: "on" | "off"
  /** MCP_TOKEN, or a token in MCP_TOKEN_FILE. */
  readonly hasToken: boolean
  /** MCP_TRUSTED_CIDRS. */
  readonly trustedCidrs: ReadonlyArray<string>
}

/** Where to listen and who needs no token there. */
export interface Bind {
  readonly host: string
  readonly open: Openness
  /** For one log line at start. */
  readonly warning: string | null
}

/** The address of every interface. */
const everywhere = "0.0.0.0"
const loopback = "127.0.0.1"

const isLoopback = (host: string): boolean => {
  if (host.toLowerCase() === "localhost") return true
  const address = parseAddress(host)
  return address !== null && NetAddress.isLoopback(address)
}

const inside = (networks: ReadonlyArray<string>, host: string): boolean => {
  const address = parseAddress(host)
  return address !== null &&
    parseNetworks(networks).some((network) =>
      NetAddress.familyOf(network.address) === NetAddress.familyOf(address)
      && IpNetwork.contains(network as IpNetwork.IpNetwork<never>, address as never)
    )
}

const refuse = (message: string) =>
  new ConfigInvalid({
    message,
    field: "MCP_HOST",
    hint: "Set MCP_TOKEN or MCP_TOKEN_FILE, or listen on this machine only with MCP_HOST=127.0.0.1."
  })

/** Where to listen, or why the settings are not safe to start with. */
export const bindPolicy = (settings: BindSettings): Bind | ConfigInvalid => {
  const { auth, hasToken, host, trustedCidrs } = settings
  if (settings.socket !== null) {
    const open = auth === "off" ? "off" : hasToken ? "closed" : "local"
    return { host: host ?? loopback, open, warning: null }
  }
  if (auth === "off") {
    if (host !== null && !isLoopback(host)) {
      return refuse(`MCP_AUTH=off is accepted on loopback or a unix socket only, not on MCP_HOST=${host}`)
    }
    return {
      host: host ?? loopback,
      open: "off",
      warning: `MCP_AUTH=off: everybody on this machine may change HAProxy; listening on ${host ?? loopback} only`
    }
  }
  if (hasToken) return { host: host ?? everywhere, open: "closed", warning: null }
  if (host !== null && trustedCidrs.length > 0 && inside(trustedCidrs, host)) {
    return { host, open: "closed", warning: null }
  }
  if (host === null || isLoopback(host)) {
    return {
      host: host ?? loopback,
      open: "local",
      warning: `There is no authentication (MCP_TOKEN): listening on ${host ?? loopback} only, for this machine`
    }
  }
  return refuse(
    trustedCidrs.length > 0
      ? `MCP_HOST=${host} is not inside MCP_TRUSTED_CIDRS, so these alone are no authentication for it`
      : `MCP_HOST=${host} can be reached by others and there is no authentication`
  )
}
