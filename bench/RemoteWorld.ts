/**
 * HAProxy's host behind SSH, for the rows of a remote database: a real sshd on loopback, and, where a row asks for a longer
 * way, a proxy in front of it that keeps every byte for a while.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { overSsh } from "../test/lab/FarSite.ts"
import { type FarSshd, startFarSshd } from "../test/lab/FarSshd.ts"
import { makeHost } from "../test/lab/Host.ts"
import { startFaultProxy } from "../test/support/FaultProxy.ts"
import type { Env } from "../test/support/Settings.ts"
import { SftpPublishFloor } from "./floors/SftpPublish.ts"
import { type Bench, Skipped } from "./Row.ts"
import type { World } from "./World.ts"

/** A way to the host. */
export interface Way {
  /** Settings of a control plane of this world that comes this way. */
  readonly env: (world: Pick<World, "haproxy">) => Env
  /** The floor on the same way, in a folder on the same disk. */
  readonly floor: (world: Pick<World, "haproxy">) => Promise<SftpPublishFloor>
}

/** Starts the host's sshd. Answers the way over loopback, and the one whose round trips take `added` ms more. */
export const startRemote = Effect.fnUntraced(function*(bench: Bench, added: number) {
  if (process.getuid?.() !== 0) throw new Skipped("the sshd of this row needs root (a mount namespace)")
  const host = yield* makeHost("far", bench.folder, { network: false })
  const sshd = yield* startFarSshd({ host })
  const slow = yield* Effect.acquireRelease(
    Effect.promise(() => startFaultProxy(sshd.port)),
    (proxy) => Effect.promise(() => proxy.end())
  )
  slow.set({ delayTo: added / 2, delayBack: added / 2 })
  const wayBy = (by: FarSshd): Way => ({
    env: ({ haproxy: { site } }) => overSsh(by, join(site.dir, "remote", "haproxy_mcp.db")),
    floor: ({ haproxy: { site } }) => {
      const folder = join(site.dir, "floor")
      mkdirSync(folder, { recursive: true })
      return SftpPublishFloor.connect({ host: by.address, port: by.port, user: by.user, keyFile: by.keyFile }, folder)
    }
  })
  const known = { ...sshd, port: slow.port, knownHosts: sshd.knownAs(slow.port) }
  return { near: wayBy(sshd), far: wayBy(known) }
})
