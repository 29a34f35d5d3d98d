/** The host that HAProxy runs on, as it is reached: this machine, or another one over SSH (which ControlPlane.ts gives). */
import { createConnection } from "node:net"
import type { Duplex } from "node:stream"
import type { Commands } from "../../domain/Commands.ts"
import type { Disk } from "../../domain/Disk.ts"
import { localDisk } from "../files/LocalDisk.ts"
import { localCommands } from "./Child.ts"

export interface HaproxyHost {
  readonly disk: Disk
  readonly commands: Commands
  /** A stream to a unix socket there, at once; `connect`, `error` (with a `code`) and `close` as of `net.Socket`. */
  readonly openUnix: (path: string) => Duplex
}

/** This machine. */
export const thisHost: HaproxyHost = {
  disk: localDisk,
  commands: localCommands,
  openUnix: (path) => createConnection({ path })
}
