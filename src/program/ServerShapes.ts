/** Inputs and answers of the verbs on servers. Field names are the tools' contract. */
import type { Answer, WriteAnswer } from "./Answer.ts"
import type { ServerItem } from "./DomainShapes.ts"

/** A server with what HAProxy says of it now; the observed fields are null while HAProxy is unreachable. */
export interface ServerStatus extends ServerItem {
  /** `UP`, `DOWN`, `MAINT`, `DRAIN`, `NOLB`, `no check` … as `show stat` says it. */
  readonly status: string | null
  /** Last health check, such as `L4OK`; empty without checks. */
  readonly check_status: string | null
  readonly current_sessions: number | null
}

export interface ListServersInput {
  readonly domain: string
}

export interface ListServersAnswer extends Answer {
  readonly domain: string
  readonly backend: string
  readonly shares_with: string | null
  readonly servers: ReadonlyArray<ServerStatus>
  readonly free_slots: number
}

export interface AddServerInput {
  readonly domain: string
  /** 0: the first free slot. */
  readonly slot?: number
  readonly ip: string
  readonly http_port?: number
}

/** Answer of every write to one pool's servers: all its servers after the write. */
export interface ServersAnswer extends WriteAnswer {
  readonly domain: string
  readonly backend: string
  readonly servers: ReadonlyArray<ServerItem>
}

export interface AddServerAnswer extends ServersAnswer {
  /** The slot that holds the server. */
  readonly slot: number
}

export interface AddServersInput {
  readonly domain: string
  readonly servers: ReadonlyArray<{ readonly ip: string; readonly http_port?: number; readonly slot?: number }>
}

export interface RemoveServerInput {
  readonly domain: string
  readonly slot: number
}

/** A server by domain and slot, or by the names HAProxy knows: `backend` and `server`. */
export interface ServerTarget {
  readonly domain?: string
  readonly slot?: number
  readonly backend?: string
  readonly server?: string
}

export interface SetServerStateInput extends ServerTarget {
  readonly state: string
}

export interface SetServerWeightInput extends ServerTarget {
  readonly weight: number
}

/** All servers of a domain; with `backend` + `server` one of them, like setServerState. */
export interface SetDomainStateInput extends ServerTarget {
  readonly state: string
}

export interface WaitDrainInput {
  readonly domain: string
  /** Absent: all slots that are in drain or maint. */
  readonly slot?: number
  /** Seconds. */
  readonly timeout?: number
}

export interface WaitDrainAnswer extends Answer {
  readonly domain: string
  readonly drained: boolean
  readonly remaining: ReadonlyArray<{ readonly slot: number; readonly current_sessions: number }>
  readonly waited_ms: number
  /** Present when the wait outlives the call: follow it with haproxy_operation. */
  readonly operation_id?: string
}
