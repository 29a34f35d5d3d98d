import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import type { Edit, Route } from "../../src/domain/Change.ts"
import type { PoolNumber, Server, SlotNumber, Weight } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { available } from "../support/Available.ts"
import { bundledScript } from "../support/BundledScript.ts"
import type { Step, StepResult } from "./MapFilesChild.ts"

const child = await bundledScript(new URL("./MapFilesChild.ts", import.meta.url))
const names = ["domains.map", "pools.cfg", "wildcards.map"]

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "map-faults-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

const route = (name: string, pool: number): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq: 1
})
const server: Server = {
  pool: 1 as PoolNumber,
  slot: 1 as SlotNumber,
  ip: "10.0.0.5" as ServerIp,
  port: 80 as Port,
  weight: 1 as Weight,
  state: "ready"
}
const first: Step = { reset: { routes: [route("a.com", 1), route("*.a.com", 1)], servers: [server] } }
const edits: ReadonlyArray<Edit> = [
  { kind: "route", name: "b.com" as RouteName, before: null, after: route("b.com", 2) },
  { kind: "route", name: "*.b.com" as RouteName, before: null, after: route("*.b.com", 2) },
  { kind: "server", pool: server.pool, slot: server.slot, before: server, after: null }
]
/** Changes every file. */
const change: Step = { apply: edits }
const afterChange: Step = {
  reset: {
    routes: [route("a.com", 1), route("*.a.com", 1), route("b.com", 2), route("*.b.com", 2)],
    servers: []
  }
}

/** Runs the child behind `prefix`; one pool thread, so that its system calls come in one order. */
const run = (dir: string, steps: ReadonlyArray<Step>, prefix: ReadonlyArray<string> = []) => {
  const [command, ...args] = [...prefix, process.execPath, child, dir, JSON.stringify(steps)]
  const done = spawnSync(command!, args, {
    encoding: "utf8",
    timeout: 50_000,
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" }
  })
  const results = done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as StepResult)
  return { results, status: done.status, signal: done.signal, stderr: done.stderr }
}

const contents = (dir: string) => names.map((name) => fs.readFileSync(join(dir, name), "latin1"))
const listing = (dir: string) => fs.readdirSync(dir).sort()

const canTrace = available("faults of the file system under the map files", "strace", "-f", "-o", "/dev/null", "true")
/** A namespace of mounts of its own: root has it, and others by a namespace of users. */
const ownMounts = "if unshare -m true 2>/dev/null; then exec unshare -m \"$@\"; else exec unshare -Urm \"$@\"; fi"
const canMount = available("a map file that is a mount", "sh", "-c", ownMounts, "sh", "true")

/** Fails or kills at the n-th of some system calls, only of those on `path` where it is given. */
const inject = (fault: string, path?: string) => [
  "strace",
  "-f",
  "-qq",
  "-o",
  "/dev/null",
  ...(path === undefined ? [] : ["-P", path]),
  "-e",
  `inject=${fault}`
]

describe("a failed write", () => {
  it.effect("for want of a folder says so and changes no other file", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      fs.mkdirSync(join(dir, "elsewhere"))
      fs.symlinkSync(join(dir, "elsewhere", "pools.cfg"), join(dir, "pools.cfg"))
      run(dir, [first])
      const before = contents(dir)
      fs.renameSync(join(dir, "elsewhere"), join(dir, "gone"))
      const { results } = run(dir, [{ reset: { routes: [route("a.com", 1), route("*.a.com", 1)], servers: [server] } }])
      assert.strictEqual(results[0]?.ok, false)
      assert.match(results[0]?.hint ?? "", /folder does not exist/)
      fs.renameSync(join(dir, "gone"), join(dir, "elsewhere"))
      assert.deepStrictEqual(contents(dir), before)
    }))

  it.effect("for want of room (a file size limit) leaves everything as it was", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      run(dir, [first])
      const before = contents(dir)
      const many: Step = {
        apply: Array.from({ length: 40 }, (_, i): Edit => ({
          kind: "route",
          name: `n${i}.com` as RouteName,
          before: null,
          after: route(`n${i}.com`, 1)
        }))
      }
      // One block: 512 or 1024 bytes, depending on the shell.
      const { results } = run(dir, [first, { apply: [...edits, ...(many as { apply: Array<Edit> }).apply] }, first], [
        "sh",
        "-c",
        "ulimit -f 1; trap \"\" XFSZ; exec \"$@\"",
        "sh"
      ])
      assert.deepStrictEqual(results.map(({ ok }) => ok), [true, false, true])
      assert.match(results[1]?.message ?? "", /EFBIG/)
      assert.deepStrictEqual(contents(dir), before)
      assert.deepStrictEqual(listing(dir), names)
    }))
})

describe.skipIf(!canMount)("a failed write over a file that is a mount", () => {
  it.effect(
    "says to mount the folder, and takes the others back",
    () =>
      Effect.gen(function*() {
        const dir = yield* folder
        run(dir, [first])
        const before = contents(dir)
        const mount = join(dir, "wildcards.map")
        const { results, stderr } = run(
          dir,
          [first, change, first],
          ["sh", "-c", ownMounts, "sh", "sh", "-c", `mount --bind "${mount}" "${mount}" && exec "$@"`, "sh"]
        )
        assert.strictEqual(results.length, 3, stderr)
        assert.strictEqual(results[0]?.ok, true)
        assert.deepStrictEqual(results[0]?.check.map(({ ok }) => ok), [true, false, true])
        assert.strictEqual(results[1]?.ok, false)
        assert.match(results[1]?.hint ?? "", /mount its folder/)
        // What had been renamed was brought back, so that nothing is left to do.
        assert.deepStrictEqual(results[2]?.written, [])
        assert.deepStrictEqual(contents(dir), before)
        assert.deepStrictEqual(listing(dir), names)
      })
  )
})

describe.skipIf(!canTrace)("system call faults", () => {
  it.effect("a folder that cannot be made durable: the former content comes back", () =>
    Effect.gen(function*() {
      const dir = yield* folder
      run(dir, [first])
      const before = contents(dir)
      const later: Step = {
        apply: [{ kind: "route", name: "c.com" as RouteName, before: null, after: route("c.com", 2) }]
      }
      const { results, stderr } = run(dir, [first, change, first, later], inject("fsync:error=EIO:when=1", dir))
      assert.deepStrictEqual(results.map(({ ok }) => ok), [true, false, true, true], stderr)
      assert.match(results[1]?.message ?? "", /EIO/)
      assert.deepStrictEqual(results[2]?.written, [])
      const [domains, pools, wildcards] = contents(dir)
      assert.strictEqual(domains, `${before[0]}c.com pool_2\n`)
      assert.deepStrictEqual([pools, wildcards], before.slice(1))
    }))

  it.effect.each([1, 2, 3])(
    "killed at rename %i: each file is whole, and the next start repairs",
    (when) =>
      Effect.gen(function*() {
        const dir = yield* folder
        run(dir, [first])
        const before = contents(dir)
        const killed = run(dir, [first, change], inject(`rename:signal=KILL:when=${when}`))
        assert.strictEqual(killed.results.length, 1, killed.stderr)
        const between = contents(dir)
        const { results } = run(dir, [afterChange])
        const after = contents(dir)
        between.forEach((content, i) => assert.isTrue(content === before[i] || content === after[i]))
        // A killed rename has not happened or has; what was left over was written now.
        assert.strictEqual(results[0]?.written?.length, between.filter((content, i) => content !== after[i]).length)
        assert.deepStrictEqual(listing(dir), names)
        after.forEach((content, i) => assert.notStrictEqual(content, before[i]))
      })
  )
})
