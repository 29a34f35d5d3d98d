/**
 * Input rules for what HAProxy is told or asked beside domains: names and values that become words of a command. The
 * encoder (haproxy/Cli.ts) would die on any other; here they are refused, with the field's name and the rule.
 */
import * as Effect from "effect/Effect"
import { isIp } from "../domain/Address.ts"
import { InvalidInput } from "../domain/Errors.ts"
import { isWord } from "../haproxy/Cli.ts"
import { shown } from "./Input.ts"

const invalid = (field: string, value: unknown, rule: string, hint: string) =>
  Effect.fail(new InvalidInput({ message: `${field} ${shown(value)} ${rule}`, hint, field }))

/** Longest word of a command: keys and values of maps are this long at most. */
const longestWord = 1_000

const wordRule = "has characters that a Runtime API command cannot carry, or is empty or too long"
const wordHint = `Use up to ${longestWord} printable ASCII characters without spaces and \\ ; < # " ' $ .`

/** A word of a command. */
export const word = (field: string, value: string): Effect.Effect<string, InvalidInput> =>
  value.length <= longestWord && isWord(value) ? Effect.succeed(value) : invalid(field, value, wordRule, wordHint)

/** An address of anybody, IPv4 or IPv6. */
export const address = (field: string, value: string): Effect.Effect<string, InvalidInput> =>
  isIp(value)
    ? Effect.succeed(value)
    : invalid(field, value, "is not an IP address", "Write a plain IPv4 or IPv6 address such as 192.0.2.7.")

/** The path of a URL as HAProxy sees it, without query. */
export const path = (field: string, value: string): Effect.Effect<string, InvalidInput> =>
  /^\/[\u0021-\u007e]{0,2000}$/.test(value)
    ? Effect.succeed(value.replace(/[?#].*$/, ""))
    : invalid(field, value, "is no path", "Begin it with / and escape what is not printable ASCII.")
