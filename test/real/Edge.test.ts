/**
 * HAProxy on another host, reached over SSH alone: its Runtime API socket, its maps, pools.cfg, certificates, master and
 * configuration, under paths that only that host knows. And what becomes of a write when the host goes away under it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import type { Disk } from "../../src/domain/Disk.ts"
import { deleteCert } from "../../src/program/certificates/Delete.ts"
import { loadCert } from "../../src/program/certificates/Load.ts"
import { checkConfig } from "../../src/program/ConfigCheck.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { health } from "../../src/program/Health.ts"
import { reload } from "../../src/program/Reload.ts"
import { restoreState, saveState } from "../../src/program/SavedState.ts"
import { compared, put, shown } from "../program/certificates/support/Issuer.ts"
import { bundleOf, makeCertificate } from "../support/Certificates.ts"
import { inSync, within } from "../support/ControlPlane.ts"
import type { Edge } from "../support/Edge.ts"
import { startOrigin } from "../support/Origin.ts"
import { newestLine, realLines } from "../support/RealHaproxy.ts"
import { sshdReason } from "../support/Sshd.ts"
import { makeWorld, type World } from "../support/World.ts"

const itself = ({ host }: Edge) => host

/** Names in the folder of the maps. */
const inMaps = ({ site }: World) => readdirSync(dirname(site.domainsMap)).sort()

describe.skipIf(sshdReason !== null).each(realLines)("HAProxy $line behind sshd", (binary) => {
  it.live(
    "serves what is added there, also when it starts alone; certificates, reload and check reach it",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ binary, poolsFile: true, tls: true, edge: itself })
        const origin = yield* startOrigin("shop")
        yield* world.run(compared)
        yield* world.run(addDomain({ domain: "example.com", ip: "127.0.0.1", http_port: origin.port }))
        assert.strictEqual((yield* world.haproxy.get("example.com")).body, "shop")
        assert.strictEqual((yield* world.haproxy.get("a.example.com")).body, "shop")
        yield* world.same()

        const pem = makeCertificate(["example.com", "*.example.com"])
        yield* put(world, "example.com", pem.text)
        const loaded = yield* world.run(loadCert({ domain: "example.com" }))
        const { sha256 } = bundleOf(pem.text).facts
        assert.isTrue(loaded.proved, loaded.warnings.join())
        assert.strictEqual(yield* shown(world, "www.example.com"), sha256)

        const checked = yield* world.run(checkConfig)
        assert.isTrue(checked.valid, JSON.stringify(checked))
        const before = yield* world.haproxy.workerPid
        const { new_worker } = yield* world.run(reload)
        assert.notStrictEqual(new_worker.pid, before)
        assert.strictEqual(new_worker.pid, yield* world.haproxy.workerPid)
        appendFileSync(world.site.configFile, "\nfrontend broken\n  bogus keyword\n")
        const refused = yield* Effect.flip(world.run(reload))
        assert.include(refused.message, "unknown keyword 'bogus'")
        const good = readFileSync(world.site.configFile, "utf8").replace(/\nfrontend broken[^]*$/, "")
        writeFileSync(world.site.configFile, good)

        const saved = yield* world.run(saveState)
        assert.strictEqual(basename(saved.file), "servers.state")
        assert.strictEqual((yield* world.run(restoreState)).restored_count, 0)
        const { components } = yield* world.run(health)
        assert.strictEqual(components.config_files.status, "ok")

        // Without us: the files it starts from are current.
        yield* world.stopPlane
        yield* world.haproxy.restart
        assert.strictEqual((yield* world.haproxy.get("example.com")).body, "shop")
        assert.strictEqual(yield* shown(world, "example.com"), sha256)
        yield* world.restartPlane
        yield* world.run(inSync)
        yield* world.run(removeDomain({ domain: "example.com" }))
        yield* world.run(deleteCert({ domain: "example.com" }))
        assert.deepStrictEqual(readdirSync(world.site.certDir), [])
        yield* world.consistent()
        assert.deepStrictEqual(inMaps(world), ["domains.map", "pools.cfg", "wildcards.map"])
      }),
    60_000
  )
})

/** A disk that does something of its own at a rename onto a file of this name. */
const atRename = (disk: Disk, name: string, act: (go: () => Promise<void>) => Promise<void>): Disk => ({
  ...disk,
  rename: (from, to) => basename(to) === name ? act(() => disk.rename(from, to)) : disk.rename(from, to)
})

describe.skipIf(sshdReason !== null)("a host that goes away under a write", () => {
  it.live.each(["before", "after"] as const)(
    "%s the rename: nothing is told that is not so, and it mends itself",
    (when) =>
      Effect.gen(function*() {
        let armed = false
        const world: World = yield* makeWorld({
          binary: newestLine,
          poolsFile: true,
          edge: (edge) => ({
            ...edge.host,
            disk: atRename(edge.host.disk, "domains.map", async (go) => {
              if (!armed) return go()
              armed = false
              // Sent, and perhaps done; its answer is lost.
              const sent = when === "after" ? Promise.allSettled([go()]) : null
              await edge.sshd.kill()
              const [answer] = await (sent ?? Promise.allSettled([go()]))
              if (answer?.status === "rejected") throw answer.reason
            })
          })
        })
        yield* world.run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
        armed = true
        const answer = yield* Effect.result(
          world.run(within(3_000)(addDomain({ domain: "two.com", share_with: "one.com" })))
        )
        assert.isFalse(armed, "the write came to its rename")
        assert(Result.isFailure(answer))
        assert.strictEqual(answer.failure.code, "OUTCOME_UNKNOWN")
        const down = yield* Effect.flip(
          world.run(within(500)(addDomain({ domain: "three.com", share_with: "one.com" })))
        )
        assert.include(["HAPROXY_UNREACHABLE", "REMOTE_UNREACHABLE", "TIMEOUT"], down.code)
        assert.strictEqual((yield* world.run(health)).components.config_files.status, "error")
        yield* Effect.promise(() => world.edge!.sshd.start())
        yield* Effect.promise(() => world.edge!.link.until("Up"))
        yield* world.consistent()
        assert.deepStrictEqual(inMaps(world), ["domains.map", "pools.cfg", "wildcards.map"])
        yield* world.run(addDomain({ domain: "two.com", share_with: "one.com" }))
        yield* world.same()
      }),
    60_000
  )

  it.live("is no trouble for a start: it waits, and finds everything when it is back", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary: newestLine, poolsFile: true, edge: itself })
      yield* world.run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
      yield* world.stopPlane
      yield* Effect.promise(() => world.edge!.sshd.kill())
      // What a crashed run left.
      const temp = join(dirname(world.site.domainsMap), ".domains.map.haproxy-mcp-0123456789ab")
      writeFileSync(temp, "half")
      yield* world.restartPlane
      const refused = yield* Effect.flip(
        world.run(within(500)(addDomain({ domain: "two.com", share_with: "one.com" })))
      )
      assert.strictEqual(refused.code, "HAPROXY_UNREACHABLE")
      yield* Effect.promise(() => world.edge!.sshd.start())
      yield* Effect.promise(() => world.edge!.link.until("Up"))
      yield* world.consistent()
      assert.deepStrictEqual(inMaps(world), ["domains.map", "pools.cfg", "wildcards.map"])
    }), 60_000)
})
