/**
 * The credentials of a run: those of the DNS hook and of the external account binding.
 *
 * Sources, the first that has a name wins: ACME_CREDENTIALS_FILE, this process's own environment (where acme.sh runs on
 * this machine), what acme.sh saved in ACME_HOME/account.conf. Only names that the hook's own text speaks of are taken, and never one that would change how
 * acme.sh itself works. A file that others may read is refused. Values are redacted and never part of a message.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { ConfigInvalid } from "../domain/Errors.ts"

type Values = Readonly<Record<string, string>>

/** What a run gets. */
export interface Credentials {
  /** Variables for the hook. */
  readonly hook: Redacted.Redacted<Values>
  /** Lines of acme.sh's account.conf for the hook: `SAVED_NAME='value'`. */
  readonly saved: Redacted.Redacted<ReadonlyArray<string>>
  /** `kid` and HMAC key of the external account binding from the file. */
  readonly binding: { readonly kid: string | null; readonly hmacKey: Redacted.Redacted<string> | null }
}

/** What is read of ACME_CREDENTIALS_FILE: its text, null where there is no such file, or why it is of no use. */
export type CredentialsText = string | null | ConfigInvalid

/** Where credentials come from, as it was found on the machine on which acme.sh runs. */
export interface CredentialsSources {
  readonly text: CredentialsText
  /** ACME_HOME/account.conf; empty where there is none. */
  readonly accountConf: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface CredentialsOptions {
  /** ACME_HOME. */
  readonly home: string
  /** ACME_CREDENTIALS_FILE; need not be there. */
  readonly file: string
  /** ACME_DNS. */
  readonly dns: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The largest file of either kind that is read, bytes. */
export const longest = 64 * 1024

/** The names of certbot's Cloudflare plugin. */
const certbot: { readonly [name: string]: string } = {
  dns_cloudflare_api_token: "CF_Token",
  dns_cloudflare_api_key: "CF_Key",
  dns_cloudflare_email: "CF_Email"
}

/** Names that steer the shell, acme.sh or this program: no credentials. */
const notACredential =
  /^(?:_.*|(?:LD|BASH|NODE|MCP|HAPROXY|ACME|LE|Le|CA|CERT|DOMAIN|ACCOUNT|NOTIFY|DEFAULT|LOG|SYS|QUIET|SAVED|HTTPS|HTTP|AUTO|USER|NO|SSL|LC|XDG|DBUS|SSH|SUDO)_.*|PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|TERM|TMPDIR|LANG|TZ|IFS|ENV|PS[1-4]|DEBUG|FORCE|STAGE|BRANCH|OUTPUT_INSECURE|FORCE_DNS_MANUAL|MAX_RETRY_TIMES|CURL_.*)$/

/** The default hook, and what it cannot do without: any of these sets. */
const needs: { readonly [hook: string]: ReadonlyArray<ReadonlyArray<string>> } = {
  dns_cf: [["CF_Token"], ["CF_Key", "CF_Email"]]
}

const invalid = (message: string, hint: string): ConfigInvalid =>
  new ConfigInvalid({ message, hint, field: "ACME_CREDENTIALS_FILE" })

const howToWrite = "Write lines like CF_Token=…, or certbot's dns_cloudflare_api_token = …, and chmod 600 the file."

/** Lines of a credentials file: the values by name, or the number of the first line that is none. */
export const parse = (text: string): Values | number => {
  const values: Record<string, string> = {}
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/)
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim()
    if (line === "" || /^[#;]/.test(line) || /^\[[^\]]*\]$/.test(line)) continue
    const match = /^(?:export\s+)?([A-Za-z_]\w{0,63})\s*=\s*(?:'([^']*)'|"([^"\\$`]*)"|([^'"]*?))\s*(?:\s[#;].*)?$/
      .exec(line)
    const value = match?.[2] ?? match?.[3] ?? match?.[4]
    // oxlint-disable-next-line no-control-regex
    if (match === null || value === undefined || value.length > 4096 || /[\u0000-\u001f\u007f]/.test(value)) {
      return index + 1
    }
    if (value !== "") values[certbot[match[1]!] ?? match[1]!] = value
  }
  return values
}

/** Why a credentials file is not fit to be used; null when it is. `mode`: its permission bits. */
export const problemOf = (
  file: string,
  { isFile, mode, size }: { readonly isFile: boolean; readonly size: number; readonly mode: number }
): ConfigInvalid | null => {
  const problem = !isFile
    ? `${file} is not a regular file.`
    : size > longest
    ? `${file} is larger than a file of credentials can be.`
    : (mode & 0o077) !== 0
    ? `${file} may be read by others (mode ${(mode & 0o777).toString(8).padStart(4, "0")}).`
    : null
  return problem === null ? null : invalid(problem, `Make it a file of this user alone: chmod 600 ${file}`)
}

/** A credentials file that the file system does not give; null where there is none. */
export const unreadable = (file: string, code: string): ConfigInvalid | null =>
  code === "ENOENT" || code === "ENOTDIR"
    ? null
    : invalid(`${file} cannot be read (${code}).`, "Give this user the right to read it, and nobody else.")

const readText = (file: string): CredentialsText => {
  try {
    const stats = statSync(file)
    const problem = problemOf(file, { isFile: stats.isFile(), size: stats.size, mode: stats.mode })
    return problem ?? readFileSync(file, "utf8")
  } catch (cause) {
    return unreadable(file, (cause as NodeJS.ErrnoException).code ?? "unknown")
  }
}

const readConf = (file: string): string => {
  try {
    return statSync(file).size > longest ? "" : readFileSync(file, "utf8")
  } catch {
    // acme.sh has not saved anything yet.
    return ""
  }
}

/** The sources on this machine. */
export const readSources = ({ env, file, home }: Omit<CredentialsOptions, "dns">): CredentialsSources => ({
  text: readText(file),
  accountConf: readConf(join(home, "account.conf")),
  env
})

const valuesOf = (file: string, text: CredentialsText): Values | ConfigInvalid => {
  if (text === null) return {}
  if (text instanceof ConfigInvalid) return text
  const parsed = parse(text)
  return typeof parsed === "number" ? invalid(`Line ${parsed} of ${file} is not NAME=value.`, howToWrite) : parsed
}

/** Names and lines of acme.sh's own account.conf that are for the hook. Nothing else of it is used. */
const savedIn = (accountConf: string, isOfHook: (name: string) => boolean): ReadonlyMap<string, string> => {
  const saved = new Map<string, string>()
  for (const line of accountConf.split("\n")) {
    const match = /^(?:SAVED_)?([A-Za-z]\w{0,63})='([^'\r]*)'$/.exec(line)
    if (match !== null && match[2] !== "" && isOfHook(match[1]!)) saved.set(match[1]!, line)
  }
  return saved
}

/** Reads all sources on this machine; {@link choose}. */
export const load = (options: CredentialsOptions, hookText: string | null): Effect.Effect<Credentials, ConfigInvalid> =>
  Effect.suspend(() => choose(options, readSources(options), hookText))

/**
 * What a run gets of the sources. `hookText` is the hook's script; null when it is not known where that is, and then
 * everything in the file is for it.
 */
export const choose = (
  options: Pick<CredentialsOptions, "file" | "dns">,
  sources: CredentialsSources,
  hookText: string | null
): Effect.Effect<Credentials, ConfigInvalid> =>
  Effect.suspend(() => {
    const words = hookText === null ? null : new Set(hookText.match(/[A-Za-z]\w*/g))
    const isOfHook = (name: string) => !notACredential.test(name) && (words === null || words.has(name))
    const file = valuesOf(options.file, sources.text)
    if (file instanceof ConfigInvalid) return Effect.fail(file)
    const { ACME_EAB_HMAC_KEY: hmacKey = null, ACME_EAB_KID: kid = null, ...others } = file
    const hook: Record<string, string> = {}
    if (words !== null) {
      for (const [name, value] of Object.entries(sources.env)) {
        if (value !== undefined && value !== "" && isOfHook(name) && name.includes("_")) hook[name] = value
      }
    }
    const ofFile = Object.entries(others).filter(([name]) => isOfHook(name))
    if (ofFile.length === 0 && Object.keys(others).length > 0) {
      return Effect.fail(invalid(
        `${options.file} holds nothing that the DNS hook ${options.dns} knows (it has ${
          Object.keys(others).slice(0, 5).join(", ")
        }).`,
        `Write the names that acme.sh documents for ${options.dns}, as they are spelled there.`
      ))
    }
    Object.assign(hook, Object.fromEntries(ofFile))
    const saved = savedIn(sources.accountConf, isOfHook)
    const has = (name: string) => Object.hasOwn(hook, name) || saved.has(name)
    const wanted = needs[options.dns]
    if (wanted !== undefined && !wanted.some((set) => set.every(has))) {
      return Effect.fail(invalid(
        `The DNS hook ${options.dns} has no credentials: ${wanted.map((set) => set.join(" with ")).join(", or ")}.`,
        `Write them into ${options.file} (mode 0600), one NAME=value a line.`
      ))
    }
    return Effect.succeed({
      hook: Redacted.make(hook),
      saved: Redacted.make([...saved].filter(([name]) => !Object.hasOwn(hook, name)).map(([, line]) => line)),
      binding: { kid, hmacKey: hmacKey === null ? null : Redacted.make(hmacKey) }
    })
  })
