/**
 * A host of its own on this machine: a network and a mount namespace that exist as long as the test's process does. They
 * have no name that could be left behind: a small process in them waits on a pipe from the test, and when the test ends,
 * by whatever end, the pipe closes, the process ends, and the kernel takes the namespaces, links and mounts away.
 */
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, writeFileSync } from "node:fs"
import { createConnection, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { type Running, startCommand, type StartOptions } from "../support/Process.ts"

export interface Host {
  readonly name: string
  /** Of the process that holds the namespaces. */
  readonly pid: number
  /** What to spawn so that a command runs there. It is the same process (no fork), and dies with the one that spawned it. */
  readonly inside: (command: string, ...args: ReadonlyArray<string>) => readonly [string, ...Array<string>]
  /** Starts a command there. */
  readonly start: (command: string, args: ReadonlyArray<string>, options?: StartOptions) => Running
  /** A program that runs another one there, for code that takes a path; it is the same process, too. */
  readonly program: (path: string, file: string) => string
  /** Hides a folder: what is in it does not exist on this host. */
  readonly hide: (folder: string) => void
  /** Where this process sees a path of that host. */
  readonly seen: (path: string) => string
  /** An address on this machine's loopback that leads to a port of that host's loopback; closed with the scope. */
  readonly reach: (port: number) => Promise<number>
}

/** Runs a command to its end; throws with what it said. */
export const must = (command: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 10_000 })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr || String(error ?? status)}`)
  return stdout
}

export interface HostOptions {
  /** A network of its own (default), or this machine's. */
  readonly network?: boolean
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

/** Joins two streams until both are over; an end of one is an end of the other. */
const pipeBoth = (one: Socket, other: Socket) => {
  one.pipe(other).pipe(one)
  for (const [a, b] of [[one, other], [other, one]] as const) {
    a.on("error", () => b.destroy())
    a.on("close", () => b.destroy())
  }
}

const relayScript = `
const net = require("node:net")
const [path, port] = process.argv.slice(1)
net.createServer((near) => {
  const far = net.connect(Number(port), "127.0.0.1")
  near.pipe(far).pipe(near)
  for (const [a, b] of [[near, far], [far, near]]) {
    a.on("error", () => b.destroy())
    a.on("close", () => b.destroy())
  }
}).listen(path, () => console.log("relaying"))
`

/** A host in the scope. `folder`: where its sockets for {@link Host.reach} lie. */
export const makeHost = (name: string, folder: string, options: HostOptions = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const hasNetwork = options.network !== false
      const kinds = hasNetwork ? ["--net", "--mount"] : ["--mount"]
      const holder = spawn("unshare", [...kinds, "sh", "-c", "echo ready && exec cat >/dev/null"], {
        stdio: ["pipe", "pipe", "pipe"]
      })
      let errors = ""
      holder.stderr.on("data", (part) => errors += String(part))
      await new Promise<void>((resolve, reject) => {
        holder.stdout.once("data", () => resolve())
        holder.once("error", reject)
        holder.once("close", (code) => reject(new Error(`no namespace (${code}): ${errors}`)))
      })
      const relays: Array<Running> = []
      const servers: Array<Server> = []
      const pid = holder.pid!
      // It dies with whoever asked for it.
      const inside: Host["inside"] = (command, ...args) => [
        "nsenter",
        "-t",
        String(pid),
        "-m",
        ...(hasNetwork ? ["-n"] : []),
        "setpriv",
        "--pdeathsig",
        "KILL",
        command,
        ...args
      ]
      const start: Host["start"] = (command, args, options) => {
        const [first, ...rest] = inside(command, ...args)
        return startCommand(first, rest, options)
      }
      const host: Host = {
        name,
        pid,
        inside,
        start,
        program: (path, file) => {
          writeFileSync(file, `#!/bin/sh\nexec ${inside(path).map(quoted).join(" ")} "$@"\n`)
          chmodSync(file, 0o755)
          return file
        },
        hide: (hidden) => void must(...inside("mount", "-t", "tmpfs", "none", hidden)),
        seen: (path) => `/proc/${pid}/root${path}`,
        reach: async (port) => {
          const path = join(folder, `${name}-${port}.sock`)
          const relay = start(process.execPath, ["-e", relayScript, path, String(port)], { limit: 600_000 })
          relays.push(relay)
          await relay.until("relaying")
          const server = createServer((near) => pipeBoth(near, createConnection(path)))
          servers.push(server)
          return new Promise((resolve) =>
            server.listen(0, "127.0.0.1", () => resolve((server.address() as { readonly port: number }).port))
          )
        }
      }
      const end = async () => {
        for (const server of servers) server.close()
        for (const relay of relays) {
          relay.signal("SIGKILL")
          await relay.ended
        }
        holder.kill("SIGKILL")
      }
      return { host, end }
    }),
    ({ end }) => Effect.promise(end)
  ).pipe(Effect.map(({ host }) => host))
