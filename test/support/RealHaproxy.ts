/**
 * A real HAProxy for one test: started in a scope, on ports and sockets of its own, in a folder of its own, and gone
 * (workers too) when the scope closes. Restarts keep ports and files. Its stderr is drained, because HAProxy stalls
 * when nobody reads it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { request } from "node:http"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type HaproxyBinary, haproxyLines } from "../../scripts/haproxy.ts"
import { releasePort, takePort } from "./Ports.ts"
import { slotConfig, type SlotConfigOptions, slotPools } from "./SlotConfig.ts"

/** The real binaries in the cache, oldest line first. `scripts/haproxy.ts` fetches them. */
export const realLines: ReadonlyArray<HaproxyBinary> = await haproxyLines()

/** The newest real binary; most tests need no more than this one. */
export const newestLine: HaproxyBinary = (() => {
  const newest = realLines.at(-1)
  if (newest === undefined) throw new Error("no HAProxy in the cache: run `node scripts/haproxy.ts` first")
  return newest
})()

/** Where everything of one HAProxy lies. */
export interface Site {
  readonly dir: string
  readonly httpPort: number
  readonly runtimePort: number
  readonly runtimeSocket: string
  readonly masterSocket: string
  /** The map files as we (outside of a "container") know them. */
  readonly domainsMap: string
  readonly wildcardsMap: string
  /** The same files as HAProxy knows them; other paths with `mapAlias`. */
  readonly runtimeDomainsMap: string
  readonly runtimeWildcardsMap: string
  readonly poolsFile: string
  readonly configFile: string
  /** Where it answers TLS, with `tls`. */
  readonly httpsPort: number
  /** The folder of certificates as we know it; it is there with `tls`. */
  readonly certDir: string
  /** The same folder as HAProxy knows it; another path with `certAlias`. */
  readonly runtimeCertDir: string
  /** The crt-list file, with `tls: { list: "file" }`, as we and as HAProxy know it. */
  readonly crtListFile: string
  readonly runtimeCrtListFile: string
}

export interface TlsOptions {
  /** `strict-sni`; default true. Without it the folder must hold a certificate at the start. */
  readonly strict?: boolean
  /** HTTP/3 on the same port of UDP. */
  readonly quic?: boolean
  /** What the bind loads: the folder (default), or a crt-list file, which names `certificates` at the start. */
  readonly list?: "folder" | "file"
}

export interface SiteOptions extends
  Partial<
    Pick<SlotConfigOptions, "pools" | "slots" | "statsTimeout" | "serverOptions" | "global" | "frontend" | "sections">
  >
{
  /** Lines of the map files at the first start. */
  readonly domains?: ReadonlyArray<string>
  readonly wildcards?: ReadonlyArray<string>
  /** HAProxy reads the maps under another path, as through a container mount. */
  readonly mapAlias?: boolean
  /** HTTPS: `httpsPort` with the certificates of `certDir`. */
  readonly tls?: true | TlsOptions
  /** Files of `certDir` at the first start: name and PEM. */
  readonly certificates?: Readonly<Record<string, string>>
  /** HAProxy reads the certificates under another path, as through a container mount. */
  readonly certAlias?: boolean
  /** The backends come from a second file, `poolsFile`. */
  readonly poolsFile?: boolean
  /** A configuration of your own instead of the slot configuration. */
  readonly config?: (site: Site) => string
}

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface RealHaproxy {
  readonly binary: HaproxyBinary
  readonly site: Site
  /** The process that was started: the master in master-worker mode. */
  readonly pid: Effect.Effect<number>
  /** The process that serves. */
  readonly workerPid: Effect.Effect<number>
  /** What it wrote to stderr so far, its last 64 KB. */
  readonly stderr: Effect.Effect<string>
  /** One command line on a fresh connection to the unix socket, by no code of ours; answers the text. */
  readonly command: (line: string) => Effect.Effect<string>
  /** One HTTP request through the frontend. */
  readonly get: (host: string, path?: string) => Effect.Effect<Answer>
  /** SIGSTOP to the worker, until all its threads stand still; SIGCONT. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** SIGKILL to worker and master; waits until both are gone. */
  readonly kill: Effect.Effect<void>
  /** SIGTERM to the master; waits until all are gone. */
  readonly stop: Effect.Effect<void>
  /** Starts again after `kill` or `stop`, with the same ports and files; waits until it accepts. */
  readonly start: Effect.Effect<void>
  /** `kill` and `start`. */
  readonly restart: Effect.Effect<void>
  /** Reload through the master socket; answers its text. Waits until the new worker answers. */
  readonly reload: Effect.Effect<string>
}

/** Makes folder, ports and files of a site. */
export const makeSite = (options: SiteOptions = {}): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(() => createSite(options)), (site) =>
    Effect.promise(async () => {
      releasePort(site.httpPort)
      releasePort(site.runtimePort)
      releasePort(site.httpsPort)
      await rm(site.dir, { recursive: true, force: true, maxRetries: 3 })
    }))

const createSite = async (options: SiteOptions): Promise<Site> => {
  const dir = await mkdtemp(join(tmpdir(), "haproxy-"))
  const maps = join(dir, "conf")
  await mkdir(maps)
  const runtimeMaps = options.mapAlias === true ? join(dir, "mounted") : maps
  if (runtimeMaps !== maps) await symlink(maps, runtimeMaps)
  const [certDir, crtListFile] = [join(dir, "certs"), join(maps, "crt-list.txt")]
  const inside = join(dir, "inside")
  const isAlias = options.certAlias === true
  const [runtimeCertDir, runtimeCrtListFile] = isAlias
    ? [join(inside, "certs"), join(inside, "crt-list.txt")]
    : [certDir, crtListFile]
  const site: Site = {
    dir,
    httpPort: await takePort(),
    runtimePort: await takePort(),
    runtimeSocket: join(dir, "runtime.sock"),
    masterSocket: join(dir, "master.sock"),
    domainsMap: join(maps, "domains.map"),
    wildcardsMap: join(maps, "wildcards.map"),
    runtimeDomainsMap: join(runtimeMaps, "domains.map"),
    runtimeWildcardsMap: join(runtimeMaps, "wildcards.map"),
    poolsFile: join(maps, "pools.cfg"),
    configFile: join(dir, "haproxy.cfg"),
    httpsPort: await takePort(),
    certDir,
    runtimeCertDir,
    crtListFile,
    runtimeCrtListFile
  }
  const { certificates = {} } = options
  const tls = options.tls === true ? {} : options.tls
  if (tls !== undefined) {
    await mkdir(certDir)
    for (const [name, text] of Object.entries(certificates)) await writeFile(join(certDir, name), text, { mode: 0o600 })
    const listed = Object.keys(certificates).map((name) => `${runtimeCertDir}/${name}\n`).join("")
    if (tls.list === "file") await writeFile(crtListFile, listed)
    if (isAlias) {
      await mkdir(inside)
      await symlink(certDir, runtimeCertDir)
      if (tls.list === "file") await symlink(crtListFile, runtimeCrtListFile)
    }
  }
  const { pools = 4, slots = 3 } = options
  const text = (lines: ReadonlyArray<string> = []) => lines.map((line) => `${line}\n`).join("")
  await writeFile(site.domainsMap, text(options.domains))
  await writeFile(site.wildcardsMap, text(options.wildcards))
  if (options.poolsFile === true) {
    await writeFile(site.poolsFile, slotPools({ ...options, pools, slots }))
  }
  await writeFile(
    site.configFile,
    options.config?.(site) ?? slotConfig({
      ...options,
      pools,
      slots,
      httpPort: site.httpPort,
      runtimePort: site.runtimePort,
      runtimeSocket: site.runtimeSocket,
      domainsMap: site.runtimeDomainsMap,
      wildcardsMap: site.runtimeWildcardsMap,
      withoutPools: options.poolsFile === true,
      ...(tls === undefined ? {} : {
        https: {
          port: site.httpsPort,
          load: tls.list === "file" ? `crt-list ${runtimeCrtListFile}` : `crt ${runtimeCertDir}`,
          strict: tls.strict ?? true,
          quic: tls.quic ?? false
        }
      })
    })
  )
  return site
}

/** Makes a site and starts HAProxy in it. */
export const startHaproxy = (
  options: SiteOptions & { readonly binary?: HaproxyBinary } = {}
): Effect.Effect<RealHaproxy, never, Scope.Scope> =>
  Effect.flatMap(makeSite(options), (site) => startIn(site, options.binary ?? newestLine, options.poolsFile === true))

/** Starts HAProxy (master-worker) in a site; with `withPools`, `pools.cfg` is loaded as a second file. */
export const startIn = (
  site: Site,
  binary: HaproxyBinary = newestLine,
  withPools = false
): Effect.Effect<RealHaproxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const control = new Control(site, binary, withPools)
        // A start that fails leaves no process behind.
        await control.start().catch(async (error: unknown) => {
          await control.kill()
          throw error
        })
        return control
      }),
      (control) => Effect.promise(() => control.kill())
    ),
    (control): RealHaproxy => ({
      binary,
      site,
      pid: Effect.sync(() => control.pid()),
      workerPid: Effect.promise(() => control.workerPid()),
      stderr: Effect.sync(() => control.stderr),
      command: (line) => Effect.promise(() => ask(site.runtimeSocket, line)),
      get: (host, path = "/") => Effect.promise(() => httpGet(site.httpPort, host, path)),
      pause: Effect.promise(() => control.pause()),
      resume: Effect.promise(async () => void process.kill(await control.workerPid(), "SIGCONT")),
      kill: Effect.promise(() => control.kill()),
      stop: Effect.promise(() => control.stop()),
      start: Effect.promise(() => control.start()),
      restart: Effect.promise(async () => {
        await control.kill()
        await control.start()
      }),
      reload: Effect.promise(() => control.reload())
    })
  )

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Polls until `check` answers something; fails after `limit` milliseconds with `what`. */
const until = async <A>(what: () => string, check: () => Promise<A | undefined>, limit = 20_000): Promise<A> => {
  for (const end = Date.now() + limit; Date.now() < end; await pause(5)) {
    const found = await check()
    if (found !== undefined) return found
  }
  throw new Error(what())
}

/** One command line on a fresh connection; resolves with all bytes until HAProxy closes it, at most `limit` ms. */
export const ask = (socket: string, line: string, limit = 10_000): Promise<string> =>
  new Promise((resolve, reject) => {
    const connection = createConnection(socket)
    let text = ""
    connection.setTimeout(limit, () => connection.destroy(new Error(`no answer to ${line} within ${limit} ms`)))
    connection.setEncoding("utf8")
    connection.on("data", (part: string) => {
      text += part
    })
    // A reset may follow a complete answer.
    connection.once("error", (error) => text === "" ? reject(error) : resolve(text))
    connection.once("close", () => resolve(text))
    connection.write(`${line}\n`)
  })

const httpGet = (port: number, host: string, path: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => {
        body += part
      })
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.once("error", reject)
    sent.end()
  })

const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "")).split(" ").filter(Boolean).map(Number)

const gone = async (pid: number): Promise<true | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")
  // A zombie serves nobody; init reaps it.
  return stat === "" || /\) Z /.test(stat) ? true : undefined
}

class Control {
  private child: ChildProcess | undefined
  private readonly site: Site
  private readonly binary: HaproxyBinary
  private readonly withPools: boolean
  stderr = ""

  constructor(site: Site, binary: HaproxyBinary, withPools: boolean) {
    this.site = site
    this.binary = binary
    this.withPools = withPools
  }

  pid(): number {
    const pid = this.child?.pid
    if (pid === undefined) throw new Error("HAProxy is not running")
    return pid
  }

  async workerPid(): Promise<number> {
    // The newest child serves; older ones are workers that a reload told to stop.
    const worker = (await childrenOf(this.pid())).at(-1)
    if (worker === undefined) throw new Error(`HAProxy has no worker; stderr:\n${this.stderr}`)
    return worker
  }

  async start(): Promise<void> {
    const { site } = this
    const files = ["-f", site.configFile, ...(this.withPools ? ["-f", site.poolsFile] : [])]
    const child = spawn(this.binary.path, ["-W", "-S", site.masterSocket, "-db", ...files], {
      cwd: site.dir,
      stdio: ["ignore", "ignore", "pipe"]
    })
    this.child = child
    child.stderr.setEncoding("utf8")
    child.stderr.on("data", (part: string) => {
      this.stderr = (this.stderr + part).slice(-65_536)
    })
    await until(() => `HAProxy does not answer; stderr:\n${this.stderr}`, () => this.answering(undefined))
    // The master of 3.0 opens its socket after the worker's.
    await until(() => "the master does not answer", async () => {
      const answer = await ask(site.masterSocket, "show proc", 50).catch(() => "")
      return answer.includes("master") ? true : undefined
    })
  }

  /** True once a worker answers that is not the one with pid `not`. */
  private async answering(not: number | undefined): Promise<true | undefined> {
    if (this.child?.exitCode !== null) throw new Error(`HAProxy ended; stderr:\n${this.stderr}`)
    const info = await ask(this.site.runtimeSocket, "show info", 1_000).catch(() => "")
    const pid = Number(/^Pid: (\d+)$/m.exec(info)?.[1])
    return pid > 0 && pid !== not && /^Stopping: 0$/m.test(info) ? true : undefined
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child
    const pid = child?.pid
    if (child === undefined || pid === undefined) return
    const workers = await childrenOf(pid)
    const send = (target: number) => {
      try {
        process.kill(target, signal)
      } catch {
        // It is gone already.
      }
    }
    send(pid)
    if (signal === "SIGKILL") workers.forEach(send)
    for (const process of [pid, ...workers]) {
      await until(() => `HAProxy process ${process} does not end`, () => gone(process))
    }
    this.child = undefined
  }

  /** The signal stops one thread, and only when that one runs next, the others: on a busy machine they go on so long. */
  async pause(): Promise<void> {
    const pid = await this.workerPid()
    process.kill(pid, "SIGSTOP")
    await until(() => `HAProxy process ${pid} does not stop`, async () => {
      const tasks = await readdir(`/proc/${pid}/task`)
      const stats = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/stat`, "utf8")))
      return stats.every((stat) => /\) [Tt] /.test(stat)) ? true : undefined
    })
  }

  kill(): Promise<void> {
    return this.end("SIGKILL")
  }

  stop(): Promise<void> {
    return this.end("SIGTERM")
  }

  async reload(): Promise<string> {
    const before = await this.workerPid()
    const answer = await ask(this.site.masterSocket, "reload")
    if (answer.startsWith("Success=1")) {
      await until(() => `no new worker; stderr:\n${this.stderr}`, () => this.answering(before))
    }
    return answer
  }
}
