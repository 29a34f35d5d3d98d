/**
 * HAProxy's own listeners with the addresses that they are bound to, for the rule that no server may point back at
 * one of them. HAProxy says only ports (ListenerCommands.ts); the addresses are this machine's knowledge
 * (BoundAddresses.ts), and where it has none, a port counts as bound to every address.
 */
import type { Listener } from "../domain/Address.ts"
import type { Bound } from "./BoundAddresses.ts"
import type { ListenerSocket } from "./ListenerCommands.ts"

const everywhere = { ipv4: "0.0.0.0", ipv6: "::" } as const

/** The addresses of the sockets of one family and port. Other programs' sockets may be among the rows. */
const addressesOf = (sockets: ReadonlyArray<ListenerSocket>, bound: Bound | null): ReadonlyArray<string> => {
  const { family, port } = sockets[0]!
  const rows = bound?.sockets.filter((row) => row.family === family && row.port === port) ?? []
  const mine = sockets.map(({ fd }) => rows.find((row) => row.inode === bound?.inodes.get(fd)))
  if (mine.every((row) => row !== undefined)) return mine.map(({ ip }) => ip)
  if (rows.length < sockets.length) return [everywhere[family]]
  const ips = rows.map(({ ip }) => ip)
  // More rows than sockets: some are another program's, such as an origin's on 127.0.0.1 beside a frontend on a public
  // address. Which, cannot be told; a wrong refusal would leave the operator no way, so only the certain ones count.
  const certain = rows.length === sockets.length || new Set(ips).size === 1 || ips.includes(everywhere[family])
  return certain ? ips : []
}

/** The listeners that these sockets are; `bound` is null when HAProxy runs elsewhere or this machine cannot tell. */
export const ownListeners = (
  sockets: ReadonlyArray<ListenerSocket>,
  bound: Bound | null
): ReadonlyArray<Listener> => {
  const groups = Map.groupBy(sockets, ({ family, port }) => `${family} ${port}`)
  const found = new Map<string, Listener>()
  for (const group of groups.values()) {
    const { family, frontend, port } = group[0]!
    const name = frontend === "GLOBAL" ? "HAProxy's Runtime API" : `HAProxy's frontend ${frontend}`
    const ips = new Set(addressesOf(group, bound))
    // An IPv6 socket on every address takes IPv4 too, unless it is `v6only`: then the port has IPv4 sockets of its own.
    if (family === "ipv6" && ips.has("::") && !groups.has(`ipv4 ${port}`)) ips.add("0.0.0.0")
    for (const ip of ips) found.set(`${ip} ${port}`, { ip, family: ip.includes(":") ? "ipv6" : "ipv4", port, name })
  }
  return [...found.values()]
}
