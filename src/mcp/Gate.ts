/**
 * The gate in front of every route but the two probes: who may call, decided from headers and sockets alone.
 *
 * Default deny. A request passes when nothing about it is ambiguous (a header twice), its Host is ours (a rebound
 * DNS name is not), its Origin, if a browser sent one, is listed, and its caller is known: by a bearer token, or by
 * an address in the trusted networks. An empty list allows nobody. It says with which rights somebody is in; which tools
 * these open, Visible.ts decides.
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { type Grant, withAllRights } from "../domain/Principal.ts"
import { tokenId } from "../domain/Token.ts"
import { makeThrottle, sourceOf } from "./Throttle.ts"

/**
 * Who needs no token. `closed`: nobody. `local`: callers of this machine, because no authentication is set up and
 * the listener is bound to loopback or a unix socket; not what a proxy forwards. `off`: everybody who can connect,
 * because the operator said so (MCP_AUTH=off), which is accepted on such listeners only.
 */
export type Openness = "closed" | "local" | "off"

/** The tokens that are good now. */
export interface Tokens {
  /** What a token gives when it is one of them, else why not. Takes the same time whatever the token. */
  readonly find: (token: string) => Grant | "wrong" | "expired" | "revoked" | "unready"
  /** Is there authentication by tokens? Also when the last token was revoked. Null: it is not known yet. */
  readonly any: () => boolean | null
}

/** What the gate is told once. */
export interface GateOptions {
  readonly open: Openness
  readonly tokens: Tokens
  /** Networks (`100.64.0.0/10`) whose TCP peers need no token. */
  readonly trustedCidrs: ReadonlyArray<string>
  /** Networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: ReadonlyArray<string>
  /** Host headers beside localhost and our own address, with a port or without. */
  readonly allowedHosts: ReadonlyArray<string>
  /** Origins such as `https://console.example.com`. */
  readonly allowedOrigins: ReadonlyArray<string>
  /** Milliseconds of a clock that only goes forward; for tests. */
  readonly now?: () => number
}

/** What the gate is told of a request. */
export interface RequestFacts {
  /** Name and value in turn, as they came (node's `rawHeaders`): duplicates are seen here only. */
  readonly rawHeaders: ReadonlyArray<string>
  readonly method: string
  /** The TCP peer's address; null on a unix socket. */
  readonly peer: string | null
  /** The address that the peer connected to; null on a unix socket. */
  readonly local: string | null
}

/** Why a request is refused: for metrics and the log, never for the caller. */
export type Refusal =
  | "duplicate_header"
  | "host"
  | "origin"
  | "no_token"
  | "wrong_token"
  | "expired_token"
  | "revoked_token"
  | "too_many"
  | "unready"

/** The gate's word. `preflight`: a browser's CORS question from a listed origin; it gets headers and nothing else. */
export type Decision =
  | { readonly _tag: "allowed"; readonly grant: Grant; readonly origin: string | null }
  | { readonly _tag: "preflight"; readonly origin: string }
  | {
    readonly _tag: "refused"
    readonly status: 400 | 401 | 403 | 429 | 503
    readonly reason: Refusal
    /** Seconds until it may be tried again, with 429 and 503. */
    readonly retryAfter?: number
  }

/** Headers by which proxies tell whom they forward for. One of them makes the TCP peer's address worthless. */
const forwarding = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "true-client-ip",
  "cf-connecting-ip",
  "fastly-client-ip",
  "via"
])

/** Headers that decide who passes: two of one kind would let two readers disagree. */
const single = new Set(["host", "authorization", "origin"])

interface Headers {
  host: string | null
  authorization: string | null
  origin: string | null
  forwardedFor: string | null
  forwarded: boolean
  preflight: boolean
  duplicate: boolean
}

const readHeaders = (raw: ReadonlyArray<string>): Headers => {
  const headers: Headers = {
    host: null,
    authorization: null,
    origin: null,
    forwardedFor: null,
    forwarded: false,
    preflight: false,
    duplicate: false
  }
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase()
    const value = raw[index + 1]!
    if (single.has(name)) {
      const key = name as "host" | "authorization" | "origin"
      if (headers[key] !== null) headers.duplicate = true
      headers[key] = value
    } else if (forwarding.has(name)) {
      headers.forwarded = true
      if (name === "x-forwarded-for") {
        headers.forwardedFor = headers.forwardedFor === null ? value : `${headers.forwardedFor},${value}`
      }
    } else if (name === "access-control-request-method") headers.preflight = true
  }
  return headers
}

const parsedAddresses = new Map<string, NetAddress.IpAddress | null>()

/** An address in its own family: IPv4 that came mapped into IPv6 is IPv4. Null when it is none. */
export const parseAddress = (text: string): NetAddress.IpAddress | null => {
  // The same few addresses come with every request; strangers may not make this grow.
  const known = parsedAddresses.get(text)
  if (known !== undefined) return known
  if (text.length > 64) return null
  const address = readAddress(text)
  if (parsedAddresses.size >= 1024) parsedAddresses.clear()
  parsedAddresses.set(text, address)
  return address
}

const readAddress = (text: string): NetAddress.IpAddress | null => {
  const zone = text.indexOf("%")
  const parsed = NetAddress.ipFromString(zone < 0 ? text : text.slice(0, zone))
  if (Result.isFailure(parsed)) return null
  const address = parsed.success
  return NetAddress.isIpv6Address(address)
    ? Option.getOrElse(NetAddress.fromIpv4Mapped(address), () => address)
    : address
}

/** Networks of settings; a single address is a network of one. Throws on text that is neither. */
export const parseNetworks = (texts: ReadonlyArray<string>): ReadonlyArray<IpNetwork.IpNetwork> =>
  texts.map((text) =>
    text.includes("/") ? IpNetwork.fromStringUnsafe(text) : IpNetwork.fromAddressUnsafe(
      NetAddress.ipFromStringUnsafe(text),
      NetAddress.width(NetAddress.ipFromStringUnsafe(text))
    )
  )

const within = (networks: ReadonlyArray<IpNetwork.IpNetwork>, address: NetAddress.IpAddress): boolean =>
  networks.some((network) =>
    NetAddress.familyOf(network.address) === NetAddress.familyOf(address)
    && IpNetwork.contains(network as IpNetwork.IpNetwork<never>, address as never)
  )

/** A hop of X-Forwarded-For, which some proxies write with a port. */
const parseHop = (text: string): NetAddress.IpAddress | null => {
  const bracketed = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(text)
  const withPort = /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)
  return parseAddress(bracketed?.[1] ?? withPort?.[1] ?? text)
}

/** Host name and port of a Host header; null when it is not one. IPv6 loses its brackets. */
const parseHost = (
  text: string
): { readonly name: string; readonly port: string | null; readonly literal: boolean } | null => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text)
  if (match === null) return null
  const name = (match[1] ?? match[2]!).toLowerCase()
  return { name, port: match[3] ?? null, literal: match[1] !== undefined || /^[\d.]+$/.test(name) }
}

/** `Bearer TOKEN`; null when it is something else. RFC 6750: the scheme's case does not matter. */
const bearer = (authorization: string): string | null =>
  /^bearer +([\u0021-\u007e]+) *$/i.exec(authorization)?.[1] ?? null

const refuse = (status: 400 | 401 | 403, reason: Refusal): Decision => ({ _tag: "refused", status, reason })

/** Why nobody is let in. */
interface Denied {
  readonly reason: Refusal
  readonly retryAfter?: number
}

const deny = ({ reason, retryAfter }: Denied): Decision =>
  retryAfter === undefined
    ? refuse(401, reason)
    : { _tag: "refused", status: reason === "unready" ? 503 : 429, reason, retryAfter }

const always = () => true

/** Somebody who needs no token where it comes from: its address decided, and that stays. */
const openGrant = (name: string): Grant => ({ principal: withAllRights("open", name), isGood: always })

const lookingGrant = (name: string): Grant => {
  const { principal } = openGrant(name)
  return { principal: { ...principal, scopes: ["read"], undecided: true }, isGood: always }
}

/** Compiles the options into the decision. */
export const makeGate = (options: GateOptions): (facts: RequestFacts) => Decision => {
  const cidrs = parseNetworks(options.trustedCidrs)
  const proxies = parseNetworks(options.trustedProxies)
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()))
  const hosts = options.allowedHosts.map(parseHost).filter((host) => host !== null)

  const isOwnHost = (text: string, local: string | null): boolean => {
    const host = parseHost(text)
    if (host === null) return false
    if (host.name === "localhost") return true
    if (hosts.some((listed) => listed.name === host.name && (listed.port === null || listed.port === host.port))) {
      return true
    }
    if (!host.literal || local === null) return false
    const asked = parseAddress(host.name)
    const own = parseAddress(local)
    return asked !== null && own !== null && NetAddress.formatIp(asked) === NetAddress.formatIp(own)
  }

  // The last Host that was right, and where it was asked: nearly every request names the same. Nothing else decides it.
  let rightHost: string | null = null
  let rightLocal: string | null = null
  const ownHost = (text: string | null, local: string | null): boolean => {
    if (text === null) return false
    if (text === rightHost && local === rightLocal) return true
    if (!isOwnHost(text, local)) return false
    rightHost = text
    rightLocal = local
    return true
  }

  const throttle = makeThrottle(options.now)

  /** Whose wrong tokens are counted together: the client, where a trusted proxy says who it is, else the peer. */
  const sourceFor = (facts: RequestFacts, headers: Headers): string => {
    const peer = facts.peer === null ? null : parseAddress(facts.peer)
    return sourceOf(peer === null ? null : clientOf(headers, peer) ?? peer)
  }

  /** What a token gives, for as many wrong ones as a source may try. */
  const tryToken = (facts: RequestFacts, headers: Headers, authorization: string): Grant | Denied => {
    const token = bearer(authorization)
    const source = sourceFor(facts, headers)
    const wait = throttle.wait(source)
    const later: Denied = { reason: "too_many", retryAfter: Math.ceil(wait / 1000) }
    // Who guesses may not learn of a hit either. A stored token cannot be guessed: its owner is not kept waiting.
    if (wait > 0 && (token === null || tokenId(token) === null)) return later
    const found = token === null ? "wrong" : options.tokens.find(token)
    if (typeof found !== "string") return found
    if (found === "unready") return { reason: found, retryAfter: 1 }
    throttle.failed(source)
    return wait > 0 ? later : { reason: `${found}_token` }
  }

  /** The address to trust or not: the peer's, or what a trusted proxy says; null when nobody's word counts. */
  const clientOf = (headers: Headers, peer: NetAddress.IpAddress): NetAddress.IpAddress | null => {
    if (!within(proxies, peer)) return headers.forwarded ? null : peer
    // A proxy never calls for itself: without a chain it is not known for whom.
    if (headers.forwardedFor === null) return null
    const hops = headers.forwardedFor.split(",")
    for (let index = hops.length - 1; index >= 0; index--) {
      const hop = parseHop(hops[index]!.trim())
      if (hop === null) return null
      if (!within(proxies, hop)) return hop
    }
    return null
  }

  /** Who calls, or why nobody is let in. */
  const identify = (facts: RequestFacts, headers: Headers): Grant | Denied => {
    // The first token that is made closes what was open for want of one.
    const any = options.tokens.any()
    const open = options.open === "local" && any === true ? "closed" : options.open
    // While nobody knows whether there is one, this machine may look, and change nothing.
    const grantHere = (name: string) => any === null ? lookingGrant(name) : openGrant(name)
    let denied: Denied = { reason: "no_token" }
    if (headers.authorization !== null && (open === "closed" || any !== false)) {
      const found = tryToken(facts, headers, headers.authorization)
      // A wrong token is an answer in itself; it may not pass as if there were none.
      if ("principal" in found || open === "closed") return found
      denied = found
    } else if (headers.authorization !== null) denied = { reason: "wrong_token" }
    const peer = facts.peer === null ? null : parseAddress(facts.peer)
    if (open === "off") return openGrant(peer === null ? "unix" : NetAddress.formatIp(peer))
    if (open === "local" && !headers.forwarded) {
      if (facts.peer === null) return grantHere("unix")
      if (peer !== null && NetAddress.isLoopback(peer)) return grantHere(NetAddress.formatIp(peer))
    }
    if (headers.authorization === null && peer !== null && cidrs.length > 0) {
      const client = clientOf(headers, peer)
      if (client !== null && within(cidrs, client)) return openGrant(NetAddress.formatIp(client))
    }
    return denied
  }

  return (facts) => {
    const headers = readHeaders(facts.rawHeaders)
    if (headers.duplicate) return refuse(400, "duplicate_header")
    if (!ownHost(headers.host, facts.local)) return refuse(403, "host")
    const origin = headers.origin
    if (origin !== null && !origins.has(origin.toLowerCase())) return refuse(403, "origin")
    if (origin !== null && facts.method === "OPTIONS" && headers.preflight) return { _tag: "preflight", origin }
    const found = identify(facts, headers)
    return "principal" in found ? { _tag: "allowed", grant: found, origin } : deny(found)
  }
}
