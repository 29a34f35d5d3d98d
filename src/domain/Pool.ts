/**
 * Pools and slots: names, numbers and the state of a server. A pool is the HAProxy backend `pool_N`, a slot its
 * server line `pool_N_K`. An empty slot points at the placeholder address and is in maintenance.
 */
import type * as Brand from "effect/Brand"
import type { Port, ServerIp } from "./Address.ts"

/** N of `pool_N`, from 1. */
export type PoolNumber = number & Brand.Brand<"PoolNumber">
/** K of `pool_N_K`, from 1 to HAPROXY_MAX_SLOTS. */
export type SlotNumber = number & Brand.Brand<"SlotNumber">
/** 0 to 256 (management.txt, `set server … weight`). */
export type Weight = number & Brand.Brand<"Weight">

/** The administrative states an operator sets; all else (UP, DOWN, …) HAProxy observes. */
export const serverStates = ["ready", "drain", "maint"] as const
/** See {@link serverStates}. */
export type ServerState = typeof serverStates[number]

/** Where an empty slot points: TEST-NET-1, port 1. Never 0.0.0.0, which means "the client's destination". */
export const placeholder = { ip: "192.0.2.1", port: 1 } as const

/** The weight of a server when nobody set one: HAProxy's own default. */
export const defaultWeight = 1 as Weight

/** A server: an address in a slot. */
export interface Server {
  readonly pool: PoolNumber
  readonly slot: SlotNumber
  readonly ip: ServerIp
  readonly port: Port
  readonly weight: Weight
  readonly state: ServerState
}

/** `pool_N`. */
export const poolName = (pool: PoolNumber): string => `pool_${pool}`

/** `pool_N_K`. */
export const slotName = (pool: PoolNumber, slot: SlotNumber): string => `pool_${pool}_${slot}`

const poolPattern = /^pool_([1-9]\d{0,6})$/
const slotPattern = /^pool_([1-9]\d{0,6})_([1-9]\d{0,3})$/

/** The number of a pool name, or null when the name is not of that form. */
export const parsePoolName = (name: string): PoolNumber | null => {
  const match = poolPattern.exec(name)
  return match === null ? null : Number(match[1]) as PoolNumber
}

/** Pool and slot of a slot name, or null when the name is not of that form. */
export const parseSlotName = (name: string): { readonly pool: PoolNumber; readonly slot: SlotNumber } | null => {
  const match = slotPattern.exec(name)
  return match === null ? null : { pool: Number(match[1]) as PoolNumber, slot: Number(match[2]) as SlotNumber }
}

/** How many pools and slots are declared. A name beyond them is foreign. */
export interface PoolLimits {
  readonly pools: number
  readonly slots: number
}

/** Is a map value one of our pools? Every other value is foreign and kept. */
export const ownPool = (value: string, limits: PoolLimits): PoolNumber | null => {
  const pool = parsePoolName(value)
  return pool !== null && pool <= limits.pools ? pool : null
}
