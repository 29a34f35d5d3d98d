/**
 * Two hosts on one machine, "pod" and "edge", joined by one cable that can be pulled. Any number of labs run side by side:
 * each has its addresses to itself, from the range for benchmarks of networks (RFC 2544), inside its namespaces only.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { available } from "../support/Available.ts"
import { type Host, makeHost, must } from "./Host.ts"

export interface Lab {
  /** Where the control plane runs. */
  readonly pod: Host
  /** Where HAProxy and sshd run. */
  readonly edge: Host
  readonly address: { readonly pod: string; readonly edge: string }
  readonly cable: {
    /** Nothing arrives at either end, and nobody is told. */
    readonly pull: () => void
    readonly plug: () => void
    /** What the pod says arrives; what the edge says is lost without a word. */
    readonly muteEdge: () => void
    readonly unmuteEdge: () => void
  }
  /** For files of the lab itself; both hosts see it. */
  readonly folder: string
}

const address = { pod: "198.18.0.1", edge: "198.18.0.2" }

/** Can labs be made here? Says aloud when not. */
export const labsWork = (): boolean =>
  available("two hosts in one test", "unshare", "--net", "--mount", "true")
  && available("two hosts in one test", "setpriv", "--pdeathsig", "KILL", "true")

/** Debian's, where the machine has none. */
const ipCommand = async () =>
  spawnSync("ip", ["-V"], { stdio: "ignore" }).status === 0 ? "ip" : (await ensureProgram("iproute2")).path

/** A lab in the scope. */
export const makeLab = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-mcp-lab-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true, maxRetries: 3 }))
  )
  const pod = yield* makeHost("pod", folder)
  const edge = yield* makeHost("edge", folder)
  const command = yield* Effect.promise(ipCommand)
  const ip = (host: Host, ...args: ReadonlyArray<string>) => must(...host.inside(command, ...args))
  const to = (host: Host) => ["eth0", "netns", String(host.pid)]
  must(command, "link", "add", ...to(pod), "type", "veth", "peer", ...to(edge))
  for (const [host, own] of [[pod, address.pod], [edge, address.edge]] as const) {
    ip(host, "link", "set", "lo", "up")
    ip(host, "addr", "add", `${own}/30`, "dev", "eth0")
    ip(host, "link", "set", "eth0", "up")
  }
  const lab: Lab = {
    pod,
    edge,
    address,
    cable: {
      pull: () => void ip(edge, "link", "set", "eth0", "down"),
      plug: () => void ip(edge, "link", "set", "eth0", "up"),
      muteEdge: () => void ip(edge, "route", "add", "blackhole", `${address.pod}/32`),
      unmuteEdge: () => void ip(edge, "route", "del", "blackhole", `${address.pod}/32`)
    },
    folder
  }
  return lab
})
