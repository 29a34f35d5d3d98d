/**
 * The input rules, in one place for every entry (MCP, CLI, a user's own program): text in, branded values out, or
 * INVALID_INPUT that names the field, the rule and how to write it right.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { formatEndpoint, ownListener, parseServerIp, type Port, type ServerIp } from "../domain/Address.ts"
import { InvalidInput } from "../domain/Errors.ts"
import { placeholder, type ServerState, serverStates, type SlotNumber, type Weight } from "../domain/Pool.ts"
import { isWildcard, parentOf, parseRouteName, type RouteName } from "../domain/RouteName.ts"
import { scrub } from "../Scrub.ts"
import type { View } from "./Decision.ts"
import type { Limits } from "./Limits.ts"

/** Longest search text: that of a name. */
const longestSearch = 253

/** Input as an error message may show it: short, one line, letters and plain signs only, no key; text in quotes. */
export const shown = (value: unknown): string => {
  if (typeof value === "number") return String(value)
  const text = scrub(typeof value === "string" ? value : JSON.stringify(value) ?? String(value))
  const short = text.slice(0, 80).replace(/[^\u0020-\u007e\p{L}\p{M}\p{N}]/gu, "?")
  return `"${short}${text.length > 80 ? "…" : ""}"`
}

const refusal = (field: string, value: unknown, rule: string, hint: string, validValues?: ReadonlyArray<string>) =>
  new InvalidInput({
    message: `${field} ${shown(value)} ${rule}`,
    hint,
    field,
    ...(validValues === undefined ? {} : { validValues })
  })

const invalid = (...words: Parameters<typeof refusal>) => Effect.fail(refusal(...words))

const refused = (...words: Parameters<typeof refusal>) => Result.fail(refusal(...words))

/** {@link routeName} for those who check a hundred thousand. */
export const readRouteName = (
  limits: Limits["Service"],
  field: string,
  value: string
): Result.Result<RouteName, InvalidInput> => {
  const parsed = parseRouteName(value)
  if (Result.isFailure(parsed)) return refused(field, value, parsed.failure.rule, parsed.failure.hint)
  const name = parsed.success
  if (isWildcard(name) && limits.suffixes.isSuffix(parentOf(name))) {
    return refused(field, value, "is a wildcard on a public suffix", "Put the wildcard under a domain of your own.")
  }
  return Result.succeed(name)
}

/** A domain or wildcard name. A wildcard directly on a public suffix (`*.co.uk`) is refused. */
export const routeName = (
  limits: Limits["Service"],
  field: string,
  value: string
): Effect.Effect<RouteName, InvalidInput> => Effect.fromResult(readRouteName(limits, field, value))

/** {@link existingName} for those who check a hundred thousand. */
export const readExistingName = (field: string, value: string): Result.Result<RouteName, InvalidInput> => {
  const parsed = parseRouteName(value)
  return Result.isFailure(parsed)
    ? refused(field, value, parsed.failure.rule, parsed.failure.hint)
    : Result.succeed(parsed.success)
}

/** A name to look up: wildcards on public suffixes may exist from earlier times and can be named. */
export const existingName = (field: string, value: string): Effect.Effect<RouteName, InvalidInput> =>
  Effect.fromResult(readExistingName(field, value))

const parsePort = (field: string, value: number): Result.Result<Port, InvalidInput> =>
  Number.isInteger(value) && value >= 1 && value <= 65_535
    ? Result.succeed(value as Port)
    : Result.fail(refusal(field, value, "is not a port", "Use a whole number from 1 to 65535."))

/** A port, 1 to 65535. */
export const port = (field: string, value: number): Effect.Effect<Port, InvalidInput> =>
  Effect.fromResult(parsePort(field, value))

/** The refusal of an address that leads back to HAProxy or to us. */
const circle = (field: string, ip: ServerIp, port: Port, listener: string) =>
  refusal(
    field,
    formatEndpoint(ip, port),
    `is ${listener}, so traffic would run in a circle`,
    "Name the address and port of the server behind HAProxy."
  )

/**
 * Refuses a server address that leads back to one of HAProxy's listeners. For decisions: HAProxy says where it listens,
 * and may listen elsewhere after a reload.
 */
export const notOwn = (
  view: View,
  endpoint: { readonly ip: ServerIp; readonly port: Port },
  prefix = ""
): Effect.Effect<void, InvalidInput> => {
  const listener = view.ownListener(endpoint.ip, endpoint.port)
  return listener === null
    ? Effect.void
    : Effect.fail(circle(`${prefix}ip`, endpoint.ip, endpoint.port, listener))
}

/**
 * A server's address and port: no listener that the settings tell, not the placeholder of empty slots. HAProxy's other
 * listeners are for {@link notOwn}.
 */
export const endpoint = (
  limits: Limits["Service"],
  value: { readonly ip: string; readonly http_port?: number },
  prefix = ""
): Effect.Effect<{ readonly ip: ServerIp; readonly port: Port }, InvalidInput> => {
  const parsed = parseServerIp(value.ip)
  if (Result.isFailure(parsed)) return invalid(`${prefix}ip`, value.ip, parsed.failure.rule, parsed.failure.hint)
  const ip = parsed.success
  const checked = parsePort(`${prefix}http_port`, value.http_port ?? 80)
  if (Result.isFailure(checked)) return Effect.fail(checked.failure)
  const port = checked.success
  if (ip === placeholder.ip && port === placeholder.port) {
    return invalid(
      `${prefix}ip`,
      formatEndpoint(ip, port),
      "is what stands in empty slots",
      "Name the address and port of a server."
    )
  }
  const listener = ownListener(ip, port, limits.listeners, limits.localAddresses)
  if (listener !== undefined) return Effect.fail(circle(`${prefix}ip`, ip, port, listener.name))
  return Effect.succeed({ ip, port })
}

/** A slot from `lowest` (0 where "first free" is allowed) to HAPROXY_MAX_SLOTS. */
export const slot = (
  limits: Limits["Service"],
  value: number,
  lowest: 0 | 1,
  field = "slot"
): Effect.Effect<SlotNumber, InvalidInput> =>
  Number.isInteger(value) && value >= lowest && value <= limits.pools.slots
    ? Effect.succeed(value as SlotNumber)
    : invalid(
      field,
      value,
      "is not a slot of a pool",
      `Use a whole number from ${lowest} to ${limits.pools.slots}${lowest === 0 ? " (0: the first free one)" : ""}.`
    )

/** A weight from 0 to 256. */
export const weight = (value: number): Effect.Effect<Weight, InvalidInput> =>
  Number.isInteger(value) && value >= 0 && value <= 256
    ? Effect.succeed(value as Weight)
    : invalid("weight", value, "is not a weight", "Use a whole number from 0 to 256; 0 takes no new requests.")

/** ready, drain or maint. */
export const state = (value: string): Effect.Effect<ServerState, InvalidInput> => {
  const found = serverStates.find((name) => name === value)
  return found === undefined
    ? invalid("state", value, "is not a state", "Use one of the valid values.", serverStates)
    : Effect.succeed(found)
}

/** A whole number within bounds, for limits, waits and timeouts. */
export const whole = (
  field: string,
  value: number,
  low: number,
  high: number
): Effect.Effect<number, InvalidInput> =>
  Number.isInteger(value) && value >= low && value <= high
    ? Effect.succeed(value)
    : invalid(field, value, "is out of range", `Use a whole number from ${low} to ${high}.`)

/** A text to search names for, lower-cased; none when it is blank. */
export const search = (field: string, value: string): Effect.Effect<string | undefined, InvalidInput> => {
  const text = value.trim()
  if (text.length > longestSearch) {
    return invalid(
      field,
      value,
      `is longer than ${longestSearch} characters`,
      "No name is longer. Search for a part of it."
    )
  }
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    return invalid(field, value, "contains a control character", "Write a plain part of the name.")
  }
  return Effect.succeed(text === "" ? undefined : text.toLowerCase())
}

/** Longest name of a frontend or backend that anybody gives. */
const longestProxy = 255

/** The name of one of HAProxy's backends; whether there is one, HAProxy says. */
export const proxyName = (field: string, value: string): Effect.Effect<string, InvalidInput> =>
  value.length <= longestProxy && /^[A-Za-z0-9_.:-]+$/.test(value)
    ? Effect.succeed(value)
    : invalid(
      field,
      value,
      "is not a name that HAProxy knows",
      "Names have letters, digits and - _ . : only; haproxy_backends lists them."
    )

/** One of some words. */
export const oneOf = <const W extends string>(
  field: string,
  value: string,
  words: ReadonlyArray<W>
): Effect.Effect<W, InvalidInput> => {
  const found = words.find((word) => word === value)
  return found === undefined
    ? invalid(field, value, "is none of the valid values", "Use one of the valid values.", words)
    : Effect.succeed(found)
}

/** Milliseconds since 1970 of an ISO 8601 time with its zone, or of the begin of a day (UTC). */
export const time = Effect.fnUntraced(function*(field: string, value: string) {
  const at = /^\d{4}-\d{2}-\d{2}(T[0-9:.]{5,12}(Z|[+-]\d{2}:\d{2}))?$/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isFinite(at)) return at
  return yield* new InvalidInput({
    message: `${field} ${shown(value)} is no time`,
    hint: "Write 2026-02-08 or 2026-02-08T12:00:00Z.",
    field
  })
})
