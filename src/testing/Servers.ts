/**
 * The backends and servers of one worker, and the commands on them.
 *
 * Guarantees: an address takes effect only after the commands that arrived with it have run, as in HAProxy, where a
 * read in the same exchange still shows the old one; state and weight take effect at once. There are no health
 * checks: a server out of maintenance is up until {@link Servers.setHealth} says otherwise.
 */
import { isIP } from "node:net"
import { type Answer, dump, message, silence } from "./Answer.ts"
import type { Traits } from "./Line.ts"
import {
  Backend,
  canonical,
  checkColumns,
  leadingInteger,
  Server,
  type ServerConfig,
  type ServerState,
  setWeight
} from "./Server.ts"

const columns =
  "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"

const usage =
  "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight"

const noBackendServer = message(3, "Require 'backend/server'.")
const noBackend = message(3, "No such backend.")
const noServer = message(3, "No such server.")

/** The backends of a worker and the commands on them. */
export class Servers {
  readonly backends = new Map<string, Backend>()
  private readonly traits: Traits
  private readonly now: () => number
  private readonly addressDelay: number
  private unapplied: Array<Server> = []

  /** Backends are numbered from `firstId` on, in the order given. */
  constructor(
    traits: Traits,
    firstId: number,
    config: Iterable<readonly [string, ReadonlyArray<ServerConfig>]>,
    now: () => number,
    addressDelay = 0
  ) {
    this.traits = traits
    this.now = now
    this.addressDelay = addressDelay
    for (const [name, servers] of config) {
      this.backends.set(name, new Backend(firstId + this.backends.size, name, servers, now()))
    }
  }

  /** Makes addresses set so far effective, at once or after the delay. */
  settle(): void {
    if (this.unapplied.length === 0) return
    const servers = this.unapplied
    this.unapplied = []
    if (this.addressDelay === 0) apply(servers)
    else setTimeout(() => apply(servers), this.addressDelay).unref()
  }

  /** Every server as it is now, settled. */
  states(): Array<ServerState> {
    const states: Array<ServerState> = []
    for (const backend of this.backends.values()) {
      for (const server of backend.servers.values()) {
        const { address, port } = server.pending ?? server
        states.push({
          backend: backend.name,
          name: server.name,
          address,
          port,
          weight: server.weight,
          initialWeight: server.initialWeight,
          state: server.state,
          adminState: server.admin,
          up: server.up
        })
      }
    }
    return states
  }

  /** What a health check would have found. False when there is no such server. */
  setHealth(name: string, healthy: boolean): boolean {
    const found = this.find(name)
    if (!(found instanceof Server)) return false
    const before = found.up
    found.healthy = healthy
    if (before !== found.up) found.changed = this.now()
    return true
  }

  private find(name: string | undefined): Server | Answer {
    const slash = name?.indexOf("/") ?? -1
    if (name === undefined || slash < 0) return noBackendServer
    const backend = this.backends.get(name.slice(0, slash))
    if (backend === undefined) return noBackend
    return backend.servers.get(name.slice(slash + 1)) ?? noServer
  }

  /** `set server`, from its words. */
  set(words: ReadonlyArray<string>): Answer {
    const server = this.find(words[2])
    if (!(server instanceof Server)) return server
    const argument = words[4]
    switch (words[3]) {
      case "addr":
        return this.setAddress(server, words)
      case "state":
        if (argument !== "ready" && argument !== "drain" && argument !== "maint") {
          return message(3, "'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
        }
        server.setState(argument, this.now())
        return silence
      case "weight":
        return setWeight(server, argument ?? "")
      case "health":
        if (argument !== "up" && argument !== "stopping" && argument !== "down") {
          return message(3, "'set server <srv> health' expects 'up', 'stopping', or 'down'.")
        }
        this.setHealth(words[2]!, argument !== "down")
        return silence
      case "fqdn":
        return message(3, "set server <b>/<s> fqdn failed because no resolution is configured.")
      default:
        return message(3, usage)
    }
  }

  private setAddress(server: Server, words: ReadonlyArray<string>): Answer {
    if (words[4] === undefined) return message(3, "set server <b>/<s> addr requires an address and optionally a port.")
    if (isIP(words[4]) === 0) return message(4, `Invalid addr '${words[4]}'`)
    const address = canonical(words[4])
    let port = server.port
    if (words[5] === "port") {
      const { found, value } = leadingInteger(words[6] ?? "")
      if (!found) return message(4, `problem converting port '${words[6] ?? ""}' to an int`)
      port = value & 0xffff
    }
    const changes: Array<string> = []
    if (address !== server.address) changes.push(`IP changed from '${server.address}' to '${address}'`)
    if (port !== server.port) changes.push(`port changed from '${server.port}' to '${port}'`)
    if (changes.length === 0) return message(4, "nothing changed")
    server.pending = { address, port }
    this.unapplied.push(server)
    return message(4, `${changes.join(", ")} by 'stats socket command'`)
  }

  /** `enable server` and `disable server`. */
  enable(words: ReadonlyArray<string>, enabled: boolean): Answer {
    const server = this.find(words[2])
    if (!(server instanceof Server)) return server
    server.setState(enabled ? "ready" : "maint", this.now())
    return silence
  }

  /** `enable health` and `disable health`: checks are not imitated, so they change nothing. */
  check(words: ReadonlyArray<string>): Answer {
    const server = this.find(words[2])
    if (!(server instanceof Server)) return server
    return words[0] === "enable" && !server.check
      ? message(3, "Health check was not configured on this server, cannot enable.")
      : silence
  }

  /** `set weight`. */
  setWeight(words: ReadonlyArray<string>): Answer {
    const server = this.find(words[2])
    return server instanceof Server ? setWeight(server, words[3] ?? "") : server
  }

  /** `get weight`. */
  getWeight(words: ReadonlyArray<string>): Answer {
    const server = this.find(words[2])
    return server instanceof Server ? dump(`${server.weight} (initial ${server.initialWeight})\n`) : server
  }

  /** `show backend`. */
  showBackends(): Answer {
    return dump(`# name\n${[...this.backends.keys()].map((name) => `${name}\n`).join("")}`)
  }

  /** `show servers state`. */
  show(words: ReadonlyArray<string>): Answer {
    let shown: Iterable<Backend> = this.backends.values()
    if (words[3] !== undefined) {
      const backend = this.backends.get(words[3])
      if (backend === undefined) return message(3, "Can't find backend.")
      shown = [backend]
    }
    const now = this.now()
    const rows: Array<string> = ["1\n", `# ${columns}\n`]
    for (const backend of shown) {
      for (const server of backend.servers.values()) {
        const { address, admin, changed, id, initialWeight, name, port, up, weight } = server
        const seconds = Math.floor((now - changed) / 1000)
        rows.push(
          `${backend.id} ${backend.name} ${id} ${name} ${address} ${
            up ? 2 : 0
          } ${admin} ${weight} ${initialWeight} ${seconds} ${
            checkColumns(server, this.traits)
          } 0 0 0 - ${port} - 0 0 - - 0\n`
        )
      }
    }
    return dump(rows.join(""))
  }
}

const apply = (servers: ReadonlyArray<Server>): void => {
  for (const server of servers) {
    if (server.pending === undefined) continue
    server.address = server.pending.address
    server.port = server.pending.port
    server.pending = undefined
  }
}
