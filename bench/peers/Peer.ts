/** Another server that routes by host name, doing the same job: 10k hosts there, one more comes. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ProgramName } from "../../scripts/debian/Catalogue.ts"
import { get, RawHttp } from "../RawHttp.ts"
import type { Bench } from "../Row.ts"
import { originText } from "../World.ts"

/** A running peer. */
export interface RunningPeer {
  readonly httpPort: number
  /** Tells it of one more host by its own way; returns when that way has returned. */
  readonly add: (host: string) => Promise<void>
}

export interface Peer {
  readonly program: ProgramName
  /** How a host is added, for the table. */
  readonly how: string
  readonly start: (
    bench: Bench,
    options: { readonly program: string; readonly hosts: ReadonlyArray<string>; readonly originPort: number }
  ) => Effect.Effect<RunningPeer, never, Scope.Scope>
}

/** One request on a connection of its own: old connections may belong to what is going away. */
export const isRouted = async (port: number, host: string): Promise<boolean> => {
  const connection = await RawHttp.connect(port)
  try {
    const { body, status } = await connection.send(get(host))
    return status === 200 && body === originText
  } finally {
    connection.close()
  }
}

/** Asks every 2 ms until the host is routed; a tighter loop would take the peer's own processor time. */
export const untilRouted = async (port: number, host: string, limit = 60_000): Promise<void> => {
  for (const end = Date.now() + limit; Date.now() < end;) {
    if (await isRouted(port, host).catch(() => false)) return
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
  }
  throw new Error(`${host} is not routed after ${limit} ms`)
}
