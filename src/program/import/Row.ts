/**
 * One row of an import, on its own: its shape and every rule that needs no other row and no database. The rules are
 * those of Input.ts, so that a row is refused for what a tool would refuse.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Port, ServerIp } from "../../domain/Address.ts"
import { formatEndpoint } from "../../domain/Address.ts"
import type { InvalidInput } from "../../domain/Errors.ts"
import {
  defaultWeight,
  parsePoolName,
  type PoolNumber,
  type ServerState,
  type SlotNumber,
  type Weight
} from "../../domain/Pool.ts"
import { isWildcard, type RouteName } from "../../domain/RouteName.ts"
import * as Input from "../Input.ts"
import type { Limits } from "../Limits.ts"
import { parseServers, type ServerWords } from "./ServerText.ts"
import type { Problem } from "./Shapes.ts"

/** A server that a row names; null: the first free slot. */
export interface RowServer {
  readonly slot: SlotNumber | null
  readonly ip: ServerIp
  readonly port: Port
  readonly weight: Weight
  readonly state: ServerState
}

/** A row that breaks no rule of its own. */
export interface Row {
  readonly line: number
  readonly name: RouteName
  /** The pool it asks for; null: any free one. */
  readonly pool: PoolNumber | null
  readonly sharesWith: RouteName | null
  readonly servers: ReadonlyArray<RowServer>
  /** What the row says of its implicit wildcard; null: nothing. */
  readonly wildcard: boolean | null
  /** It is a registrable domain, which brings its wildcard unless the row says otherwise. */
  readonly registrable: boolean
}

/** The columns of a file and the fields of a JSON row. */
export const columns = ["domain", "pool", "shares_with", "wildcard", "servers"] as const
type Column = typeof columns[number]

const serverFields = ["slot", "ip", "port", "weight", "state"]

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

class Refused {
  readonly field: string
  readonly message: string
  readonly hint: string
  constructor(field: string, message: string, hint: string) {
    this.field = field
    this.message = message
    this.hint = hint
  }
}

const refuse = (field: string, message: string, hint: string): Result.Result<never, Refused> =>
  Result.fail(new Refused(field, message, hint))

/** A text that is there, null when it is not. */
const textOf = (row: Record<string, unknown>, field: Column): Result.Result<string | null, Refused> => {
  const value = row[field]
  if (value === undefined || value === null) return Result.succeed(null)
  if (typeof value !== "string") return refuse(field, `${field} is not a text`, "Write it in quotes.")
  const text = value.trim()
  return Result.succeed(text === "" ? null : text)
}

const yesOrNo: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  [false, false],
  ["yes", true],
  ["no", false],
  ["true", true],
  ["false", false]
])

const wildcardOf = (row: Record<string, unknown>): Result.Result<boolean | null, Refused> => {
  const value = row["wildcard"]
  if (value === undefined || value === null || value === "") return Result.succeed(null)
  const found = yesOrNo.get(value)
  return found === undefined
    ? refuse("wildcard", `wildcard ${Input.shown(value)} is neither yes nor no`, "Leave it empty: the name says it.")
    : Result.succeed(found)
}

const serverOf = (value: unknown, field: string): Result.Result<ServerWords, Refused> => {
  if (!isRecord(value) || typeof value["ip"] !== "string") {
    return refuse(field, `${field} is not a server`, "Write {\"ip\": \"10.0.0.5\", \"port\": 80}.")
  }
  const unknown = Object.keys(value).find((key) => !serverFields.includes(key))
  if (unknown !== undefined) {
    return refuse(
      `${field}.${unknown.slice(0, 40)}`,
      `${Input.shown(unknown)} is not a field of a server`,
      `Use ${serverFields.join(", ")}.`
    )
  }
  for (const name of ["slot", "port", "weight"]) {
    if (value[name] !== undefined && typeof value[name] !== "number") {
      return refuse(
        `${field}.${name}`,
        `${name} ${Input.shown(value[name])} is not a number`,
        "Write it without quotes."
      )
    }
  }
  if (value["state"] !== undefined && typeof value["state"] !== "string") {
    return refuse(`${field}.state`, "state is not a text", "Use ready, drain or maint.")
  }
  return Result.succeed(value as unknown as ServerWords)
}

const wordsOf = (value: unknown): Result.Result<ReadonlyArray<ServerWords>, Refused> => {
  if (value === undefined || value === null || value === "") return Result.succeed([])
  if (typeof value === "string") {
    const parsed = parseServers(value)
    return Result.isSuccess(parsed)
      ? Result.succeed(parsed.success)
      : refuse("servers", `servers ${parsed.failure}`, "Write them as 10.0.0.5:80 weight 10; 10.0.0.6:80 drain.")
  }
  if (!Array.isArray(value)) return refuse("servers", "servers is not a list", "Write a list of servers.")
  const servers: Array<ServerWords> = []
  for (const [index, each] of value.entries()) {
    const server = serverOf(each, `servers[${index}]`)
    if (Result.isFailure(server)) return Result.fail(server.failure)
    servers.push(server.success)
  }
  return Result.succeed(servers)
}

const checkServers = Effect.fnUntraced(function*(limits: Limits["Service"], words: ReadonlyArray<ServerWords>) {
  const servers: Array<RowServer> = []
  const slots = new Set<number>()
  const places = new Set<string>()
  if (words.length > limits.pools.slots) {
    return yield* Effect.fail(
      new Refused(
        "servers",
        `servers has ${words.length}, and a pool has ${limits.pools.slots} slots`,
        "Name fewer, or declare more slots (HAPROXY_MAX_SLOTS)."
      )
    )
  }
  for (const [index, server] of words.entries()) {
    const field = `servers[${index}].`
    const { ip, port } = yield* Input.endpoint(
      limits,
      { ip: server.ip, ...(server.port === undefined ? {} : { http_port: server.port }) },
      field
    )
    const place = formatEndpoint(ip, port)
    const slot = server.slot === undefined ? null : yield* Input.slot(limits, server.slot, 1, `${field}slot`)
    if (places.has(place) || (slot !== null && slots.has(slot))) {
      return yield* Effect.fail(
        new Refused(
          "servers",
          places.has(place) ? `servers names ${place} twice` : `servers names slot ${slot} twice`,
          "Name each server and each slot once."
        )
      )
    }
    places.add(place)
    if (slot !== null) slots.add(slot)
    servers.push({
      slot,
      ip,
      port,
      weight: server.weight === undefined ? defaultWeight : yield* Input.weight(server.weight),
      state: server.state === undefined ? "ready" : yield* Input.state(server.state)
    })
  }
  return servers
})

/** A row without its servers, which few rows have. */
const readNames = (
  limits: Limits["Service"],
  line: number,
  value: unknown
): Result.Result<Row & { readonly words: ReadonlyArray<ServerWords> }, Refused | InvalidInput> => {
  if (!isRecord(value)) {
    return refuse("", "This is not a row", "Write an object such as {\"domain\": \"shop.example.com\"}.")
  }
  for (const key of Object.keys(value)) {
    if (columns.some((column) => column === key)) continue
    return refuse(key.slice(0, 40), `${Input.shown(key)} is not a field`, `Use ${columns.join(", ")}.`)
  }
  const domain = textOf(value, "domain")
  if (Result.isFailure(domain)) return Result.fail(domain.failure)
  const named = Input.readRouteName(limits, "domain", domain.success ?? "")
  if (Result.isFailure(named)) return Result.fail(named.failure)
  const name = named.success
  const share = textOf(value, "shares_with")
  if (Result.isFailure(share)) return Result.fail(share.failure)
  const target = share.success === null ? null : Input.readExistingName("shares_with", share.success)
  if (target !== null && Result.isFailure(target)) return Result.fail(target.failure)
  const sharesWith = target?.success ?? null
  const poolText = textOf(value, "pool")
  if (Result.isFailure(poolText)) return Result.fail(poolText.failure)
  const pool = poolText.success === null ? null : parsePoolName(poolText.success)
  if (poolText.success !== null && (pool === null || pool > limits.pools.pools)) {
    return refuse(
      "pool",
      `pool ${Input.shown(poolText.success)} is not one of pool_1 to pool_${limits.pools.pools}`,
      "Leave it empty for any free pool, or declare more pools (HAPROXY_POOL_COUNT)."
    )
  }
  const words = wordsOf(value["servers"])
  if (Result.isFailure(words)) return Result.fail(words.failure)
  const wildcard = wildcardOf(value)
  if (Result.isFailure(wildcard)) return Result.fail(wildcard.failure)
  if (sharesWith !== null && (words.success.length > 0 || pool !== null)) {
    return refuse(
      words.success.length > 0 ? "servers" : "pool",
      "A domain that shares a pool has no servers and no pool of its own",
      "Leave shares_with empty, or leave servers and pool empty."
    )
  }
  if (sharesWith === name) {
    return refuse("shares_with", `${name} cannot share with itself`, "Name another domain, or leave it empty.")
  }
  if (wildcard.success === true && isWildcard(name)) {
    return refuse("wildcard", "A wildcard has no wildcard of its own", "Leave it empty.")
  }
  return Result.succeed({
    line,
    name,
    pool,
    sharesWith,
    servers: [],
    wildcard: wildcard.success,
    registrable: !isWildcard(name) && limits.suffixes.registrable(name) === name,
    words: words.success
  })
}

/** Reads a row. The failure is the first rule that it breaks. */
export const readRow = (
  limits: Limits["Service"],
  line: number,
  value: unknown
): Effect.Effect<Row, Refused | InvalidInput> => {
  const read = readNames(limits, line, value)
  if (Result.isFailure(read)) return Effect.fail(read.failure)
  const { words, ...row } = read.success
  return words.length === 0
    ? Effect.succeed(row)
    : Effect.map(checkServers(limits, words), (servers) => ({ ...row, servers }))
}

/** A refusal as it is listed. */
export const problemOf = (line: number, refusal: Refused | InvalidInput): Problem => ({
  line,
  field: refusal.field ?? "",
  message: refusal.message,
  hint: refusal.hint
})
