/**
 * `haproxy-mcp config`: haproxy.cfg for the settings on standard output or in a file, the first pools.cfg, and the
 * folder of certificates that HAProxy does not start without.
 *
 * It never changes a file that is there: haproxy.cfg is the operator's, and pools.cfg may hold the servers of a
 * running control plane. Nothing is asked of HAProxy or the database.
 */
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { dirname, isAbsolute, join, relative, resolve } from "node:path"
import type { SettingsShape } from "../Config.ts"
import { ConfigInvalid, Conflict, StorageFailed } from "../domain/Errors.ts"
import * as PoolsConfig from "../domain/PoolsConfig.ts"
import { makeFolder } from "../haproxy/certificates/FolderWriter.ts"
import { UnusablePath } from "../haproxy/ConfigText.ts"
import { localDisk } from "../haproxy/files/LocalDisk.ts"
import { defaultOptions, type HaproxyConfigOptions, render } from "../haproxy/HaproxyConfig.ts"
import type { HttpsOptions } from "../haproxy/HttpsConfig.ts"
import { isHaproxyHere } from "../Listeners.ts"

/** Where to write; null: haproxy.cfg to standard output, pools.cfg not at all. */
export interface ConfigTargets {
  readonly output: string | null
  readonly pools: string | null
}

const loopback = "127.0.0.1"

const runtimeOf = (settings: SettingsShape): HaproxyConfigOptions["runtime"] => {
  const { haproxyTransport: transport } = settings
  return "path" in transport
    ? { socket: { path: transport.path, group: settings.haproxySocketGroup }, tcp: null }
    : { socket: null, tcp: { ip: isIP(transport.host) === 0 ? loopback : transport.host, port: transport.port } }
}

/** The virtual host of the control plane: the first name among MCP_ALLOWED_HOSTS. */
const mcpOf = (settings: SettingsShape): HaproxyConfigOptions["mcp"] => {
  const name = settings.mcpAllowedHosts.map((host) => host.replace(/:\d+$/, "")).find((host) =>
    /[a-z]/.test(host)
    && !host.startsWith("[")
  )
  const host = settings.mcpHost ?? loopback
  return name === undefined || settings.mcpSocket !== null || settings.mcpPort === 0
    ? null
    : { host: name, ip: isIP(host) === 0 ? loopback : host, port: settings.mcpPort }
}

/** Where HAProxy finds certificates. A crt-list inside the folder moves with it into a container. */
const certificatesOf = (settings: SettingsShape): HttpsOptions["certificates"] => {
  const { haproxyCertDir: folder, haproxyCrtListFile: list, haproxyRuntimeCertDir: seen } = settings
  if (list === null) return { folder: seen ?? folder }
  const inside = relative(folder, list)
  return { list: seen === null || inside.startsWith("..") || isAbsolute(inside) ? list : join(seen, inside) }
}

const optionsOf = (settings: SettingsShape, poolsFile: string | null): HaproxyConfigOptions => {
  const domains = settings.haproxyRuntimeMapFile ?? settings.haproxyMapFile
  return {
    ...defaultOptions,
    limits: { pools: settings.haproxyPoolCount, slots: settings.haproxyMaxSlots },
    maps: { domains, wildcards: join(dirname(domains), "wildcards.map") },
    poolsFile,
    addresses: settings.haproxyBind,
    httpPort: settings.haproxyHttpPort,
    httpsPort: settings.haproxyHttpsPort,
    tls: settings.haproxyHttps
      ? {
        certificates: certificatesOf(settings),
        strictSni: settings.haproxyStrictSni,
        http3: settings.haproxyHttp3,
        redirect: settings.haproxyHttpsRedirect
      }
      : null,
    runtime: runtimeOf(settings),
    masterSocket: settings.haproxyMasterSocket ?? defaultOptions.masterSocket,
    mcp: mcpOf(settings),
    healthChecks: settings.haproxyHealthChecks
  }
}

const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

const write = (file: string, text: string): Effect.Effect<void, StorageFailed> =>
  Effect.try({
    try: () => {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text, { flag: "wx", mode: 0o644 })
    },
    catch: (error) =>
      new StorageFailed({
        message: `${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? "unknown"})`,
        hint: "Name a file in a folder that you may write to."
      })
  })

const writeConfig = (file: string, text: string): Effect.Effect<void, StorageFailed | Conflict> =>
  Effect.suspend((): Effect.Effect<void, StorageFailed | Conflict> => {
    if (!existsSync(file)) return write(file, text)
    if (readFileSync(file, "utf8") === text) return Effect.void
    return Effect.fail(
      new Conflict({
        message: `${file} is there already and differs`,
        hint: "It may be somebody's work: move it away, or leave --output out and compare."
      })
    )
  })

const writePools = (file: string, limits: HaproxyConfigOptions["limits"]): Effect.Effect<void, StorageFailed> =>
  Effect.suspend(() => {
    if (!existsSync(file)) return write(file, Buffer.concat(PoolsConfig.bytes(PoolsConfig.make(limits, []))).toString())
    say(`${file} is there already and kept: it may hold servers`)
    return Effect.void
  })

/**
 * Makes the folder of certificates, for its owner alone, and the crt-list, both empty: HAProxy does not start without.
 * Where that is not ours to do, it is said: another program may make them.
 */
const prepareCertificates = (settings: SettingsShape): Effect.Effect<void> =>
  Effect.promise(async () => {
    const { haproxyCertDir: folder, haproxyCrtListFile: list } = settings
    const missing = [folder, ...(list === null ? [] : [list])].filter((path) => !existsSync(path))
    for (const path of missing) {
      try {
        mkdirSync(dirname(path), { recursive: true })
        if (path === folder) await makeFolder(localDisk, path)
        else writeFileSync(path, "", { flag: "wx", mode: 0o644 })
        say(`${path} is made, empty: haproxy-mcp must be allowed to write there`)
      } catch (error) {
        const why = error instanceof StorageFailed ? error.message : (error as NodeJS.ErrnoException).code ?? "unknown"
        say(`${path} cannot be made here (${why}): HAProxy does not start with this file until it is there`)
      }
    }
  })

/** Prints or writes what the settings and the targets ask for. */
export const printConfig = Effect.fnUntraced(function*(
  settings: SettingsShape,
  targets: ConfigTargets
): Effect.fn.Return<void, StorageFailed | Conflict | ConfigInvalid> {
  const pools = targets.pools === null ? null : resolve(targets.pools)
  const options = optionsOf(settings, settings.haproxyPoolsFile ?? pools)
  const text = yield* Effect.try({
    try: () => render(options),
    catch: (error) => {
      if (!(error instanceof UnusablePath)) throw error
      return new ConfigInvalid({ message: error.message, hint: error.hint })
    }
  })
  const { haproxyTransport: transport } = settings
  if ("host" in transport && isIP(transport.host) === 0 && transport.host !== "localhost") {
    say(
      `the Runtime API is bound to ${loopback} in this file; for HAPROXY_HOST ${transport.host} change \`stats socket\``
    )
  }
  if (pools !== null) yield* writePools(pools, options.limits)
  if (targets.output === null) process.stdout.write(text)
  else {
    yield* writeConfig(resolve(targets.output), text)
    if (settings.haproxyHttps && isHaproxyHere(settings)) yield* prepareCertificates(settings)
  }
})
