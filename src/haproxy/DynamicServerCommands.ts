/**
 * Commands on servers of any backend that ServerCommands.ts does not have: made and deleted at run time, their limits,
 * their health and agent checks. What they change is gone at HAProxy's next start.
 *
 * Traps, seen on 3.0.11, 3.2.26 and 3.4.7:
 * - A server made at run time starts in maintenance, with checks off, whatever its options say.
 * - HAProxy takes nearly any text for an address (`unix@…`, `$HOME`, `127.1`): it must have been checked before.
 * - `set server … health up` is silent on a server without checks, too.
 * - Only a server in maintenance without connections can be deleted; from 3.4 one of the configuration as well.
 */
import * as Result from "effect/Result"
import { refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** Exactly this sentence, or a refusal. */
const says = (words: ReadonlyArray<string>, expected: string): Command<void> => ({
  words,
  parse: (answer): Verdict<void> => answer.trim() === expected ? Result.void : refused(answer)
})

/*
 * add server app/d1 127.0.0.1:7777 check weight 10 maxconn 9 (3.0.11, 3.2.26, 3.4.7)
 *
 * New server registered.
 *
 * or: Already exists a server with the same name in backend. | No such backend. | unknown keyword 'bogus'. |
 * backend must use a dynamic load balancing to support dynamic servers.
 */
/** `add server B/S ADDRESS OPTIONS…`. */
export const add = (
  backend: string,
  server: string,
  address: string,
  options: ReadonlyArray<string>
): Command<void> => says(["add", "server", `${backend}/${server}`, address, ...options], "New server registered.")

/*
 * del server app/d1 (3.0.11, 3.2.26, 3.4.7)
 *
 * Server deleted.
 *
 * or: No such server. | Only servers in maintenance mode can be deleted. | Server still has connections attached to it,
 * cannot remove it.
 */
/** `del server B/S`. */
export const del = (backend: string, server: string): Command<void> =>
  says(["del", "server", `${backend}/${server}`], "Server deleted.")

/*
 * wait 2s srv-removable app/d1 (3.0.11, 3.2.26, 3.4.7)
 *
 * Done.
 *
 * or: Failed. (3.4.7 adds why: `Failed. Only servers in maintenance mode can be deleted.`), or on 3.0.11 and later after
 * the time: Wait delay expired. …
 */
const parseWait = (answer: string): Verdict<boolean> => {
  const text = answer.trim()
  return text === "Done."
    ? Result.succeed(true)
    : /^(?:Failed\.|Wait )/.test(text)
    ? Result.succeed(false)
    : refused(answer)
}

/** `wait N srv-removable B/S`: waits up to so many milliseconds until it can be deleted; answers whether it can. */
export const waitRemovable = (backend: string, server: string, ms: number): Command<boolean> => ({
  words: ["wait", `${ms}ms`, "srv-removable", `${backend}/${server}`],
  parse: parseWait
})

/** `set maxconn server B/S N`. Silent when done. */
export const setMaxconn = (backend: string, server: string, connections: number): Command<void> =>
  silent(["set", "maxconn", "server", `${backend}/${server}`, String(connections)])

/*
 * enable health app/s3, enable agent app/s1 (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * Health check was not configured on this server, cannot enable.
 * Agent was not configured on this server, cannot enable.
 */
/** `enable|disable health B/S`: health checks on or off. */
export const healthChecks = (backend: string, server: string, on: boolean): Command<void> =>
  silent([on ? "enable" : "disable", "health", `${backend}/${server}`])

/** `enable|disable agent B/S`: agent checks on or off. */
export const agentChecks = (backend: string, server: string, on: boolean): Command<void> =>
  silent([on ? "enable" : "disable", "agent", `${backend}/${server}`])

/** `set server B/S health up|stopping|down`: what checks found, until the next check. */
export const setHealth = (backend: string, server: string, health: "up" | "stopping" | "down"): Command<void> =>
  silent(["set", "server", `${backend}/${server}`, "health", health])

/*
 * set server app/s1 agent up (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * agent checks are not enabled on this server.
 */
/** `set server B/S agent up|down`: what the agent said, until its next word. */
export const setAgent = (backend: string, server: string, agent: "up" | "down"): Command<void> =>
  silent(["set", "server", `${backend}/${server}`, "agent", agent])

/** What `show servers state` says of the checks of a server. */
export interface ServerChecks {
  readonly server: string
  readonly checks: "none" | "on" | "off"
  readonly agent: "none" | "on" | "off"
}

/** `srv_check_state` and `srv_agent_state` (management.txt): 0x02 is configured, 0x04 enabled. */
const switchOf = (bits: number): ServerChecks["checks"] => (bits & 2) === 0 ? "none" : (bits & 4) === 0 ? "off" : "on"

/*
 * show servers state app (3.0.11, 3.2.26, 3.4.7): as ServerCommands.ts has it; here the columns of the checks
 *
 * 1
 * # be_id be_name srv_id srv_name … srv_check_state srv_agent_state …
 * 5 app 1 s1 127.0.0.1 0 0 1 1 1 8 2 0 6 0 0 0 - 9 - 0 0 - - 0
 *
 * or, for a backend that is not there: Can't find backend.
 */
const parseChecks = (answer: string): Verdict<ReadonlyArray<ServerChecks> | null> => {
  if (answer.trim() === "Can't find backend.") return Result.succeed(null)
  const [version, head, ...lines] = answer.split("\n")
  const names = head?.split(" ").slice(1) ?? []
  const [name, check, agent] = ["srv_name", "srv_check_state", "srv_agent_state"].map((column) => names.indexOf(column))
  if (version !== "1" || name! < 0 || check! < 0 || agent! < 0) return refused(answer)
  return Result.succeed(
    lines.filter((line) => line !== "").map((line) => {
      const cells = line.split(" ")
      return {
        server: cells[name!]!,
        checks: switchOf(Number(cells[check!])),
        agent: switchOf(Number(cells[agent!]))
      }
    })
  )
}

/** `show servers state B`, for the checks of its servers; null: there is no such backend. */
export const showChecks = (backend: string): Command<ReadonlyArray<ServerChecks> | null> => ({
  words: ["show", "servers", "state", backend],
  parse: parseChecks
})
