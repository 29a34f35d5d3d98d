/**
 * The addresses that listening TCP sockets of this machine are bound to, from `/proc` (Linux). For a HAProxy on this
 * machine; nothing of one elsewhere or in another network namespace is seen.
 *
 * It never fails: what cannot be read is left out, and nothing read is a null.
 */
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import { open, readlink } from "node:fs/promises"
import { endianness } from "node:os"

/** A listening socket. */
export interface BoundSocket {
  /** Of the socket: an IPv6 one may be bound to an IPv4 address, which is then written as such. */
  readonly family: "ipv4" | "ipv6"
  /** Canonical text; `0.0.0.0` or `::` for every address. */
  readonly ip: string
  readonly port: number
  readonly inode: string
}

/** What this machine knows of listening sockets. */
export interface Bound {
  readonly sockets: ReadonlyArray<BoundSocket>
  /** HAProxy's file descriptors by the inode of their socket; those we may not look at are missing. */
  readonly inodes: ReadonlyMap<number, string>
}

/** TCP_LISTEN (include/net/tcp_states.h). */
const listening = "0A"

/** The kernel prints an address as words of 32 bits in the machine's own order. */
const addressOf = (hex: string, littleEndian: boolean): string | null => {
  const bytes = Buffer.from(hex, "hex")
  if (littleEndian) bytes.swap32()
  if (bytes.length === 4) return bytes.join(".")
  if (bytes.length !== 16) return null
  const address = NetAddress.ipv6FromBytesUnsafe(bytes)
  return Option.match(NetAddress.fromIpv4Mapped(address), {
    onNone: () => NetAddress.formatIp(address),
    onSome: (mapped) => NetAddress.formatIp(mapped)
  })
}

/*
 * /proc/net/tcp6 (Linux 6.1), shortened; tcp has 8 digits for an address
 *
 *   sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 *    0: 00000000000000000000000000000000:7065 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 950299 1 …
 *    1: 00000000000000000000000001000000:7066 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 950300 1 …
 */
const row = /^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F:]+ ([0-9A-F]{2}) (?:\S+ +){5}(\d+) /

/** The listening sockets in the text of `/proc/net/tcp` or `tcp6`. */
export const parseSockets = (text: string, littleEndian = endianness() === "LE"): ReadonlyArray<BoundSocket> =>
  text.split("\n").flatMap((line): ReadonlyArray<BoundSocket> => {
    const [, hex, port, state, inode] = row.exec(line) ?? []
    if (hex === undefined || state !== listening) return []
    const ip = addressOf(hex, littleEndian)
    return ip === null
      ? []
      : [{ family: hex.length === 8 ? "ipv4" : "ipv6", ip, port: Number.parseInt(port!, 16), inode: inode! }]
  })

/** The beginning of a table, as far as it has listening sockets: they come first, before all connections. */
const readTable = async (path: string): Promise<string> => {
  const file = await open(path)
  try {
    let text = ""
    for (;;) {
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(65_536) })
      text += buffer.toString("latin1", 0, bytesRead)
      const last = text.slice(0, text.lastIndexOf("\n")).split("\n").at(-1) ?? ""
      const state = row.exec(last)?.[3]
      if (bytesRead === 0 || (state !== undefined && state !== listening)) return text
    }
  } finally {
    await file.close()
  }
}

const readTables = async (folder: string): Promise<ReadonlyArray<BoundSocket> | null> => {
  const tables = await Promise.allSettled([readTable(`${folder}/tcp`), readTable(`${folder}/tcp6`)])
  const read = tables.filter((table) => table.status === "fulfilled")
  return read.length === 0 ? null : read.flatMap(({ value }) => parseSockets(value))
}

const readInodes = async (pid: number, fds: ReadonlyArray<number>): Promise<ReadonlyMap<number, string>> => {
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")))
  return new Map(links.flatMap((link, index): ReadonlyArray<readonly [number, string]> => {
    const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1]
    return inode === undefined ? [] : [[fds[index]!, inode]]
  }))
}

/**
 * Reads the listening sockets, and which of them the process `pid` has as `fds` (as far as we may look at another
 * process: as root, or as the same user when it never changed its own). Null: this system does not say.
 */
export const read = (pid: number, fds: ReadonlyArray<number>): Effect.Effect<Bound | null> =>
  Effect.promise(async () => {
    const inodes = await readInodes(pid, fds)
    // In another network namespace (a container) HAProxy's sockets stand in its own tables.
    const own = inodes.size === 0 ? null : await readTables(`/proc/${pid}/net`)
    const known = new Set(inodes.values())
    if (own !== null && own.some((socket) => known.has(socket.inode))) return { sockets: own, inodes }
    const sockets = await readTables("/proc/net")
    return sockets === null ? null : { sockets, inodes: new Map() }
  })
