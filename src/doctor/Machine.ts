/** This machine and the program itself: Node, SQLite, the clock, the user. */
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import { checkVersion } from "../store/Database.ts"
import { version } from "../Version.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"

/** The oldest Node that brings an SQLite without the WAL corruption; the launcher refuses older ones. */
const oldestNode = [24, 18] as const

const node = (): Found => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const recent = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  return recent
    ? ok("Node", process.versions.node)
    : error("Node", `${process.versions.node} is too old`, `Install Node ${oldestNode.join(".")} or later.`)
}

const sqlite = (): Found => {
  const found = process.versions["sqlite"] ?? "0"
  try {
    checkVersion(found)
    return ok("SQLite", found)
  } catch (cause) {
    return error("SQLite", cause instanceof Error ? cause.message : String(cause), "Run with Node 24.18 or later.")
  }
}

/** Before the day on which this version was written a clock cannot be right. */
const earliest = Date.UTC(2026, 10, 1)

const clock = (): Found =>
  Date.now() >= earliest
    ? ok("Clock", new Date().toISOString())
    : warning(
      "Clock",
      `${new Date().toISOString()} is in the past`,
      "Set the time: `timedatectl set-ntp true`. Certificates and the log of changes depend on it."
    )

export const checks: ReadonlyArray<Check> = [
  check(
    "machine",
    "Machine",
    Effect.sync(() => [
      ok("haproxy-mcp", `${version}, as user ${userInfo().username}`),
      node(),
      sqlite(),
      clock()
    ])
  )
]
