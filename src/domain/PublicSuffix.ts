/**
 * Registrable domains: the public suffix list (package tldts, private section included) plus suffixes of the
 * operator's own (HAPROXY_CUSTOM_TLDS).
 */
import * as Tldts from "tldts"
import type { DomainName } from "./RouteName.ts"

const options = { allowPrivateDomains: true, validateHostname: false, extractHostname: false }

/** Answers for one set of extra suffixes. */
export interface PublicSuffixes {
  /** The registrable domain above or equal to a name; null when the name is itself a public suffix. */
  readonly registrable: (name: DomainName) => DomainName | null
  /** Is the name itself a public suffix (`co.uk`, or one of the operator's)? */
  readonly isSuffix: (name: DomainName) => boolean
}

/** Makes the rules for a list of extra public suffixes, such as `["it.com"]`. */
export const make = (extra: ReadonlyArray<string>): PublicSuffixes => {
  const custom = new Set(extra.map((suffix) => suffix.toLowerCase().replace(/^\.+/, "")).filter((s) => s !== ""))
  const customSuffix = (name: string): string | null => {
    for (let rest = name;;) {
      if (custom.has(rest)) return rest
      const dot = rest.indexOf(".")
      if (dot < 0) return null
      rest = rest.slice(dot + 1)
    }
  }
  const registrable = (name: DomainName): DomainName | null => {
    const listed = Tldts.getPublicSuffix(name, options)
    const own = customSuffix(name)
    const suffix = own !== null && (listed === null || own.length > listed.length) ? own : listed
    if (suffix === null || suffix === name) return null
    const head = name.slice(0, name.length - suffix.length - 1)
    return `${head.slice(head.lastIndexOf(".") + 1)}.${suffix}` as DomainName
  }
  return { registrable, isSuffix: (name) => registrable(name) === null }
}
