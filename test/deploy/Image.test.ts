/**
 * The image as it is shipped: built from the Dockerfile by the project's own script, on base images made from Debian
 * packages because no registry is asked, and run by Podman as a service would run it.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { ask } from "../../scripts/image/Podman.ts"
import { run } from "../../scripts/image/Run.ts"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { post } from "../mcp/harness.ts"
import { becomes } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { answers, imageUnderTest, must, podman, runContainer, uniqueName } from "./containers.ts"

const secret = "a-token-that-nobody-may-see"
const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-image-test-"))
const tokenFile = join(folder, "token")
writeFileSync(tokenFile, `${secret}\n`)
// Podman mounts it for any user of the container; the folder keeps other users of this machine out.
chmodSync(tokenFile, 0o444)

let tag = ""
beforeAll(async () => {
  if (podman !== undefined) tag = await imageUnderTest(podman)
}, 900_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A program for Node in the container: what it may not write, what it may, and who its first process is. */
const inside = (forbidden: ReadonlyArray<string>, allowed: string): string => `
  const { readFileSync, writeFileSync } = require("node:fs")
  const refused = ${JSON.stringify(forbidden)}.map((path) => {
    try { writeFileSync(path, ""); return "written" } catch ({ code }) { return code }
  })
  writeFileSync(${JSON.stringify(allowed)}, "")
  const user = require("node:os").userInfo().username
  console.log(JSON.stringify({ refused, user, status: readFileSync("/proc/1/status", "utf8") }))
`

describe.skipIf(podman === undefined)("the image", () => {
  const engine = podman!

  it("has a fixed user, a volume, a health check, labels, and starts serve without a shell", async () => {
    const [{ Config, HealthCheck, Healthcheck, Size }] = JSON.parse(await must(engine, "image", "inspect", tag))
    assert.strictEqual(Config.User, "99:99")
    assert.deepStrictEqual(Config.Entrypoint, ["/usr/local/bin/node", "/usr/lib/haproxy-mcp/haproxy-mcp.js"])
    assert.deepStrictEqual(Config.Cmd, ["serve"])
    assert.strictEqual(Config.StopSignal, "SIGTERM")
    assert.deepStrictEqual(Object.keys(Config.Volumes), ["/var/lib/haproxy-mcp"])
    assert.strictEqual(Config.Labels["org.opencontainers.image.title"], "haproxy-mcp")
    assert.match(Config.Labels["org.opencontainers.image.version"], /^\d+\.\d+\.\d+/)
    const check = HealthCheck ?? Healthcheck ?? Config.Healthcheck
    assert.deepStrictEqual(check.Test, ["CMD", "/usr/local/bin/node", "/usr/lib/haproxy-mcp/healthcheck.js"])
    console.log(`the image: ${(Size / 1e6).toFixed(0)} MB, ${engine.title}`)
  })

  it.live("serves as a user of no rights on a root that is read-only, and stops cleanly", () =>
    Effect.gen(function*() {
      const port = yield* Effect.acquireRelease(
        Effect.promise(() => takePort()),
        (taken) => Effect.sync(() => releasePort(taken))
      )
      const container = yield* runContainer(
        engine,
        uniqueName("serve"),
        "--read-only",
        "--cap-drop",
        "all",
        "--security-opt",
        "no-new-privileges",
        "--tmpfs",
        "/tmp",
        "--volume",
        `${tokenFile}:/run/secrets/token:ro`,
        "--env",
        "MCP_TOKEN_FILE=/run/secrets/token",
        "--env",
        "MCP_HOST=127.0.0.1",
        "--env",
        `MCP_PORT=${port}`,
        "--env",
        "HAPROXY_PORT=1",
        "--env",
        "HAPROXY_MAP_FILE=/var/lib/haproxy-mcp/maps/domains.map",
        tag
      )
      const url = `http://127.0.0.1:${port}`
      yield* Effect.promise(() => answers(container, `${url}/healthz`, 200))

      // No HAProxy is there: degraded, and no reason to restart.
      const ready = yield* Effect.promise(() => fetch(`${url}/readyz`))
      assert.strictEqual(ready.status, 503)
      const { code: health, stderr } = yield* Effect.promise(() =>
        container.exec("/usr/local/bin/node", "/usr/lib/haproxy-mcp/healthcheck.js")
      )
      assert.strictEqual(health, 0, stderr)

      // The code of every module comes with the image, and its user's Node takes it: nothing is compiled at a start.
      const counted = yield* Effect.promise(() =>
        container.exec(
          "/bin/sh",
          "-c",
          "cd /usr/lib/haproxy-mcp && ls main*.js | wc -l && ls compile-cache/*-99/ | wc -l"
        )
      )
      const [modules, compiled] = counted.stdout.trim().split(/\s+/)
      assert.strictEqual(compiled, modules)
      assert.isAbove(Number(modules), 40)
      const started = yield* Effect.promise(() =>
        container.exec("/bin/sh", "-c", "NODE_DEBUG_NATIVE=COMPILE_CACHE haproxy-mcp --version 2>&1")
      )
      assert.match(started.stdout, /was accepted/)
      assert.notMatch(started.stdout, /was not initialized|was rejected|no such file|denied|Cannot/)

      const question = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }
      const refused = yield* Effect.promise(() => post(`${url}/mcp`, question))
      assert.strictEqual(refused.status, 401)
      const listed = yield* Effect.promise(() => post(`${url}/mcp`, question, { authorization: `Bearer ${secret}` }))
      assert.strictEqual(listed.status, 200, listed.text)
      for (const name of defaultNames) assert.include(listed.text, `"name":"${name}"`)

      // What the kernel says of the process, not what was asked for.
      const facts = yield* Effect.promise(() =>
        container.exec("/usr/local/bin/node", "-e", inside(["/usr/x", "/etc/x", "/x"], "/var/lib/haproxy-mcp/x"))
      )
      assert.strictEqual(facts.code, 0, facts.stderr)
      const { refused: readOnly, status, user } = JSON.parse(facts.stdout)
      assert.deepStrictEqual(readOnly, ["EROFS", "EROFS", "EROFS"])
      assert.strictEqual(user, "haproxy-mcp")
      assert.match(status, /^Uid:\t99\t99\t99\t99$/m)
      assert.match(status, /^Gid:\t99\t99\t99\t99$/m)
      assert.match(status, /^CapEff:\t0+$/m)
      assert.match(status, /^CapBnd:\t0+$/m)
      assert.match(status, /^NoNewPrivs:\t1$/m)

      const inspected = yield* Effect.promise(() => container.inspect())
      const logs = yield* Effect.promise(() => container.logs())
      assert.notInclude(inspected, secret)
      assert.notInclude(logs, secret)
      assert.include(logs, "listening for MCP")

      const { code, ms } = yield* Effect.promise(() => container.stop(15))
      assert.strictEqual(code, 0, yield* Effect.promise(() => container.logs()))
      assert.isBelow(ms, 10_000)
    }).pipe(Effect.scoped), 120_000)

  it.live("says what is wrong with its settings and ends with 2", () =>
    Effect.gen(function*() {
      const container = yield* runContainer(engine, uniqueName("wrong"), "--read-only", "--env", "MCP_PORT=none", tag)
      const isOver = async () => ["exited", "stopped"].includes((await container.state()).Status)
      yield* Effect.promise(() => becomes("it ends", isOver, 30_000))
      const state = yield* Effect.promise(() => container.state())
      assert.strictEqual(state.ExitCode, 2)
      assert.include(yield* Effect.promise(() => container.logs()), "MCP_PORT")
    }).pipe(Effect.scoped), 60_000)

  it("holds Node, the bundle and its user, and neither npm nor sources nor packages for development", async () => {
    const name = uniqueName("files")
    await must(engine, "create", "--name", name, tag)
    try {
      const archive = join(folder, "root.tar")
      await must(engine, "export", "--output", archive, name)
      const files = (await run("tar", ["-tf", archive])).stdout.split("\n")
      for (const needed of ["usr/local/bin/node", "usr/lib/haproxy-mcp/main.js", "usr/local/bin/haproxy-mcp"]) {
        assert.include(files, needed)
      }
      const unwanted = files.filter((file) =>
        /node_modules|\.tsx?$|\.map$|npmrc|npm-ca|^build\/|^root\/.|usr\/local\/bin\/np[mx]/.test(file)
      )
      assert.deepStrictEqual(unwanted, [])
    } finally {
      await ask(engine, "rm", "--force", "--volumes", name)
    }
  })
})
