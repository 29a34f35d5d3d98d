/**
 * One setting: its name, its words for people and the reader of its text. Nothing here reads the environment.
 *
 * A reader answers the value or the rule that the text breaks, as the end of a sentence that begins with the
 * setting's name ("must be …"). Readers never throw and never repeat the text, so a secret cannot leak here.
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { homedir } from "node:os"
import { resolve } from "node:path"

/** Text to value, or the rule it breaks. */
export type Reader<A> = (text: string) => Result.Result<A, string>

/** Where a setting stands in help and documentation. */
export type SettingGroup =
  | "MCP server"
  | "HAProxy"
  | "HAProxy's host"
  | "HAProxy's host over SSH"
  | "Files"
  | "Certificates"
  | "Pools"
  | "Names"
  | "Logs"
  | "Generated haproxy.cfg"

/** The commands of the CLI that a setting has an effect on. */
export type SettingUser = "serve" | "stdio" | "config" | "status"

/** The commands that use the same things. */
export const users = {
  serving: ["serve", "stdio"],
  database: ["serve", "stdio", "status"],
  haproxy: ["serve", "stdio", "config", "status"],
  http: ["serve", "config"],
  generated: ["config"]
} as const satisfies Record<string, ReadonlyArray<SettingUser>>

/** One setting. `A` is its value; `D` is null when there is a state "not set". */
export interface Setting<A, D extends A | null = A | null> {
  /** The environment variable. */
  readonly name: string
  readonly group: SettingGroup
  readonly description: string
  /** A value as one would write it. */
  readonly example: string
  /** Never printed, and no flag: an argument list is public on its machine. */
  readonly secret: boolean
  readonly usedBy: ReadonlyArray<SettingUser>
  /** Set to nothing is a value, and not the same as not set: what is allowed must not grow by an empty variable. */
  readonly emptyCounts: boolean
  /** What stands for a value in help: `HOST`, `PORT`. */
  readonly metavar: string
  readonly read: Reader<A>
  /** The value when it is not set. */
  readonly initial: D
  /** The default in words, for help and documentation. */
  readonly initialText: string
}

/** The words of a setting; everything but its name is for people. */
interface Words {
  readonly group: SettingGroup
  readonly description: string
  readonly example: string
  readonly usedBy: ReadonlyArray<SettingUser>
  readonly metavar: string
  readonly secret?: boolean
  readonly emptyCounts?: boolean
}

/** A setting with a default, written as one would write the setting itself. */
export const withDefault = <A>(
  name: string,
  read: Reader<A>,
  initialText: string,
  words: Words
): Setting<A, A> => ({
  secret: false,
  emptyCounts: false,
  ...words,
  name,
  read,
  initial: Result.getOrThrow(read(initialText)),
  initialText
})

/** A setting that may be absent; `initialText` says in words what then happens. */
export const optional = <A>(
  name: string,
  read: Reader<A>,
  initialText: string,
  words: Words
): Setting<A, A | null> => ({ secret: false, emptyCounts: false, ...words, name, read, initial: null, initialText })

const whole = (text: string, low: number, high: number): number | null => {
  if (!/^\d{1,9}$/.test(text)) return null
  const value = Number(text)
  return value >= low && value <= high ? value : null
}

/** A whole number within bounds. */
export const integer = (low: number, high: number): Reader<number> => (text) => {
  const value = whole(text, low, high)
  return value === null ? Result.fail(`must be a whole number from ${low} to ${high}`) : Result.succeed(value)
}

/** One of some words, in any case. */
export const oneOf = <const A extends string>(...words: ReadonlyArray<A>): Reader<A> => (text) => {
  const found = words.find((word) => word.toLowerCase() === text.toLowerCase())
  return found === undefined ? Result.fail(`must be one of ${words.join(", ")}`) : Result.succeed(found)
}

/** `on` or `off`. */
export const onOff: Reader<boolean> = (text) => Result.map(oneOf("on", "off")(text), (word) => word === "on")

const units = { ms: 1, s: 1_000, m: 60_000 } as const

/** A duration with its unit (`500ms`, `10s`, `1m`) in milliseconds, within bounds. */
export const duration = (low: string, high: string): Reader<number> => {
  const parse = (text: string): number => {
    const match = /^(\d{1,7})(ms|s|m)$/.exec(text)
    return match === null ? Number.NaN : Number(match[1]) * units[match[2] as keyof typeof units]
  }
  return (text) => {
    const value = parse(text)
    return value >= parse(low) && value <= parse(high)
      ? Result.succeed(value)
      : Result.fail(`must be a number with its unit (ms, s or m), from ${low} to ${high}`)
  }
}

const hostLabel = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i

const isHost = (text: string): boolean =>
  NetAddress.ipFromString(text)._tag === "Success"
  || (text.length <= 253 && !/^[\d.]+$/.test(text) && text.split(".").every((label) => hostLabel.test(label)))

/** A host name or an address, without scheme, port or brackets. */
export const host: Reader<string> = (text) =>
  isHost(text)
    ? Result.succeed(text.toLowerCase())
    : Result.fail("must be a host name or an IP address, without scheme, port or brackets")

/** An IP address. */
export const address: Reader<string> = (text) =>
  Result.mapError(Result.map(NetAddress.ipFromString(text), NetAddress.formatIp), () => "must be an IP address")

/** A path; a relative one is taken from the working directory, `~/` from the user's home. */
export const path: Reader<string> = (text) =>
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f]/.test(text)
    ? Result.fail("must be a path without control characters")
    : text.endsWith("/")
    ? Result.fail("must be the path of a file, not of a folder")
    : Result.succeed(resolve(text.replace(/^~(?=\/)/, () => homedir())))

/** The path of a folder. */
export const folder: Reader<string> = (text) => path(text.replace(/(?<=.)\/+$/, ""))

/**
 * A name as HAProxy writes it in `show map` and `show ssl crt-list`: a path, perhaps relative to its own folder, or
 * `virt@…`, `opt@…`.
 */
export const runtimeName: Reader<string> = (text) =>
  /^[\u0021-\u007e]+$/.test(text) && !/[\\;<#"'$]/.test(text)
    ? Result.succeed(text)
    : Result.fail(
      "must be a name as HAProxy writes it (`show map`, `show ssl crt-list`), without spaces and \\ ; < # \" ' $"
    )

/**
 * The path of a unix socket, at most so many bytes: `sun_path` holds 108 with its end (unix(7)), and a socket of
 * ours is bound under a longer name first.
 */
export const socketPath = (longest: number): Reader<string> => (text) =>
  Result.flatMap(path(text), (file) =>
    Buffer.byteLength(file) > longest
      ? Result.fail(`must be a path of at most ${longest} bytes`)
      : Result.succeed(file))

/** A comma-separated list of what `read` takes. Spaces around an item do not count; empty items are dropped. */
export const list = <A>(read: Reader<A>): Reader<ReadonlyArray<A>> => (text) => {
  const values: Array<A> = []
  for (const item of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const value = read(item)
    if (Result.isFailure(value)) {
      return Result.fail(`must be a comma-separated list, each item of which ${value.failure}`)
    }
    values.push(value.success)
  }
  return Result.succeed(values)
}

/** A network in CIDR form, or an address, in canonical text: `10.0.0.0/8`, `::1/128`. */
export const cidr: Reader<string> = (text) => {
  const single = NetAddress.ipFromString(text)
  const network = Result.isSuccess(single)
    ? IpNetwork.make(single.success, NetAddress.width(single.success))
    : IpNetwork.fromString(text)
  return Result.isSuccess(network)
    ? Result.succeed(IpNetwork.format(network.success))
    : Result.fail("must be a network such as 10.0.0.0/8 (no bits set beyond its prefix) or one address")
}

/** A Host header's value: a name or address, with a port or without. */
export const hostHeader: Reader<string> = (text) => {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text)
  const name = match?.[1]?.replace(/^\[|\]$/g, "") ?? ""
  const port = match?.[2]
  return match !== null && isHost(name) && (port === undefined || whole(port, 1, 65_535) !== null)
    ? Result.succeed(text.toLowerCase())
    : Result.fail("must be a host name, with a port or without (brackets around IPv6)")
}

/** A browser origin: scheme, host and perhaps a port. */
export const origin: Reader<string> = (text) =>
  URL.canParse(text) && new URL(text).origin === text.toLowerCase()
    ? Result.succeed(text.toLowerCase())
    : Result.fail("must be an origin: http or https, a host and perhaps a port, nothing behind it")

/** A public suffix, with a leading dot or without. */
export const suffix: Reader<string> = (text) => {
  const name = text.toLowerCase().replace(/^\./, "")
  return name.length <= 253 && name.split(".").every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
    ? Result.succeed(name)
    : Result.fail("must be a domain suffix of letters, digits, hyphens and dots")
}

/** A name of letters, digits, dots, hyphens and underscores. */
export const word: Reader<string> = (text) =>
  /^[A-Za-z_][\w.-]{0,31}$/.test(text) ? Result.succeed(text) : Result.fail("must be one word, as names of groups are")

/** The name of a user on a Unix host; never an option. */
export const userName: Reader<string> = (text) =>
  /^[A-Za-z_][\w.-]{0,63}\$?$/.test(text)
    ? Result.succeed(text)
    : Result.fail("must be a user's name: letters, digits and . _ -, no @ and no host")

/** A key of an SSH host: the fingerprint that `ssh-keygen -l` prints, or a line of its `*.pub` file. */
export const hostKey: Reader<string> = (text) => {
  if (/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(text)) return Result.succeed(text.replace(/=$/, ""))
  const [type = "", base64 = ""] = text.split(/\s+/)
  const blob = Buffer.from(base64, "base64")
  return /^(?:ssh-|ecdsa-)[\w-]+$/.test(type) && blob.length > type.length + 4
      && blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)) === type
    ? Result.succeed(`${type} ${base64}`)
    : Result.fail("must be a fingerprint as `ssh-keygen -l` prints it (SHA256:…), or a public key (ssh-ed25519 AAAA…)")
}

/** The name of a systemd unit or a container; never an option. */
export const unit: Reader<string> = (text) =>
  /^[A-Za-z0-9_][\w.@:-]{0,127}$/.test(text)
    ? Result.succeed(text)
    : Result.fail("must be a name of letters, digits and . _ - @ :, as systemd and Podman take them")

/**
 * A command as the words of its argument vector; no shell reads it. Words are separated by spaces; a JSON array of
 * texts says it for words with spaces.
 */
export const command: Reader<ReadonlyArray<string>> = (text) => {
  const words = text.startsWith("[") ? jsonWords(text) : text.split(/\s+/).filter((part) => part !== "")
  // oxlint-disable-next-line no-control-regex
  return words === null || words.length === 0 || words[0] === "" || words.some((part) => /[\u0000\n]/.test(part))
    ? Result.fail("must be a command: words separated by spaces, or a JSON array of texts")
    : Result.succeed(words)
}

const jsonWords = (text: string): ReadonlyArray<string> | null => {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((part) => typeof part === "string") ? value : null
  } catch {
    return null
  }
}

/** A tool's name, or several by `*`. */
export const toolPattern: Reader<string> = (text) =>
  /^[a-z0-9_*]{1,64}$/.test(text)
    ? Result.succeed(text)
    : Result.fail("must be a tool's name, with * for any text or without")

/** A secret of visible ASCII characters. */
export const secret: Reader<Redacted.Redacted<string>> = (text) =>
  /^[\u0021-\u007e]+$/.test(text)
    ? Result.succeed(Redacted.make(text))
    : Result.fail("must be visible ASCII characters without spaces")

/** An address or host name with a port: `10.0.0.2:443`, `[2001:db8::1]:443`. */
export const endpoint: Reader<{ readonly host: string; readonly port: number }> = (text) => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text)
  const name = match?.[1] ?? match?.[2] ?? ""
  const port = match === null ? null : whole(match[3]!, 1, 65_535)
  return port !== null && isHost(name)
    ? Result.succeed({ host: name.toLowerCase(), port })
    : Result.fail("must be HOST:PORT (brackets around IPv6)")
}

/** An e-mail address, plain enough for an account at a CA. */
export const email: Reader<string> = (text) =>
  /^[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?@[A-Za-z0-9.-]{1,253}$/.test(text)
    ? Result.succeed(text)
    : Result.fail("must be an e-mail address")

/** The key id of an external account binding. */
export const keyId: Reader<string> = (text) =>
  /^[\w.:/+=-]{1,256}$/.test(text) ? Result.succeed(text) : Result.fail("must be the key id that the CA gave")

/** A CA by the short name of acme.sh, or by the URL of its ACME directory (RFC 8555, 7.1.1), which is HTTPS. */
export const acmeServer: Reader<string> = (text) =>
  /^[a-z][a-z0-9_]{1,31}$/i.test(text)
    ? Result.succeed(text.toLowerCase())
    : /^https:\/\/[\w.:[\]-]+\/[\w./~%-]*$/.test(text) && URL.canParse(text)
    ? Result.succeed(text)
    : Result.fail("must be the name of a CA (google, letsencrypt) or the https URL of its ACME directory")
