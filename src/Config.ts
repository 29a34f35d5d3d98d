/**
 * The settings of the control plane, decoded once.
 *
 * Guarantees: every value keeps its rule (src/config/Table.ts); an empty variable counts as not set, but where that would
 * allow more (Setting.emptyCounts); a wrong one
 * refuses the start with one message that lists everything that is wrong. Secrets are `Redacted` and never part of
 * a message. Not here: whether files exist, hosts answer or a combination is safe to listen with (mcp decides).
 */
import * as EffectConfig from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { userInfo } from "node:os"
import { basename, dirname, extname, join, normalize } from "node:path"
import { isServiceAddress, sortVariables } from "./config/Environment.ts"
import type { Setting } from "./config/Setting.ts"
import { flagName, rows, table, type Values } from "./config/Table.ts"
import { ConfigInvalid } from "./domain/Errors.ts"

/** Where settings come from. A flag wins over its variable. */
export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Values of the CLI's flags by the variable's name. */
  readonly flags?: Readonly<Record<string, string>>
}

type SshField =
  | "haproxySshHost"
  | "haproxySshPort"
  | "haproxySshUser"
  | "haproxySshKeyFile"
  | "haproxySshKeyPassphraseFile"
  | "haproxySshHostKey"
  | "haproxySshKnownHosts"
  | "haproxySshAcceptNew"

/** How HAProxy's host is reached by SSH. Paths are of this machine. */
export interface SshSettings {
  readonly host: string
  readonly port: number
  readonly user: string
  /** Null: the agent's keys. */
  readonly keyFile: string | null
  readonly keyPassphraseFile: string | null
  /** Socket of the agent; used without a key file. */
  readonly agentSocket: string | null
  /** Fingerprints (`SHA256:…`) and public keys (`type base64`); when there are any, known_hosts is not read. */
  readonly hostKeys: ReadonlyArray<string>
  readonly knownHostsFile: string
  readonly acceptNew: boolean
}

/** All settings, and what the log should say about them. */
export interface SettingsShape extends
  Omit<
    Values,
    | "mcpAdminSocket"
    | "haproxyServersFile"
    | "haproxyCertsFile"
    | "haproxyRuntimeMode"
    | "haproxyHost"
    | "haproxyPort"
    | "haproxyRuntimeSocket"
    | "haproxyRemoteDbFile"
    | SshField
  >
{
  readonly mcpAdminSocket: string
  /** Where the Runtime API is; with `ssh` it is a socket on HAProxy's host. */
  readonly haproxyTransport:
    | { readonly path: string; readonly ssh?: never }
    | { readonly path: string; readonly ssh: true }
    | { readonly host: string; readonly port: number; readonly ssh?: never }
  /** How HAProxy's host is reached, when it is another one. */
  readonly ssh: SshSettings | null
  /** Where the newest copy of the database is kept on HAProxy's host; counts only with {@link SettingsShape.ssh}. */
  readonly haproxyRemoteDbFile: string
  /** `wildcards.map` beside `haproxyMapFile`. */
  readonly wildcardsFile: string
  readonly haproxyServersFile: string
  readonly haproxyCertsFile: string
  /** Variables that are set and have no effect, each with the reason: for one log line each. */
  readonly notices: ReadonlyArray<string>
}

/** The wrong value as a message may show it: short, one line, printable. */
const shown = (text: string): string => {
  const printable = text.replace(/[^\u0020-\u007e]/g, "?")
  return `"${printable.length > 80 ? `${printable.slice(0, 80)}…` : printable}"`
}

const serviceLinks = "Kubernetes injected it for a Service of that name: set enableServiceLinks: false in the pod, "
  + "or set the variable yourself"

const wrong = (row: Setting<unknown>, text: string, rule: string, fromFlag: boolean): string => {
  const name = fromFlag ? `--${flagName(row.name)}` : row.name
  const example = row.secret ? row.example : fromFlag ? `${name} ${row.example}` : `${name}=${row.example}`
  return `${name}${row.secret ? "" : ` ${shown(text)}`} ${rule}, for example ${example}`
}

/** Rules that hold between settings; the values are each right by themselves. */
const contradictions = (values: Values): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (values.haproxyRuntimeMode === "ssh" && values.haproxySshHost === null) {
    found.push(`HAPROXY_RUNTIME_MODE "ssh" needs HAPROXY_SSH_HOST, for example ${table.haproxySshHost.example}`)
  }
  if (values.haproxyRuntimeMode !== "tcp4" && values.haproxyRuntimeSocket === null) {
    found.push(
      `HAPROXY_RUNTIME_MODE "${values.haproxyRuntimeMode}" needs HAPROXY_RUNTIME_SOCKET, for example `
        + table.haproxyRuntimeSocket.example
    )
  }
  if (values.acmeWhere === "remote" && values.haproxySshHost === null) {
    found.push(`ACME_WHERE "remote" needs HAPROXY_SSH_HOST, for example ${table.haproxySshHost.example}`)
  }
  if (values.haproxySshHost !== null) {
    if (values.haproxySshAcceptNew && values.haproxySshHostKey.length > 0) {
      found.push("HAPROXY_SSH_ACCEPT_NEW \"on\" contradicts HAPROXY_SSH_HOST_KEY, which says which key to believe")
    }
    if (values.haproxySshKeyPassphraseFile !== null && values.haproxySshKeyFile === null) {
      found.push("HAPROXY_SSH_KEY_PASSPHRASE_FILE needs HAPROXY_SSH_KEY_FILE, the key that it is for")
    }
  }
  const files = [
    ["HAPROXY_MAP_FILE", values.haproxyMapFile],
    ["wildcards.map beside HAPROXY_MAP_FILE", wildcardsOf(values.haproxyMapFile)],
    ["HAPROXY_POOLS_FILE", values.haproxyPoolsFile],
    ["HAPROXY_DB_FILE", values.haproxyDbFile],
    // On the other host the same path is another file.
    ["HAPROXY_REMOTE_DB_FILE", values.haproxyRemoteDbFile === values.haproxyDbFile ? null : values.haproxyRemoteDbFile],
    ["HAPROXY_SERVERS_FILE", values.haproxyServersFile],
    ["HAPROXY_CERTS_FILE", values.haproxyCertsFile],
    ["HAPROXY_CRT_LIST_FILE", values.haproxyCrtListFile],
    ["MCP_TOKEN_FILE", values.mcpTokenFile],
    ["MCP_SOCKET", values.mcpSocket],
    ["MCP_ADMIN_SOCKET", values.mcpAdminSocket],
    ["HAPROXY_RUNTIME_SOCKET", values.haproxyRuntimeSocket],
    ["HAPROXY_MASTER_SOCKET", values.haproxyMasterSocket],
    ["HAPROXY_STATE_FILE", values.haproxyStateFile]
  ] as const
  files.forEach(([name, file], index) => {
    const other = files.slice(0, index).find((earlier) => file !== null && earlier[1] === file)
    if (other !== undefined) found.push(`${name} and ${other[0]} are the same file ${shown(String(file))}`)
  })
  return found
}

const wildcardsOf = (mapFile: string): string => join(dirname(mapFile), "wildcards.map")

/** `haproxy_mcp.db` → `haproxy_mcp.sock` in the same folder. */
const adminSocketOf = (dbFile: string): string => join(dirname(dbFile), `${basename(dbFile, extname(dbFile))}.sock`)

const noticesOf = (values: Values, sources: Sources): ReadonlyArray<string> => {
  const sorted = sortVariables(sources.env)
  const notices: Array<string> = []
  if (sorted.unused.length > 0) notices.push(`not used by this version: ${sorted.unused.join(", ")}`)
  if (sorted.kubernetes.length > 0) {
    notices.push(
      `ignored, injected by Kubernetes for a Service: ${sorted.kubernetes.join(", ")}. `
        + "enableServiceLinks: false in the pod removes them"
    )
  }
  if (values.haproxyRuntimeSocket !== null && values.haproxyRuntimeMode === "tcp4") {
    notices.push("HAPROXY_RUNTIME_SOCKET has no effect in HAPROXY_RUNTIME_MODE tcp4; set unix to use it")
  }
  if (values.haproxySshHost === null) {
    const idle = rows.filter(({ group, name }) =>
      group === table.haproxySshHost.group && (sources.flags?.[name] ?? sources.env[name] ?? "").trim() !== ""
    )
    if (idle.length > 0) {
      notices.push(`no effect without HAPROXY_SSH_HOST: ${idle.map(({ name }) => name).join(", ")}`)
    }
  }
  return notices
}

/** Who runs this process; a container may have no name for it. */
const ownName = (): string => {
  try {
    return userInfo().username
  } catch {
    return "root"
  }
}

const sshOf = (values: Values, sources: Sources): SshSettings | null =>
  values.haproxySshHost === null ? null : {
    host: values.haproxySshHost,
    port: values.haproxySshPort,
    user: values.haproxySshUser ?? ownName(),
    keyFile: values.haproxySshKeyFile,
    keyPassphraseFile: values.haproxySshKeyPassphraseFile,
    agentSocket: (sources.env["SSH_AUTH_SOCK"] ?? "") === "" ? null : sources.env["SSH_AUTH_SOCK"]!,
    hostKeys: values.haproxySshHostKey,
    knownHostsFile: values.haproxySshKnownHosts,
    acceptNew: values.haproxySshAcceptNew
  }

/** Is it there at all, if only as an empty text? */
const isSet = ({ env, flags }: Sources, name: string): boolean => (flags?.[name] ?? env[name]) !== undefined

/** The text of one setting, wherever it is set. */
const textOf = (row: Setting<unknown>): EffectConfig.Config<Option.Option<string>> =>
  EffectConfig.option(EffectConfig.String(row.name))

/** Paths of the machine on which acme.sh runs. */
const acmePaths = ["acmeHome", "acmeCredentialsFile", "acmeCaBundle"] as const

/**
 * With ACME_WHERE=remote they are paths of another host: `~/` stays as it is written, for the home of the SSH user there,
 * and there is no working directory that a relative one could be taken from.
 */
const farAcmePaths = (
  values: Record<string, unknown>,
  text: (row: Setting<unknown>) => string,
  isFlag: (name: string) => boolean
): ReadonlyArray<string> =>
  acmePaths.flatMap((field) => {
    const row: Setting<unknown> = table[field]
    const given = text(row)
    const written = given === "" && row.initial !== null ? row.initialText : given
    if (written === "") return []
    if (!/^~?\//.test(written)) {
      return [wrong(row, written, "must be an absolute path of HAProxy's host, or begin with ~/", isFlag(row.name))]
    }
    const path = written.replace(/(?<=.)\/+$/, "")
    values[field] = path.startsWith("/") ? normalize(path) : path
    return []
  })

/** Decodes all settings, or fails with everything that is wrong with them. */
export const decodeSettings = Effect.fnUntraced(
  function*(sources: Sources): Effect.fn.Return<SettingsShape, ConfigInvalid> {
    const flags = sources.flags ?? {}
    const provider = ConfigProvider.fromEnvRecord({ ...sources.env, ...flags })
    const problems: Array<string> = []
    const values: Record<string, unknown> = {}
    const texts = new Map<string, string>()
    for (const [field, row] of Object.entries<Setting<unknown>>(table)) {
      const text = yield* Effect.orDie(textOf(row).parse(provider))
      const trimmed = Option.getOrElse(text, () => "").trim()
      values[field] = row.initial
      texts.set(row.name, trimmed)
      if (trimmed === "" && !(row.emptyCounts && isSet(sources, row.name))) continue
      const value = row.read(trimmed)
      if (Result.isSuccess(value)) values[field] = value.success
      else if (isServiceAddress(row.name, trimmed)) {
        problems.push(`${row.name} ${shown(trimmed)} is the address of a Service. ${serviceLinks}`)
      } else problems.push(wrong(row, trimmed, value.failure, Object.hasOwn(flags, row.name)))
    }
    for (const { name, nearest } of sortVariables(sources.env).unknown) {
      problems.push(`${name} is not a setting${nearest.length === 0 ? "" : `. Did you mean ${nearest.join(" or ")}?`}`)
    }
    if (values["acmeWhere"] === "remote") {
      const isFlag = (name: string) => Object.hasOwn(flags, name)
      problems.push(...farAcmePaths(values, ({ name }) => texts.get(name) ?? "", isFlag))
    }
    const decoded = values as unknown as Values
    problems.push(...contradictions(decoded))
    if (problems.length > 0) {
      return yield* new ConfigInvalid({
        message: `The settings are not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
        hint: "`haproxy-mcp serve --help` describes every setting; so does docs/settings.md."
      })
    }
    const {
      haproxyHost,
      haproxyPort,
      haproxyRuntimeMode,
      haproxyRuntimeSocket,
      haproxySshAcceptNew: _acceptNew,
      haproxySshHost: _host,
      haproxySshHostKey: _hostKey,
      haproxySshKeyFile: _keyFile,
      haproxySshKeyPassphraseFile: _passphraseFile,
      haproxySshKnownHosts: _knownHosts,
      haproxySshPort: _port,
      haproxySshUser: _user,
      ...rest
    } = decoded
    return {
      ...rest,
      haproxyTransport: haproxyRuntimeMode === "tcp4" || haproxyRuntimeSocket === null
        ? { host: haproxyHost, port: haproxyPort }
        : haproxyRuntimeMode === "ssh"
        ? { path: haproxyRuntimeSocket, ssh: true }
        : { path: haproxyRuntimeSocket },
      ssh: sshOf(decoded, sources),
      haproxyRemoteDbFile: decoded.haproxyRemoteDbFile ?? decoded.haproxyDbFile,
      mcpAdminSocket: decoded.mcpAdminSocket ?? adminSocketOf(decoded.haproxyDbFile),
      wildcardsFile: wildcardsOf(decoded.haproxyMapFile),
      haproxyServersFile: decoded.haproxyServersFile ?? join(dirname(decoded.haproxyMapFile), "servers.json"),
      haproxyCertsFile: decoded.haproxyCertsFile ?? join(dirname(decoded.haproxyMapFile), "certificates.json"),
      notices: noticesOf(decoded, sources)
    }
  }
)

export class Settings extends Context.Service<Settings, SettingsShape>()("haproxy-mcp/Settings") {
  /** Decodes the settings when the layer is built. */
  static readonly layer = (sources: Sources): Layer.Layer<Settings, ConfigInvalid> =>
    Layer.effect(Settings, decodeSettings(sources))
}

/** All rows of the table, for help and documentation. */
export { flagName, rows }
