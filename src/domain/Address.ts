/**
 * Addresses of servers. HAProxy validates none of them (it takes `127.1`, `unix@/etc/passwd`, `$HOME:80`), so
 * this does: canonical text only, and never an address that no backend can have or that would leak
 * (unspecified, multicast, broadcast, link-local, cloud metadata). Loopback and private ranges are allowed.
 */
import type * as Brand from "effect/Brand"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** An IPv4 or IPv6 address in canonical text (RFC 5952 for IPv6), allowed as a server. */
export type ServerIp = string & Brand.Brand<"ServerIp">
/** A TCP port, 1 to 65535. */
export type Port = number & Brand.Brand<"Port">

/** Why a text is no server address. */
export interface AddressRefusal {
  readonly rule: string
  readonly hint: string
}

/** The metadata services of AWS (and most clouds), AWS over IPv6, Alibaba Cloud, and Google Cloud over IPv6. */
const metadata = new Set(["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fd20:ce::254"])

const refuse = (rule: string, hint: string): Result.Result<never, AddressRefusal> => Result.fail({ rule, hint })

/** `a.b.c.d` of two 16-bit segments. */
const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`

/** The IPv4 address that an IPv6 one is a way to: through NAT64 (RFC 6052, 64:ff9b::/96) or 6to4 (RFC 3056, 2002::/16). */
const embedded = (segments: NetAddress.Ipv6Segments): string | null => {
  const [a, b, c, d, e, f, g, h] = segments
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return dotted(g, h)
  return a === 0x2002 ? dotted(b, c) : null
}

/** The rule that an address breaks by what it means, however it is written. */
const meaning = (address: NetAddress.IpAddress, canonical: string): Result.Result<void, AddressRefusal> => {
  if (metadata.has(canonical)) return refuse("is a cloud metadata service", "Name a server of your own.")
  if (NetAddress.isUnspecified(address) || (NetAddress.isIpv4Address(address) && canonical.startsWith("0."))) {
    return refuse("is an unspecified address", "Name the address of one server.")
  }
  if (NetAddress.isMulticast(address)) return refuse("is a multicast address", "Name the address of one server.")
  if (NetAddress.isIpv4Address(address) && NetAddress.isBroadcast(address)) {
    return refuse("is the broadcast address", "Name the address of one server.")
  }
  if (NetAddress.isLinkLocal(address)) return refuse("is a link-local address", "Use a routable or private address.")
  return Result.void
}

/** The same for IPv6 addresses that stand for an IPv4 one. */
const disguise = (address: NetAddress.Ipv6Address): Result.Result<void, AddressRefusal> => {
  if (NetAddress.isIpv4Mapped(address)) return refuse("is an IPv4-mapped address", "Write the IPv4 address itself.")
  const segments = NetAddress.ipv6ToSegments(address)
  // Deprecated (RFC 4291, 2.5.5.1), and HAProxy shows them in another form than they were given in. ::1 is loopback.
  if (segments.slice(0, 6).every((segment) => segment === 0) && !NetAddress.isLoopback(address)) {
    return refuse("is an IPv4-compatible address", "Write the IPv4 address itself.")
  }
  const inner = embedded(segments)
  if (inner === null) return Result.void
  const refused = meaning(Result.getOrThrow(NetAddress.ipFromString(inner)), inner)
  return Result.isFailure(refused)
    ? refuse(`leads to ${inner}, which ${refused.failure.rule}`, refused.failure.hint)
    : Result.void
}

/** A server address, or the rule it breaks. */
export const parseServerIp = (text: string): Result.Result<ServerIp, AddressRefusal> => {
  const parsed = text.length > 45 ? Result.fail(undefined) : NetAddress.ipFromString(text)
  if (Result.isFailure(parsed)) {
    return refuse(
      "is not an IP address",
      "Write a plain IPv4 or IPv6 address such as 10.0.0.5 or 2001:db8::5: no name, port, brackets, zone or leading zeros."
    )
  }
  const address = parsed.success
  const canonical = NetAddress.formatIp(address)
  // What it means comes first: "write it as …" must be advice that helps.
  const allowed = meaning(address, canonical)
  if (Result.isFailure(allowed)) return Result.fail(allowed.failure)
  if (NetAddress.isIpv6Address(address)) {
    const plain = disguise(address)
    if (Result.isFailure(plain)) return Result.fail(plain.failure)
  }
  if (canonical !== text) return refuse("is not in canonical form", `Write it as ${canonical}.`)
  return Result.succeed(canonical as ServerIp)
}

/** Is this an address of anybody: a plain IPv4 or IPv6 one, without a zone? */
export const isIp = (text: string): boolean => text.length <= 45 && Result.isSuccess(NetAddress.ipFromString(text))

/** A listener of HAProxy or of the control plane itself; `ip` may be unspecified (`0.0.0.0`, `::`). */
export interface Listener {
  readonly ip: string
  /** With an unspecified `ip`: it takes connections of this family only; without it, of both. */
  readonly family?: "ipv4" | "ipv6"
  readonly port: number
  readonly name: string
}

const isUnspecified = (ip: string) => ip === "0.0.0.0" || ip === "::" || ip === "*" || ip === ""
const isLoopback = (ip: string) => ip.startsWith("127.") || ip === "::1"

/**
 * The listener that a server address would lead back to, if any: the same address and port, or loopback (or an
 * address of this host, in `local`) and a port that is bound on every address.
 */
export const ownListener = (
  ip: ServerIp,
  port: Port,
  listeners: ReadonlyArray<Listener>,
  local: ReadonlySet<string> = new Set()
): Listener | undefined =>
  listeners.find((listener) =>
    listener.port === port
    && (listener.ip === ip || (isUnspecified(listener.ip)
      && (listener.family === undefined || listener.family === (ip.includes(":") ? "ipv6" : "ipv4"))
      && (isLoopback(ip) || local.has(ip))))
  )

/** `ip:port` as people write it, IPv6 in brackets. */
export const formatEndpoint = (ip: string, port: number): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`
