/**
 * How many wrong tokens a source may try.
 *
 * Guarantees: memory is bounded, whatever addresses come; a source that stops trying is free again after seconds. A source
 * is an address (of IPv6 its /64: one customer has that many), behind a trusted proxy the client's. People share
 * addresses, so a block is short and renews only with further wrong tokens; a stored token is looked at even then (see
 * Gate.ts), because its 256 bits cannot be tried.
 */
import * as NetAddress from "effect/net/NetAddress"

/** Wrong tokens in a row that cost nothing. */
export const burst = 10
/** Milliseconds after which one more may be tried. */
export const refill = 2_000
/** Sources that are remembered; the longest quiet one makes room. */
const mostSources = 4_096

/** What an address counts as. */
export const sourceOf = (address: NetAddress.IpAddress | null): string => {
  if (address === null) return "unix"
  const text = NetAddress.formatIp(address)
  return NetAddress.isIpv6Address(address) ? prefix64(text) : text
}

/** The first four groups of an IPv6 address. */
const prefix64 = (text: string): string => {
  const [head = "", tail] = text.split("::")
  const groups = head === "" ? [] : head.split(":")
  if (tail !== undefined) {
    const rest = tail === "" ? [] : tail.split(":")
    while (groups.length + rest.length < 8) groups.push("0")
    groups.push(...rest)
  }
  return `${groups.slice(0, 4).join(":")}::/64`
}

/** Counts wrong tokens by source. `now`: milliseconds of a clock that only goes forward. */
export const makeThrottle = (now: () => number = () => performance.now()) => {
  /** By source: when its tries would be whole again. In the order of their last try. */
  const debts = new Map<string, number>()
  return {
    /** Milliseconds until the source may try again; 0: it may now. */
    wait: (source: string): number => {
      const whole = debts.get(source)
      return whole === undefined ? 0 : Math.max(0, whole - now() - (burst - 1) * refill)
    },
    /** The source tried a wrong token. */
    failed: (source: string): void => {
      const at = now()
      const whole = Math.max(debts.get(source) ?? 0, at) + refill
      debts.delete(source)
      debts.set(source, Math.min(whole, at + burst * refill))
      if (debts.size > mostSources) debts.delete(debts.keys().next().value!)
    },
    /** For tests: sources that are remembered. */
    size: () => debts.size
  }
}
