/**
 * The quadlets: what Podman's generator makes of them, and the very commands that it makes, run. Changed are names, the
 * port and the paths of this machine, and what only systemd can give: a cgroup to split, and a socket to be told by. That
 * systemd starts, restarts and stops them is not tested: no systemd runs where these tests run.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import { withFolderLock } from "../../scripts/debian/FolderLock.ts"
import { haproxyLines } from "../../scripts/haproxy.ts"
import { importFolder } from "../../scripts/image/Base.ts"
import { ask, type Engine } from "../../scripts/image/Podman.ts"
import { makeRootfs } from "../../scripts/image/Rootfs.ts"
import { decodeSettings } from "../../src/Config.ts"
import { freePort } from "../support/GeneratedSite.ts"
import { startOrigin } from "../support/Origin.ts"
import { PlainMcp } from "../support/PlainMcp.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { sshdReason, startSshd } from "../support/Sshd.ts"
import { answers, imageUnderTest, must, podman, startUnit, uniqueName } from "./containers.ts"
import { environmentOf, generate, type Generated, generator, optionsOf } from "./quadlets.ts"

const root = join(import.meta.dirname, "..", "..")
const [beside, remote] = [join(root, "deploy/quadlet"), join(root, "deploy/quadlet/remote")]
const token = "a-token-of-the-quadlets"

describe.skipIf(generator === undefined)("Podman's generator", () => {
  it.each([[beside, 4], [remote, 2]])("takes all of %s", async (folder, units) => {
    const { code, complaints, starts } = await generate(folder)
    assert.deepStrictEqual({ code, complaints }, { code: 0, complaints: [] })
    assert.lengthOf(Object.keys(starts), units)
    const ours = starts["haproxy-mcp.service"]!
    for (const option of ["--read-only", "--security-opt=no-new-privileges", "--secret", "--health-cmd"]) {
      assert.include(ours, option)
    }
    assert.include(ours.join(" "), "--cap-drop all")
    assert.notInclude(ours.join(" "), "--privileged")
    console.log(`quadlets: Podman ${generator!.version}, ${Object.keys(starts).join(", ")}`)
  })

  it("would refuse a key that it does not know", async () => {
    const { code, complaints } = await generate(remote, (copy) => {
      const file = join(copy, "haproxy-mcp.container")
      writeFileSync(file, readFileSync(file, "utf8").replace("ReadOnly=", "ReadOnlyRoot="))
    })
    assert.notStrictEqual(code, 0)
    assert.include(complaints.join("\n"), "ReadOnlyRoot")
  })

  it.effect.each([[beside], [remote]])(
    "%s has settings that we accept as a whole",
    ([folder]) =>
      Effect.gen(function*() {
        const { starts } = yield* Effect.promise(() => generate(folder!))
        const settings = yield* decodeSettings({ env: environmentOf(starts["haproxy-mcp.service"]!) })
        assert.deepStrictEqual(settings.notices, [])
        assert.strictEqual(settings.ssh !== null, folder === remote)
      })
  )
})

/** HAProxy's image as its users get it: a user 99, and `haproxy` in PATH. Ours holds Debian's HAProxy of that line. */
const haproxyImage = (engine: Engine, image: string): Promise<void> =>
  withFolderLock(join(cacheFolder(), "podman", ".haproxy.lock"), 300, async () => {
    if ((await ask(engine, "image", "exists", image)).code === 0) return
    const line = (await haproxyLines()).find(({ line }) => image.endsWith(`:${line}`))
    const rootfs = join(cacheFolder(), "image", `haproxy-${process.pid}`)
    try {
      const users = ["haproxy:x:99:99::/var/lib/haproxy:/bin/false"]
      await makeRootfs({ packages: join(line!.path, "../.."), into: rootfs, users })
      await importFolder(engine, rootfs, image)
    } finally {
      rmSync(rootfs, { recursive: true, force: true })
    }
  })

/** A free port that only a process with the right to bind it may have. */
const privilegedPort = async (): Promise<number> => {
  for (let port = 700; port < 1_000; port++) {
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error("no free port below 1000")
}

/** A folder for a user of the container, gone with the scope. */
const folderOf99 = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-quadlet-"))
    chmodSync(folder, 0o755)
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Podman secrets, gone with the scope: name in the unit → name here. */
const secrets = (engine: Engine, folder: string, contents: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const names: Record<string, string> = {}
      for (const [name, content] of Object.entries(contents)) {
        names[name] = uniqueName(name)
        const file = join(folder, "secret")
        writeFileSync(file, content, { mode: 0o600 })
        await must(engine, "secret", "create", names[name], file)
        rmSync(file)
      }
      return names
    }),
    (names) => Effect.promise(() => ask(engine, "secret", "rm", ...Object.values(names)))
  )

const webStatus = async (port: number, host: string): Promise<string> => {
  const { get } = await import("node:http")
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, headers: { host }, agent: false }, (response) => {
      let body = ""
      response.on("data", (part: Buffer) => body += part.toString())
      response.once("end", () => resolve(`${response.statusCode} ${body}`))
    }).once("error", reject)
  })
}

describe.skipIf(podman === undefined || generator === undefined || process.getuid?.() !== 0)(
  "the commands of the quadlets",
  () => {
    const engine = podman!
    let image = ""
    let local: Generated
    let elsewhere: Generated
    beforeAll(async () => {
      image = await imageUnderTest(engine)
      local = await generate(beside)
      elsewhere = await generate(remote)
      await haproxyImage(engine, local.starts["haproxy.service"]!.find((word) => word.startsWith("docker.io/"))!)
    }, 900_000)

    it.live(
      "start HAProxy and the control plane beside it: the first domain, from nothing",
      () =>
        Effect.gen(function*() {
          const folder = yield* folderOf99
          const [port, mcpPort, https] = [yield* Effect.promise(privilegedPort), yield* freePort, yield* freePort]
          const [ours, haproxy] = [local.starts["haproxy-mcp.service"]!, local.starts["haproxy.service"]!]
          // The walk of docs/operations.md.
          for (const [name, mode] of [["maps", 0o755], ["certs", 0o700]] as const) {
            mkdirSync(join(folder, name), { mode })
            chownSync(join(folder, name), 99, 99)
          }
          const written = yield* Effect.promise(() =>
            runNode(program, [
              "config",
              "--output",
              join(folder, "haproxy.cfg"),
              "--pools",
              join(folder, "maps/pools.cfg")
            ], {
              env: {
                ...environmentOf(ours),
                HAPROXY_BIND: "127.0.0.1",
                HAPROXY_HTTP_PORT: String(port),
                HAPROXY_HTTPS_PORT: String(https)
              }
            })
          )
          assert.strictEqual(written.code, 0, written.stderr)
          for (const name of ["domains.map", "wildcards.map"]) {
            writeFileSync(join(folder, "maps", name), "")
          }
          for (const name of ["domains.map", "wildcards.map", "pools.cfg"]) {
            chownSync(join(folder, "maps", name), 99, 99)
          }

          const changes = {
            "/srv/haproxy": folder,
            "systemd-haproxy-mcp": uniqueName("data"),
            "systemd-haproxy-run": uniqueName("run"),
            "localhost/haproxy-mcp:latest": image,
            ...yield* secrets(engine, folder, { "haproxy-mcp-token": token })
          }
          const unit = { engine, changes, ports: { MCP_PORT: String(mcpPort) } }
          for (const volume of ["haproxy-mcp-volume.service", "haproxy-run-volume.service"]) {
            yield* startUnit({ ...unit, words: local.starts[volume]! })
          }
          // In the wrong order, which does not matter.
          const control = yield* startUnit({ ...unit, words: ours })
          const proxy = yield* startUnit({ ...unit, words: haproxy })
          const url = `http://127.0.0.1:${mcpPort}`
          yield* Effect.promise(() => answers(control!, `${url}/readyz`, 200))

          const origin = yield* startOrigin("the origin")
          const client = new PlainMcp(url, token)
          const args = { domain: "quadlet.example.com", ip: "127.0.0.1", http_port: origin.port }
          yield* Effect.promise(() => client.good("haproxy_add_domain", args))
          assert.strictEqual(yield* Effect.promise(() => webStatus(port, "quadlet.example.com")), "200 the origin")
          assert.include(readFileSync(join(folder, "maps/domains.map"), "utf8"), "quadlet.example.com pool_1")
          const { components } = yield* Effect.promise(() => client.good("haproxy_health")) as Effect.Effect<{
            readonly components: { readonly haproxy: { readonly status: string } }
          }>
          assert.strictEqual(components.haproxy.status, "ok")
          client.close()

          for (const container of [control!, proxy!]) {
            assert.notInclude(yield* Effect.promise(() => container.inspect()), token)
          }
          const checked = yield* Effect.promise(() => control!.exec("/bin/sh", "-c", healthCommandOf(ours)))
          assert.strictEqual(checked.code, 0, checked.stderr)
          const { code, ms } = yield* Effect.promise(() => control!.stop(20))
          assert.strictEqual(code, 0)
          assert.isBelow(ms, 15_000)
          // HAProxy serves on without it.
          assert.strictEqual(yield* Effect.promise(() => webStatus(port, "quadlet.example.com")), "200 the origin")
        }).pipe(Effect.scoped),
      180_000
    )

    it.live.skipIf(sshdReason !== null)(
      "start the control plane for a HAProxy behind sshd, with no more rights than sshd is told to give",
      () =>
        Effect.gen(function*() {
          const folder = yield* folderOf99
          const mcpPort = yield* freePort
          const haproxy = yield* startHaproxy({ pools: 3, slots: 2, poolsFile: true })
          const { site } = haproxy
          // The lines that docs/operations.md puts under `Match User`.
          const conf = readFileSync(join(root, "deploy/ssh/haproxy-mcp.conf"), "utf8").split("\n")
          const sshd = yield* startSshd({
            config: conf.map((line) => line.trim()).filter((line) => /^[A-Z](?!atch )/.test(line))
          })
          const authorized = join(sshd.folder, "authorized_keys")
          writeFileSync(authorized, `restrict,port-forwarding ${readFileSync(authorized, "utf8")}`)

          const words = elsewhere.starts["haproxy-mcp.service"]!
          const changes = {
            "systemd-haproxy-mcp": uniqueName("data"),
            "localhost/haproxy-mcp:latest": image,
            ...yield* secrets(engine, folder, {
              "haproxy-mcp-token": token,
              "haproxy-mcp-ssh-key": readFileSync(sshd.keyFile, "utf8"),
              "haproxy-mcp-known-hosts": readFileSync(sshd.knownHosts, "utf8")
            })
          }
          const ports = {
            MCP_PORT: String(mcpPort),
            HAPROXY_SSH_HOST: "127.0.0.1",
            HAPROXY_SSH_PORT: String(sshd.port),
            HAPROXY_SSH_USER: sshd.user,
            HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
            HAPROXY_MASTER_SOCKET: site.masterSocket,
            HAPROXY_MAP_FILE: site.domainsMap,
            HAPROXY_POOLS_FILE: site.poolsFile,
            HAPROXY_CERT_DIR: site.certDir,
            HAPROXY_REMOTE_DB_FILE: join(site.dir, "remote.db")
          }
          const unit = { engine, changes, ports }
          yield* startUnit({ ...unit, words: elsewhere.starts["haproxy-mcp-volume.service"]! })
          const control = yield* startUnit({
            ...unit,
            words,
            more: ["--env", "HAPROXY_POOL_COUNT=3", "--env", "HAPROXY_MAX_SLOTS=2"]
          })
          const url = `http://127.0.0.1:${mcpPort}`
          yield* Effect.promise(() => answers(control!, `${url}/readyz`, 200))
          const origin = yield* startOrigin("the origin")
          const client = new PlainMcp(url, token)
          const args = { domain: "edge.example.com", ip: "127.0.0.1", http_port: origin.port }
          yield* Effect.promise(() => client.good("haproxy_add_domain", args))
          assert.deepInclude(yield* haproxy.get("edge.example.com"), { status: 200, body: "the origin" })
          assert.include(readFileSync(site.domainsMap, "utf8"), "edge.example.com pool_1")
          // What was acknowledged is there already, whatever becomes of the volume.
          assert.isTrue(existsSync(ports.HAPROXY_REMOTE_DB_FILE))
          client.close()
          const inspected = yield* Effect.promise(() => control!.inspect())
          const logs = yield* Effect.promise(() => control!.logs())
          const key = readFileSync(sshd.keyFile, "utf8").split("\n")[2]!
          for (const secret of [token, key]) {
            assert.notInclude(inspected, secret)
            assert.notInclude(logs, secret)
          }
          const { code } = yield* Effect.promise(() => control!.stop(20))
          assert.strictEqual(code, 0)
        }).pipe(Effect.scoped),
      180_000
    )
  }
)

const healthCommandOf = (words: ReadonlyArray<string>): string => optionsOf(words, "--health-cmd")[0]!
