/**
 * HAProxy's host as another one: a folder of this machine that only a real sshd knows under the paths that the control
 * plane is given. Without root there is no mount namespace for that, and both sides use the same paths.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HaproxyHost } from "../../src/haproxy/host/HaproxyHost.ts"
import { overSsh } from "../../src/HostAccess.ts"
import { type Sshd, type SshdOptions, startSshd } from "./Sshd.ts"
import { openSsh, type SshLink } from "./SshLink.ts"

export interface Edge {
  readonly sshd: Sshd
  readonly link: SshLink
  readonly host: HaproxyHost
  /** The path under which the far side knows a file of the folder. */
  readonly there: (path: string) => string
}

/** Is in no file system of a machine that runs tests, and empty in most. */
const mount = "/mnt"
const far = `${mount}/edge`

const canMount = process.getuid?.() === 0
if (!canMount) {
  process.stderr.write("\nNOT TESTED: paths that only the far side of SSH knows (a mount namespace needs root)\n")
}

/** Runs before sshd does, with the folder as `$1`. `small` is a disk of its own, of so many KB. */
const prepare = (small: number) =>
  `mount --make-rprivate / && mount -t tmpfs none ${mount} && mkdir ${far} ${mount}/small && mount --bind "$1" ${far}`
  + ` && mount -t tmpfs -o size=${small}k none ${mount}/small && shift && exec "$@"`

/** A small disk of the far side, with root only. */
export const smallDisk: string | null = canMount ? `${mount}/small` : null

const wrap = (folder: string, small: number): Pick<SshdOptions, "wrap"> =>
  canMount ? { wrap: (command) => ["unshare", "-m", "sh", "-c", prepare(small), "sh", folder, ...command] } : {}

/** Starts sshd over a folder and connects. */
export const startEdge = (folder: string, small = 256): Effect.Effect<Edge, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sshd = yield* startSshd(wrap(folder, small))
    const link = yield* Effect.acquireRelease(
      Effect.promise(() => openSsh(sshd.options)),
      ({ end }) => Effect.promise(end)
    )
    return {
      sshd,
      link,
      host: overSsh(link.ssh),
      there: (path) => canMount && path.startsWith(`${folder}/`) ? `${far}${path.slice(folder.length)}` : path
    }
  })
