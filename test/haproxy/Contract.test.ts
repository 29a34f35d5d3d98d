/** The contract, kept by every real HAProxy at hand, and its part on the link by the newest through an SSH connection. */
import { afterAll, beforeAll, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import type { Ssh } from "../../src/remote/Ssh.ts"
import { ask, newestLine, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd } from "../support/SshLink.ts"
import { runtimeContract } from "./contract/Contract.ts"
import { linkContract } from "./contract/Link.ts"
import type { MakeTarget } from "./contract/Target.ts"

/** Targets of a binary, reached directly, or through the connection that `ssh` answers once a test runs. */
const targets = (binary: HaproxyBinary, ssh?: () => Ssh["Service"]): MakeTarget => (options) =>
  Effect.map(startHaproxy({ ...options, binary }), (haproxy) => {
    const { site } = haproxy
    const [major, minor] = binary.line.split(".").map(Number)
    return {
      line: [major!, minor!],
      transports: ssh === undefined
        ? { unix: { path: site.runtimeSocket }, tcp: { host: "127.0.0.1", port: site.runtimePort } }
        : {
          unix: { open: () => ssh().openUnix(site.runtimeSocket) },
          tcp: { open: () => ssh().openTcp("127.0.0.1", site.runtimePort) }
        },
      domainsMap: site.runtimeDomainsMap,
      wildcardsMap: site.runtimeWildcardsMap,
      command: (line) => Effect.promise(() => ask(site.runtimeSocket, line)),
      pause: haproxy.pause,
      resume: haproxy.resume,
      kill: haproxy.kill,
      start: haproxy.start,
      reload: Effect.asVoid(haproxy.reload)
    }
  })

for (const binary of realLines) runtimeContract(`HAProxy ${binary.line}`, targets(binary))

describe.skipIf(sshdReason !== null)("over SSH", () => {
  let ssh: Ssh["Service"]
  const ends: Array<() => Promise<void>> = []
  beforeAll(async () => {
    const { end, sshd } = await openSshd({ version: "sshd-new" })
    ends.push(end)
    const link = await openSsh(sshd.options)
    ends.unshift(link.end)
    ssh = link.ssh
  })
  afterAll(async () => {
    for (const end of ends) await end()
  })
  // What a stream in between may change is the link; what HAProxy answers is the same.
  linkContract(targets(newestLine, () => ssh))
})
