/**
 * Everything that runs in the demo: two origins, HAProxy, a CA and the control plane, from real commands of this
 * repository and with nothing from the user's own environment. `strike` takes all of it down again.
 */
import { randomBytes } from "node:crypto"
import { access, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { join, relative } from "node:path"
import type { HaproxyBinary } from "../haproxy.ts"
import { type AcmeServer, startAcmeServer } from "./AcmeServer.ts"
import type { AcmePrograms } from "./CertificatePrograms.ts"
import { type Child, startChild, until } from "./Children.ts"
import { type Origin, startOrigin } from "./Origins.ts"
import { host, type Ports } from "./Ports.ts"
import type { WorkFolder } from "./WorkFolder.ts"

/** What a program may take from its start until it answers, on a busy machine too. */
const startLimit = 45_000

/** The programs that stay up. */
export type Part = "haproxy" | "control-plane"

export interface Lost {
  readonly part: Part
  /** `HAProxy ended by itself (signal SIGKILL)` */
  readonly message: string
}

export interface Stage {
  readonly repository: string
  readonly ports: Ports
  readonly folder: WorkFolder
  /** Bearer token of this run's control plane. */
  readonly token: string
  readonly mcpUrl: string
  readonly startOrigins: () => Promise<readonly [Origin, Origin]>
  /** Writes haproxy.cfg and pools.cfg with the CLI. */
  readonly writeConfig: () => Promise<void>
  /** Starts HAProxy and waits until its frontend accepts. */
  readonly startHaproxy: (binary: HaproxyBinary) => Promise<Child>
  /** SIGKILL. */
  readonly crashHaproxy: () => Promise<void>
  /** Starts a CA, of which the control plane is told when it starts; null: in this folder it cannot work. */
  readonly startAcmeServer: (programs: AcmePrograms) => Promise<AcmeServer | null>
  readonly startControlPlane: () => Promise<Child>
  /** Waits for the next program that ends although nobody stopped it. One waits at a time. */
  readonly lost: () => Promise<Lost>
  /** Starts it again, with all that it had. */
  readonly restart: (part: Part) => Promise<Child>
  /** Stops everything that was started, the control plane first. Never fails. */
  readonly strike: () => Promise<void>
}

/** The user's environment without what would configure the programs: the demo must be the same everywhere. */
export const cleanEnvironment = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(?:MCP|HAPROXY|ACME|OTEL)_|^(?:LOG_LEVEL|NODE_OPTIONS)$/.test(entry[0])
    )
  )

/** Does something accept connections there? */
const accepts = (port: number) =>
  new Promise<true | undefined>((resolve) => {
    const socket = connect({ host, port })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(undefined))
  })

export const makeStage = (repository: string, ports: Ports, folder: WorkFolder): Stage => {
  const token = randomBytes(24).toString("base64url")
  const cli = join(repository, "src", "main.ts")
  const origins: Array<Origin> = []
  const children = new Map<Part | "config" | "acme" | "dns", Child>()
  const losses: Array<Lost> = []
  let onLoss: (() => void) | undefined
  let haproxy: HaproxyBinary | undefined
  let acme: AcmeServer | undefined
  let struck = false
  const hasPlainPath = /^[\w./@:+-]*$/.test(folder.root)
  const environment = {
    ...cleanEnvironment(process.env),
    MCP_HOST: host,
    MCP_PORT: String(ports.mcp),
    HAPROXY_HOST: host,
    HAPROXY_PORT: String(ports.runtime),
    HAPROXY_BIND: host,
    HAPROXY_HTTP_PORT: String(ports.http),
    HAPROXY_HTTPS_PORT: String(ports.https),
    HAPROXY_CERT_DIR: folder.certificates,
    HAPROXY_MAP_FILE: folder.domainsMap,
    HAPROXY_POOLS_FILE: folder.poolsFile,
    HAPROXY_DB_FILE: folder.database,
    // HAProxy runs in the work folder, so it can know its files without the rest of the path, which may hold spaces:
    // a name with spaces cannot be said to the Runtime API.
    ...(hasPlainPath ? {} : {
      HAPROXY_RUNTIME_MAP_FILE: relative(folder.root, folder.domainsMap),
      HAPROXY_RUNTIME_CERT_DIR: relative(folder.root, folder.certificates)
    })
  }
  const start = (
    key: Part | "config" | "acme" | "dns",
    name: string,
    program: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>,
    cwd = repository
  ): Child => {
    // A step that was interrupted may still be running: it starts nothing any more.
    if (struck) throw new Error("the demo is over")
    const child = startChild({ name, program, args, env, cwd, logFile: folder.log(key) })
    children.set(key, child)
    return child
  }
  const watch = async (part: Part, child: Child) => {
    await writeFile(folder.pidFile(part), `${child.pid}\n`)
    void child.ended.then((how) => {
      if (child.isLeaving()) return
      losses.push({ part, message: `${child.name} ended by itself (${how})` })
      onLoss?.()
    })
  }

  const writeConfig = async () => {
    const child = start("config", "haproxy-mcp config", process.execPath, [
      cli,
      "config",
      "--output",
      folder.haproxyConfig,
      "--pools",
      folder.poolsFile
    ], environment)
    const how = await child.ended
    if (how !== "exit code 0") throw new Error(`haproxy-mcp config ended with ${how}`)
    await access(folder.haproxyConfig).catch(() => {
      throw new Error(`haproxy-mcp config wrote no ${folder.haproxyConfig}`)
    })
    for (const map of [folder.domainsMap, folder.wildcardsMap]) await writeFile(map, "", { flag: "a" })
  }

  const startHaproxy = async (binary: HaproxyBinary) => {
    haproxy = binary
    const child = start(
      "haproxy",
      "HAProxy",
      binary.path,
      ["-db", "-f", folder.haproxyConfig, "-f", folder.poolsFile],
      cleanEnvironment(process.env),
      folder.root
    )
    await until(`HAProxy accepts connections on port ${ports.http}`, () => accepts(ports.http), {
      limit: startLimit,
      child
    })
    await watch("haproxy", child)
    return child
  }

  const startControlPlane = async () => {
    const child = start("control-plane", "the control plane", process.execPath, [cli, "serve"], {
      ...environment,
      ...acme?.environment,
      MCP_TOKEN: token
    })
    const ready = () =>
      fetch(`http://${host}:${ports.mcp}/readyz`, { signal: AbortSignal.timeout(5_000) })
        .then((answer) => answer.status === 200 ? true : undefined, () => undefined)
    await until("the control plane is ready (GET /readyz answers 200)", ready, { limit: startLimit, child })
    await watch("control-plane", child)
    return child
  }

  return {
    repository,
    ports,
    folder,
    token,
    mcpUrl: `http://${host}:${ports.mcp}/mcp`,
    startOrigins: async () => {
      const pair = [await startOrigin("A"), await startOrigin("B")] as const
      origins.push(...pair)
      return pair
    },
    writeConfig,
    startHaproxy,
    crashHaproxy: async () => children.get("haproxy")?.crash(),
    startAcmeServer: async (programs) => {
      // acme.sh cannot work in a folder with a space in its name.
      if (!hasPlainPath) return null
      const env = cleanEnvironment(process.env)
      acme = await startAcmeServer(programs, folder.acme, (key, name, program, args) => {
        // Orders are proved at once, and no nonce is refused on purpose: what matters here is not Pebble's strictness.
        const pebble = { ...env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" }
        return start(key, name, program, args, pebble, folder.root)
      })
      return acme
    },
    startControlPlane,
    lost: async () => {
      for (;;) {
        const loss = losses.shift()
        if (loss !== undefined) return loss
        await new Promise<void>((resolve) => onLoss = resolve)
      }
    },
    restart: (part) => {
      if (part === "control-plane") return startControlPlane()
      if (haproxy === undefined) throw new Error("HAProxy was never started")
      return startHaproxy(haproxy)
    },
    strike: async () => {
      struck = true
      for (const key of ["config", "control-plane", "haproxy", "acme", "dns"] as const) await children.get(key)?.stop()
      await Promise.all(origins.map((origin) => origin.close()))
    }
  }
}
