/**
 * The text form of edits in the change log: an array per edit, without the keys and without what the edit already
 * says, about a third of plain JSON. `["r", name, before, after]` with `[pool, implicit, seq]` or null,
 * `["s", pool, slot, before, after]` with `[ip, port, weight, state]` or null, `["o", pool, before, after]`.
 */
import type { Edit, Route } from "../domain/Change.ts"
import type { PoolNumber, Server, SlotNumber } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"

type RouteRow = readonly [pool: Route["pool"], implicit: 0 | 1, seq: number] | null
type ServerRow =
  | readonly [ip: Server["ip"], port: Server["port"], weight: Server["weight"], state: Server["state"]]
  | null
type EditRow =
  | readonly ["r", name: RouteName, before: RouteRow, after: RouteRow]
  | readonly ["s", pool: PoolNumber, slot: SlotNumber, before: ServerRow, after: ServerRow]
  | readonly ["o", pool: PoolNumber, before: RouteName | null, after: RouteName | null]

const routeRow = (route: Route | null): RouteRow =>
  route === null ? null : [route.pool, route.implicit ? 1 : 0, route.seq]

const serverRow = (server: Server | null): ServerRow =>
  server === null ? null : [server.ip, server.port, server.weight, server.state]

const toRow = (edit: Edit): EditRow => {
  switch (edit.kind) {
    case "route":
      return ["r", edit.name, routeRow(edit.before), routeRow(edit.after)]
    case "server":
      return ["s", edit.pool, edit.slot, serverRow(edit.before), serverRow(edit.after)]
    case "owner":
      return ["o", edit.pool, edit.before, edit.after]
  }
}

const route = (name: RouteName, row: RouteRow): Route | null =>
  row === null ? null : { name, pool: row[0], implicit: row[1] === 1, seq: row[2] }

const server = (pool: PoolNumber, slot: SlotNumber, row: ServerRow): Server | null =>
  row === null ? null : { pool, slot, ip: row[0], port: row[1], weight: row[2], state: row[3] }

const fromRow = (row: EditRow): Edit => {
  switch (row[0]) {
    case "r":
      return { kind: "route", name: row[1], before: route(row[1], row[2]), after: route(row[1], row[3]) }
    case "s":
      return {
        kind: "server",
        pool: row[1],
        slot: row[2],
        before: server(row[1], row[2], row[3]),
        after: server(row[1], row[2], row[4])
      }
    case "o":
      return { kind: "owner", pool: row[1], before: row[2], after: row[3] }
  }
}

/** Edits as text. */
export const encodeEdits = (edits: ReadonlyArray<Edit>): string => JSON.stringify(edits.map(toRow))

/** The reverse of {@link encodeEdits}. The text is our own, from a file that nobody else writes. */
export const decodeEdits = (text: string): ReadonlyArray<Edit> => (JSON.parse(text) as Array<EditRow>).map(fromRow)
