/** The contract, kept by every real HAProxy at hand. */
import * as Effect from "effect/Effect"
import { ask, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { runtimeContract } from "./contract/Contract.ts"
import type { MakeTarget } from "./contract/Target.ts"

for (const binary of realLines) {
  const make: MakeTarget = (options) =>
    Effect.map(startHaproxy({ ...options, binary }), (haproxy) => {
      const { site } = haproxy
      const [major, minor] = binary.line.split(".").map(Number)
      return {
        line: [major!, minor!],
        transports: {
          unix: { path: site.runtimeSocket },
          tcp: { host: "127.0.0.1", port: site.runtimePort }
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
  runtimeContract(`HAProxy ${binary.line}`, make)
}
