/**
 * The demo's ports, all on 127.0.0.1, and the check that they are free.
 *
 * The check comes before anything is started, because HAProxy binds with SO_REUSEPORT: a second one would share a
 * port with the first without a word. It binds each port for a moment itself; what takes a port after that is seen by
 * the program that wants it.
 */
import { createSocket } from "node:dgram"
import { readdir, readFile, readlink } from "node:fs/promises"
import { createServer } from "node:net"
import { basename } from "node:path"
import { DemoFailure } from "./DemoFailure.ts"

export interface Ports {
  /** The control plane: MCP over HTTP. */
  readonly mcp: number
  /** HAProxy's HTTP frontend. */
  readonly http: number
  /** HAProxy's HTTPS frontend, TCP and UDP. */
  readonly https: number
  /** HAProxy's Runtime API. */
  readonly runtime: number
}

/** Where nothing of the demo shall be reachable from other machines. */
export const host = "127.0.0.1"

const names: Readonly<Record<keyof Ports, string>> = {
  mcp: "the control plane, MCP",
  http: "HAProxy's HTTP frontend",
  https: "HAProxy's HTTPS frontend",
  runtime: "HAProxy's Runtime API"
}

export const portsAt = (offset: number): Ports => ({
  mcp: 8000 + offset,
  http: 8080 + offset,
  https: 8443 + offset,
  runtime: 9999 + offset
})

const isFreeOfTcp = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })

const isFreeOfUdp = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = createSocket("udp4")
    socket.once("error", () => {
      socket.close()
      resolve(false)
    })
    socket.bind({ port, address: host, exclusive: true }, () => socket.close(() => resolve(true)))
  })

/** HTTP/3 wants the port of HTTPS in UDP as well. */
const isFree = async (use: keyof Ports, port: number) =>
  await isFreeOfTcp(port) && (use !== "https" || await isFreeOfUdp(port))

const taken = async (ports: Ports) => {
  const all = Object.entries(ports) as Array<[keyof Ports, number]>
  const free = await Promise.all(all.map(([use, port]) => isFree(use, port)))
  return all.filter((_, index) => free[index] === false).map(([use, port]) => ({ port, use: names[use] }))
}

/** The first offset above this one at which every port is free. */
const freeOffset = async (offset: number): Promise<number | undefined> => {
  for (let next = offset + 100; next <= offset + 2_000; next += 100) {
    if ((await taken(portsAt(next))).length === 0) return next
  }
  return undefined
}

/**
 * Inodes of the sockets that listen on a port, from /proc/net/tcp and /proc/net/udp: `sl local_address rem_address st …
 * inode`.
 */
const listeners = async (port: number): Promise<ReadonlySet<string>> => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const tables = await Promise.all(
    ["tcp", "tcp6", "udp", "udp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => ""))
  )
  const rows = tables.flatMap((table) => table.split("\n")).map((line) => line.trim().split(/\s+/))
  // 0A: TCP's LISTEN; 07: what UDP has in its place.
  return new Set(
    rows.filter((row) => row[1]?.endsWith(`:${hex}`) && (row[3] === "0A" || row[3] === "07")).map((row) =>
      `socket:[${row[9]}]`
    )
  )
}

/** The program, and its script if it has one; nothing else of an argument list, which may hold secrets. */
export const commandName = (args: ReadonlyArray<string>): string => {
  // A program that is run by its own loader says who it is.
  const [program = "", first = ""] = args[1] === "--argv0" ? args.slice(2) : args
  const script = /\.(?:[cm]?[jt]s|py|rb|php)$/.test(first) ? ` ${first}` : ""
  return program === "" ? "a process" : `${basename(program)}${script}`
}

/** `nginx (pid 812)`; nothing where /proc is not there or the process is another user's. */
const holder = async (port: number): Promise<string | undefined> => {
  const sockets = await listeners(port)
  if (sockets.size === 0) return undefined
  for (const pid of (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      if (!sockets.has(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""))) continue
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
      return `${commandName(command.split("\0"))} (pid ${pid})`
    }
  }
  return undefined
}

/** Fails with the ports that are taken, by whom, and the flag that moves the demo away from them. */
export const requireFreePorts = async (offset: number): Promise<Ports> => {
  const ports = portsAt(offset)
  const busy = await taken(ports)
  if (busy.length === 0) return ports
  const lines = await Promise.all(busy.map(async ({ port, use }) => {
    const by = await holder(port)
    return `Port ${port} (${use}) is taken${by === undefined ? "" : ` by ${by}`}.`
  }))
  const next = await freeOffset(offset)
  const move = next === undefined
    ? "or move the demo's ports: npm run demo -- --port-offset N"
    : `or move the demo's ports: npm run demo -- --port-offset ${next}`
  throw new DemoFailure(lines.join("\n"), `Stop what listens there, ${move}`)
}
