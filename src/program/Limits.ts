/** Settings that the programs need: the shape of the pools and the rules for names and addresses. */
import * as Context from "effect/Context"
import type { Listener } from "../domain/Address.ts"
import type { PoolLimits } from "../domain/Pool.ts"
import type { PublicSuffixes } from "../domain/PublicSuffix.ts"

export class Limits extends Context.Service<Limits, {
  readonly pools: PoolLimits
  readonly suffixes: PublicSuffixes
  /** Listeners that the settings tell (our own, the Runtime API): a server may not point back at one of them. */
  readonly listeners: ReadonlyArray<Listener>
  /** Addresses of this host, for listeners that are bound to every address. */
  readonly localAddresses: ReadonlySet<string>
  /** HAProxy runs on this host, so `localAddresses` are its own, too. */
  readonly haproxyIsHere: boolean
}>()("haproxy-mcp/program/Limits") {}
