/** The host of a request as HAProxy's configuration looks it up, and what is odd about it. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { InvalidInput } from "../../domain/Errors.ts"
import { parseRouteName } from "../../domain/RouteName.ts"
import { isWord } from "../../haproxy/Cli.ts"
import * as Input from "../Input.ts"
import type { Problem } from "./Shapes.ts"

/** A host, and why no domain can be named so. */
export interface AskedHost {
  /** Lower-cased, without a port: as the map look-ups see it. */
  readonly host: string
  readonly problems: ReadonlyArray<Problem>
}

/** Longest name of DNS. */
const longestHost = 253

const invalid = (value: string, rule: string, hint: string) =>
  new InvalidInput({ message: `host ${Input.shown(value)} ${rule}`, hint, field: "host" })

/** Reads what a caller gives as the host. HAProxy looks up nearly anything: only what no request can carry is refused. */
export const askedHost = (value: string): Effect.Effect<AskedHost, InvalidInput> => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) || value.includes("/")) {
    return Effect.fail(invalid(value, "is a URL", "Give the host alone, and what follows it as path."))
  }
  if (value.startsWith("*")) {
    return Effect.fail(invalid(value, "is a wildcard", "Give a host that it stands for, such as any.example.com."))
  }
  const host = value.toLowerCase().replace(/:\d{1,5}$/, "")
  // An address in brackets is looked up as it is, which no domain can meet.
  if (host === "" || host.length > longestHost || !isWord(host)) {
    const parsed = parseRouteName(value)
    const { hint, rule } = Result.isFailure(parsed)
      ? parsed.failure
      : { rule: "is no host", hint: "Write a host name such as shop.example.com." }
    return Effect.fail(invalid(value, rule, hint))
  }
  const parsed = parseRouteName(host)
  return Effect.succeed({
    host,
    problems: Result.isFailure(parsed)
      ? [{ what: `No domain can be named ${Input.shown(host)}: it ${parsed.failure.rule}`, hint: parsed.failure.hint }]
      : []
  })
}

/** The keys of wildcards.map that a host meets, the nearest first: `a.b.c` meets `.b.c`, `.c`. */
export const suffixesOf = (host: string, levels: number): ReadonlyArray<string> => {
  const suffixes: Array<string> = []
  for (let at = host.indexOf("."); at >= 0 && suffixes.length < levels; at = host.indexOf(".", at + 1)) {
    suffixes.push(host.slice(at))
  }
  return suffixes
}
