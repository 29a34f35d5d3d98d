/** Queries over the occupied slots. */
import type { Port, ServerIp } from "../domain/Address.ts"
import type { PoolNumber, Server, ServerState, SlotNumber, Weight } from "../domain/Pool.ts"
import type { Columns, Database } from "./Database.ts"

/** A row of `pool, slot, ip, port, weight, state`. */
const toServer = ([pool, slot, ip, port, weight, state]: Columns): Server => ({
  pool: pool as PoolNumber,
  slot: slot as SlotNumber,
  ip: ip as ServerIp,
  port: port as Port,
  weight: weight as Weight,
  state: state as ServerState
})

export const ofPool = (db: Database, pool: PoolNumber): ReadonlyArray<Server> =>
  db.arrays("SELECT pool, slot, ip, port, weight, state FROM servers WHERE pool = ? ORDER BY slot", pool).map(toServer)

export const ofPools = (db: Database, pools: ReadonlyArray<PoolNumber>): ReadonlyArray<Server> =>
  db.arrays(
    `SELECT pool, slot, ip, port, weight, state FROM servers
      WHERE pool IN (SELECT value FROM json_each(?)) ORDER BY pool, slot`,
    JSON.stringify(pools)
  ).map(toServer)

export const all = (db: Database): ReadonlyArray<Server> =>
  db.arrays("SELECT pool, slot, ip, port, weight, state FROM servers ORDER BY pool, slot").map(toServer)
