/**
 * HAProxy in a container or a systemd unit: the programs that control them are stand-ins (test/support/StandIns.ts), the
 * HAProxy that they control is real.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync } from "node:fs"
import { join } from "node:path"
import { checkConfig } from "../../src/program/ConfigCheck.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { health } from "../../src/program/Health.ts"
import { reload } from "../../src/program/Reload.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { placeStandIns } from "../support/StandIns.ts"
import { makeWorld } from "../support/World.ts"

const prepare = Effect.fnUntraced(function*(binary: (typeof realLines)[number], name: string) {
  const world = yield* makeWorld({ binary, poolsFile: true, host: { masterSocket: null } })
  const { site } = world
  const programs = yield* Effect.acquireRelease(
    Effect.map(world.haproxy.pid, (master) =>
      placeStandIns({
        folder: join(site.dir, "programs"),
        name,
        master,
        binary: binary.path,
        command: ["docker-entrypoint.sh", "haproxy", "-f", site.configFile, "-f", site.poolsFile],
        cwd: site.dir
      })),
    (placed) => Effect.sync(placed.remove)
  )
  yield* world.run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
  return { world, programs }
})

const container = Effect.map(health, ({ components }) => components.container)

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live(
    "a container is checked inside, reloaded by SIGHUP and shown by haproxy_health",
    () =>
      Effect.gen(function*() {
        const { programs, world } = yield* prepare(binary, "edge")
        assert.deepStrictEqual(yield* world.run(container), { status: "not_configured", state: "not_configured" })
        assert.deepStrictEqual(programs.calls(), [], "what is not set is not asked")
        yield* world.control({ container: "edge", isHere: false })
        assert.deepStrictEqual(yield* world.run(container), { status: "ok", state: "running" })

        const before = yield* world.haproxy.workerPid
        const answer = yield* world.run(reload)
        assert.deepInclude(answer, { way: "container" })
        assert.strictEqual(answer.old_worker?.pid, before)
        assert.strictEqual(answer.new_worker.pid, yield* world.haproxy.workerPid)
        assert.deepStrictEqual(programs.calls().slice(-3), [
          "podman inspect --type container edge",
          `podman exec edge haproxy -c -f ${world.site.configFile} -f ${world.site.poolsFile}`,
          "podman kill --signal HUP edge"
        ])
        yield* world.consistent()

        appendFileSync(world.site.configFile, "\nbackend x\n  bogus\n")
        const error = yield* Effect.flip(world.run(reload))
        assert.strictEqual(error.code, "CONFIG_INVALID")
        assert.include(error.message, "unknown keyword 'bogus'")
        assert.include(programs.calls().at(-1), "podman exec", "nothing was told")
        assert.isFalse((yield* world.run(checkConfig)).valid)

        programs.setState("exited")
        assert.deepStrictEqual(yield* world.run(container), { status: "error", state: "exited" })
        assert.notInclude(JSON.stringify(yield* world.run(health)), "hunter2")
      }),
    20_000
  )
})

const newest = realLines.at(-1)!

describe("programs of the host", () => {
  it.live("a container that is not there is a finding, not a crash", () =>
    Effect.gen(function*() {
      const { world } = yield* prepare(newest, "edge")
      yield* world.control({ container: "other" })
      assert.deepStrictEqual(yield* world.run(container), {
        status: "error",
        state: "Error: no such container other"
      })
      const error = yield* Effect.flip(world.run(reload))
      assert.strictEqual(error.code, "CONFIG_INVALID")
      assert.include(error.hint, "HAPROXY_CONTAINER")
      const { needs, valid } = yield* world.run(checkConfig)
      assert.isNull(valid)
      assert.include(needs.find(({ what }) => what.includes("haproxy -c"))?.hint, "no such container other")
    }))

  it.live("without any setting a container named haproxy is found", () =>
    Effect.gen(function*() {
      const { programs, world } = yield* prepare(newest, "haproxy")
      yield* world.control({ search: true, isHere: false })
      const answer = yield* world.run(reload)
      assert.strictEqual(answer.way, "container")
      assert.strictEqual(programs.calls().at(-1), "podman kill --signal HUP haproxy")
      // It is only asked for when something is to be done: health shows what is set.
      assert.deepStrictEqual(yield* world.run(container), { status: "not_configured", state: "not_configured" })
    }))

  it.live("a systemd unit is reloaded, or its own words say why not", () =>
    Effect.gen(function*() {
      const { programs, world } = yield* prepare(newest, "haproxy")
      yield* world.control({ systemdUnit: "haproxy.service" })
      const answer = yield* world.run(reload)
      assert.strictEqual(answer.way, "systemd")
      assert.strictEqual(answer.new_worker.pid, yield* world.haproxy.workerPid)
      assert.strictEqual(programs.calls().at(-1), "systemctl --no-ask-password reload haproxy.service")
      yield* world.consistent()

      programs.failUnit("Job for haproxy.service failed because the control process exited with error code.\n")
      const failed = yield* Effect.flip(world.run(reload))
      assert.strictEqual(failed.code, "HAPROXY_REFUSED")
      assert.include(failed.message, "Job for haproxy.service failed")
      assert.include(failed.hint, "journalctl -u haproxy.service")

      yield* world.control({ systemdUnit: "other.service" })
      assert.include((yield* Effect.flip(world.run(reload))).message, "Unit other.service not found")
      yield* world.consistent()
    }), 20_000)
})
