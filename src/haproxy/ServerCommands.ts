/**
 * Server commands: address, state, weight, and what HAProxy says of its servers.
 *
 * `set server … addr` takes effect asynchronously: a read in the same exchange still shows the old address. Read back
 * in the next exchange (3.0.11, 3.2.26, 3.4.7).
 */
import * as Result from "effect/Result"
import type { ServerState } from "../domain/Pool.ts"
import { refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/*
 * set server pool_1/pool_1_1 addr 127.0.0.1 port 8080 (3.0.11, 3.2.26, 3.4.7), one of
 *
 * IP changed from '192.0.2.1' to '127.0.0.1', port changed from '1' to '8080' by 'stats socket command'
 * IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket command'
 * port changed from '8080' to '8081' by 'stats socket command'
 * nothing changed
 *
 * and when it does not: `Invalid addr 'fe80'`, `No such server.`, `No such backend.`
 *
 * HAProxy takes port 0 and wraps 99999 to 34463: both are for the caller to prevent.
 */
const changedAddress =
  /^(?:IP changed from '[^']*' to '[^']*'|port changed from '[^']*' to '[^']*')(?:, port changed from '[^']*' to '[^']*')? by 'stats socket command'$/

const parseAddress = (answer: string): Verdict<void> => {
  const text = answer.trim()
  return text === "nothing changed" || changedAddress.test(text) ? Result.void : refused(text)
}

/** `set server B/S addr IP port PORT`. Applied asynchronously; see the module head. */
export const setAddress = (backend: string, server: string, ip: string, port: number): Command<void> => ({
  words: ["set", "server", `${backend}/${server}`, "addr", ip, "port", String(port)],
  parse: parseAddress
})

/**
 * `set server B/S state ready|drain|maint`. Silent when done. On a server with another admin state it replaces ours:
 * `ready` ends drain and maintenance that were set at runtime.
 */
export const setState = (backend: string, server: string, state: ServerState): Command<void> =>
  silent(["set", "server", `${backend}/${server}`, "state", state])

/** `set server B/S weight 0..256`. Silent when done; refused when the backend's algorithm is static. */
export const setWeight = (backend: string, server: string, weight: number): Command<void> =>
  silent(["set", "server", `${backend}/${server}`, "weight", String(weight)])

/** One row of `show servers state`. */
export interface ServerStateRow {
  readonly backend: string
  readonly server: string
  readonly ip: string
  readonly port: number
  /** The administrative state by our own words; see {@link adminStateOf}. */
  readonly state: ServerState
  /** Operational state: 0 stopped, 1 starting, 2 running, 3 stopping (management.txt, `srv_op_state`). */
  readonly op: number
  /** The weight as set at runtime. */
  readonly userWeight: number
  /** The weight as configured. */
  readonly initialWeight: number
  /** `srv_admin_state` as it is. */
  readonly adminState: number
}

/**
 * The bits of `srv_admin_state` (management.txt, `show servers state`): 0x01 forced maintenance, 0x02 inherited
 * maintenance, 0x04 was configured `disabled` (stays set after `state ready`, so it says nothing), 0x08 forced drain,
 * 0x10 inherited drain, 0x20 resolution failed, 0x40 was set `disabled` by the host name.
 */
export const adminStateOf = (adminState: number): ServerState =>
  (adminState & 0x63) !== 0 ? "maint" : (adminState & 0x18) !== 0 ? "drain" : "ready"

/*
 * show servers state pool_1 (3.0.11, 3.2.26, 3.4.7 alike)
 *
 * 1
 * # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
 * 3 pool_1 1 pool_1_1 127.0.0.1 2 4 1 1 2 1 0 0 8 0 0 0 - 8080 - 0 0 - - 0
 * 3 pool_1 2 pool_1_2 192.0.2.1 0 5 1 1 174 1 0 0 8 0 0 0 - 1 - 0 0 - - 0
 *
 * A backend without servers has no row. An unknown backend: `Can't find backend.`
 */
const parseServers = (answer: string): Verdict<ReadonlyArray<ServerStateRow>> => {
  const lines = answer.split("\n")
  if (lines[0] !== "1" || lines[1]?.startsWith("# be_id be_name srv_id srv_name srv_addr srv_op_state") !== true) {
    return refused(answer)
  }
  const rows: Array<ServerStateRow> = []
  for (let index = 2; index < lines.length; index++) {
    const line = lines[index]!
    if (line === "") continue
    const cells = line.split(" ")
    if (cells.length < 19) return refused(line)
    const adminState = Number(cells[6])
    rows.push({
      backend: cells[1]!,
      server: cells[3]!,
      ip: cells[4]!,
      port: Number(cells[18]),
      state: adminStateOf(adminState),
      op: Number(cells[5]),
      userWeight: Number(cells[7]),
      initialWeight: Number(cells[8]),
      adminState
    })
  }
  return Result.succeed(rows)
}

/** The rows of a text that `show servers state` answered, such as a saved one; a failure is the line that is not one. */
export const parseState = parseServers

/** `show servers state` as HAProxy wrote it, checked to be that. */
export const stateText: Command<string> = {
  words: ["show", "servers", "state"],
  parse: (answer) => Result.map(parseServers(answer), () => answer)
}

/** `show servers state [BACKEND]`: the servers of one backend, or of all, as they are now. */
export const showState = (backend?: string): Command<ReadonlyArray<ServerStateRow>> => ({
  words: backend === undefined ? ["show", "servers", "state"] : ["show", "servers", "state", backend],
  parse: parseServers
})
