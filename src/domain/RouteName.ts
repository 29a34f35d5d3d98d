/**
 * Names that are routed: an exact host (`example.com`) or a wildcard (`*.example.com`).
 *
 * A value of these brands is canonical: lower case ASCII, equal to its own UTS-46 ASCII form, at least two
 * labels of letters, digits and inner hyphens, at most 253 characters, last label not numeric, and safe to
 * write into a map file or a Runtime API command as it is. Whether a name is registrable is a question for
 * PublicSuffix.ts.
 */
import type * as Brand from "effect/Brand"
import * as Result from "effect/Result"
import { domainToASCII, domainToUnicode } from "node:url"

/** An exact host name, canonical. */
export type DomainName = string & Brand.Brand<"DomainName">
/** `*.` and a domain name, canonical. Kept in wildcards.map under {@link mapKey}. */
export type WildcardName = string & Brand.Brand<"WildcardName">
/** Anything that can be routed. */
export type RouteName = DomainName | WildcardName

/** Why a text is no route name: the rule, and how to write it right. */
export interface NameRefusal {
  readonly rule: string
  readonly hint: string
}

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const refuse = (rule: string, hint: string): Result.Result<never, NameRefusal> => Result.fail({ rule, hint })

/** A domain name after lower-casing, or the first rule it breaks. */
export const parseDomainName = (text: string): Result.Result<DomainName, NameRefusal> => {
  if (text.length === 0) return refuse("is empty", "Write a host name such as shop.example.com.")
  if (text.length > 1024) return refuse("is longer than 253 characters", "Use a shorter name.")
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) {
    return refuse("contains a space or control character", "Write the bare host name, without spaces or line breaks.")
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return refuse("is a URL", "Write only the host name of the URL.")
  // oxlint-disable-next-line no-control-regex
  if (/[^\u0000-\u007f]/.test(text)) {
    const ascii = domainToASCII(text)
    // Advice that would be refused in its turn helps nobody: "１２７.１" is 127.0.0.1.
    return refuse(
      "is not ASCII",
      ascii === "" || Result.isFailure(parseDomainName(ascii))
        ? "Write the name in its ASCII (punycode) form."
        : `Write it in its ASCII form: ${ascii}`
    )
  }
  if (text.endsWith(".")) return refuse("ends with a dot", "Leave the trailing dot out.")
  if (text.includes("_")) return refuse("contains an underscore", "Host names have letters, digits and hyphens only.")
  if (text.includes("*")) {
    return refuse("has a wildcard in the wrong place", "A wildcard is the whole left-most label: *.example.com.")
  }
  if (/[:/@?#[\]]/.test(text)) return refuse("contains a port, path or user part", "Write only the host name.")
  const name = text.toLowerCase()
  if (name.length > 253) return refuse("is longer than 253 characters", "Use a shorter name.")
  const labels = name.split(".")
  if (labels.length < 2) return refuse("has only one label", "Use a full name with at least two labels: example.com.")
  const bad = labels.find((part) => !label.test(part))
  if (bad !== undefined) {
    return refuse(
      bad === "" ? "has an empty label" : `has an invalid label "${bad.slice(0, 63)}"`,
      "Labels have 1 to 63 letters, digits and inner hyphens."
    )
  }
  const last = labels[labels.length - 1]!
  if (/^\d+$/.test(last) || /^0x[0-9a-f]*$/.test(last)) {
    return refuse("ends with a number", "Addresses are not domains; use a host name.")
  }
  // A label that claims to be punycode must decode, and encode back to itself (Node leaves a bad one as it is). A name
  // without such a label is its own ASCII form.
  const unicode = name.includes("xn--") ? domainToUnicode(name) : null
  if (unicode !== null && (unicode.includes("xn--") || domainToASCII(unicode) !== name)) {
    return refuse(
      "is not a valid internationalised name",
      "Each xn-- label must be the punycode form of a lower-case Unicode label."
    )
  }
  return Result.succeed(name as DomainName)
}

/** A domain or wildcard name, or the first rule it breaks. */
export const parseRouteName = (text: string): Result.Result<RouteName, NameRefusal> => {
  if (!text.startsWith("*.")) return parseDomainName(text)
  const rest = parseDomainName(text.slice(2))
  if (Result.isFailure(rest)) {
    const { hint, rule } = rest.failure
    // The rules speak of the part behind "*."; where that would mislead, say it of the whole.
    if (rule === "is empty") return refuse("has an empty label", "Name a domain behind the star: *.example.com.")
    if (rule === "has only one label") {
      return refuse(rule, "Put the wildcard under a domain of your own: *.example.com.")
    }
    return refuse(rule, hint.replace("ASCII form: ", "ASCII form: *."))
  }
  if (rest.success.length > 251) return refuse("is longer than 253 characters", "Use a shorter name.")
  return Result.succeed(`*.${rest.success}` as WildcardName)
}

/** Is it a wildcard? */
export const isWildcard = (name: RouteName): name is WildcardName => name.startsWith("*.")

/** The wildcard over a domain: `example.com` → `*.example.com`. */
export const wildcardOf = (domain: DomainName): WildcardName => `*.${domain}` as WildcardName

/** The domain under a wildcard: `*.example.com` → `example.com`. */
export const parentOf = (wildcard: WildcardName): DomainName => wildcard.slice(2) as DomainName

/** The key under which a route stands in its map: the name itself, or `.example.com` for a wildcard. */
export const mapKey = (name: RouteName): string => isWildcard(name) ? name.slice(1) : name

/** The route of a map key: the reverse of {@link mapKey}, for keys that are valid names. */
export const fromMapKey = (key: string): Result.Result<RouteName, NameRefusal> =>
  parseRouteName(key.startsWith(".") ? `*${key}` : key)
