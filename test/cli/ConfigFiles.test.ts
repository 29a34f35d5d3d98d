/** `haproxy-mcp config`: what it prints is judged by the real HAProxy of every line. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { realLines } from "../support/RealHaproxy.ts"

const limit = 60_000

/** A folder with empty maps and without certificates, gone with the scope. */
const folder = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await mkdtemp(join(tmpdir(), "haproxy-mcp-config-"))
    for (const name of ["domains.map", "wildcards.map"]) await writeFile(join(path, name), "")
    await mkdir(join(path, "certs"))
    return path
  }),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const config = (path: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  runNode(program, ["config", ...args], {
    env: { HAPROXY_MAP_FILE: join(path, "domains.map"), HAPROXY_CERT_DIR: join(path, "certs"), ...env },
    limit,
    cwd: path
  })

/** What `haproxy -c` says in the folder of the last file; an empty text when it accepts the files. */
const judged = (binary: string, ...files: ReadonlyArray<string>) =>
  new Promise<string>((resolve) => {
    const options = { cwd: dirname(files.at(-1)!) }
    execFile(binary, ["-c", ...files.flatMap((file) => ["-f", file])], options, (error, stdout, stderr) => {
      resolve(error === null ? "" : stdout + stderr)
    })
  })

describe("config", () => {
  it.live(
    "prints a configuration that every HAProxy line accepts, over TCP or a unix socket, with TLS or without",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* Effect.promise(async () => {
          await writeFile(join(path, "certs.list"), "")
          const variants: ReadonlyArray<ReadonlyArray<string>> = [
            [],
            ["--haproxy-runtime-mode", "unix", "--haproxy-runtime-socket", join(path, "r.sock")],
            ["--haproxy-https", "off", "--mcp-allowed-hosts", "mcp.example.com"],
            ["--haproxy-runtime-cert-dir", "certs", "--mcp-allowed-hosts", "mcp.example.com"],
            ["--haproxy-crt-list-file", join(path, "certs.list"), "--haproxy-https-redirect", "on"],
            ["--haproxy-bind", "127.0.0.1,::1", "--haproxy-http-port", "8081", "--haproxy-pool-count", "3"]
          ]
          for (const [index, args] of variants.entries()) {
            const { code, stderr, stdout } = await config(path, args)
            assert.deepStrictEqual([code, stderr], [0, ""], args.join(" "))
            const file = join(path, `${index}.cfg`)
            await writeFile(file, stdout)
            for (const line of realLines) assert.strictEqual(await judged(line.path, file), "", `${line.line}: ${args}`)
          }
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live(
    "writes haproxy.cfg and the first pools.cfg, which belong together, and nothing over them",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* Effect.promise(async () => {
          const args = ["--output", "new/haproxy.cfg", "--pools", "new/pools.cfg"]
          const first = await config(path, args, { HAPROXY_POOL_COUNT: "3" })
          assert.deepStrictEqual([first.code, first.stdout, first.stderr], [0, "", ""])
          const files = ["new/haproxy.cfg", "new/pools.cfg"].map((name) => join(path, name))
          for (const line of realLines) assert.strictEqual(await judged(line.path, ...files), "", line.line)
          const [cfg, pools] = await Promise.all(files.map((file) => readFile(file, "utf8")))
          assert.include(cfg, files[1])
          assert.match(pools!, /^backend pool_3 /m)

          const again = await config(path, args, { HAPROXY_POOL_COUNT: "3" })
          assert.strictEqual(again.code, 0)
          assert.include(again.stderr, "pools.cfg is there already and kept")
          const other = await config(path, args, { HAPROXY_POOL_COUNT: "4", HAPROXY_HTTP_PORT: "81" })
          assert.strictEqual(other.code, 1)
          assert.include(other.stderr, "is there already and differs")
          assert.deepStrictEqual(await Promise.all(files.map((file) => readFile(file, "utf8"))), [cfg!, pools!])
          assert.deepStrictEqual((await readdir(join(path, "new"))).sort(), ["haproxy.cfg", "pools.cfg"])
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live(
    "makes what HAProxy does not start without, for its owner alone, and touches nothing that is there",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* Effect.promise(async () => {
          const certs = join(path, "tls", "certs")
          const list = join(path, "tls", "crt-list.txt")
          const env = { HAPROXY_CERT_DIR: certs, HAPROXY_CRT_LIST_FILE: list }
          const printed = await config(path, [], env)
          assert.deepStrictEqual([printed.code, printed.stderr], [0, ""])
          assert.include(printed.stdout, `ssl crt-list ${list} strict-sni`)
          assert.isFalse(existsSync(certs))

          const written = await config(path, ["--output", "haproxy.cfg"], env)
          assert.strictEqual(written.code, 0)
          assert.match(written.stderr, /certs is made, empty[^]*crt-list\.txt is made, empty/)
          assert.strictEqual((await stat(certs)).mode & 0o7777, 0o700)
          for (const line of realLines) {
            assert.strictEqual(await judged(line.path, join(path, "haproxy.cfg")), "", line.line)
          }
          await writeFile(list, "# mine\n")
          await chmod(certs, 0o750)
          const again = await config(path, ["--output", "haproxy.cfg"], env)
          assert.deepStrictEqual([again.code, again.stderr], [0, ""])
          assert.strictEqual(await readFile(list, "utf8"), "# mine\n")
          assert.strictEqual((await stat(certs)).mode & 0o7777, 0o750)

          // Where HAProxy sees the list through a mount of the folder, and where there is none of HAProxy's here.
          const mounted = await config(path, [], {
            HAPROXY_CERT_DIR: certs,
            HAPROXY_CRT_LIST_FILE: join(certs, "list.txt"),
            HAPROXY_RUNTIME_CERT_DIR: "/etc/haproxy/certs"
          })
          assert.include(mounted.stdout, "ssl crt-list /etc/haproxy/certs/list.txt strict-sni")
          const elsewhere = { ...env, HAPROXY_CERT_DIR: join(path, "not-here"), HAPROXY_HOST: "192.0.2.7" }
          assert.strictEqual((await config(path, ["--output", "other.cfg"], elsewhere)).code, 0)
          const off = { ...env, HAPROXY_CERT_DIR: join(path, "not-here"), HAPROXY_HTTPS: "off" }
          assert.strictEqual((await config(path, ["--output", "off.cfg"], off)).code, 0)
          assert.isFalse(existsSync(join(path, "not-here")))
          assert.notInclude(await readFile(join(path, "off.cfg"), "utf8"), "ssl")

          await writeFile(join(path, "file"), "")
          const nowhere = { HAPROXY_CERT_DIR: join(path, "file", "certs") }
          const unable = await config(path, ["--output", "unable.cfg"], nowhere)
          assert.strictEqual(unable.code, 0)
          assert.match(unable.stderr, /certs cannot be made here \(E[A-Z]+\): HAProxy does not start/)
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live("says what it cannot know or write", () =>
    Effect.gen(function*() {
      const path = yield* folder
      yield* Effect.promise(async () => {
        const named = await config(path, [], { HAPROXY_HOST: "haproxy.internal" })
        assert.strictEqual(named.code, 0)
        assert.include(named.stderr, "for HAPROXY_HOST haproxy.internal change `stats socket`")
        const quoted = await config(path, [], { HAPROXY_MAP_FILE: "/maps/do\"mains.map" })
        assert.strictEqual(quoted.code, 2)
        assert.include(quoted.stderr, "cannot hold the path")
        // HAProxy would load it, and `serve` could never name it.
        const spaced = await config(path, [], { HAPROXY_MAP_FILE: "/my maps/domains.map" })
        assert.strictEqual(spaced.code, 2)
        assert.include(spaced.stderr, "The Runtime API cannot name the map \"/my maps/domains.map\"")
        assert.include(spaced.stderr, "set HAPROXY_RUNTIME_MAP_FILE")
        const renamed = await config(path, [], {
          HAPROXY_MAP_FILE: "/my maps/domains.map",
          HAPROXY_RUNTIME_MAP_FILE: "conf/domains.map"
        })
        assert.strictEqual(renamed.code, 0, renamed.stderr)
        assert.include(renamed.stdout, "map_str(conf/wildcards.map)")
        const certs = await config(path, [], { HAPROXY_CERT_DIR: "/my certs" })
        assert.strictEqual(certs.code, 2)
        assert.include(certs.stderr, "The Runtime API cannot name the folder of certificates \"/my certs\"")
        assert.include(certs.stderr, "set HAPROXY_RUNTIME_CERT_DIR")
        await writeFile(join(path, "file"), "")
        const nowhere = await config(path, ["--output", "file/haproxy.cfg"])
        assert.strictEqual(nowhere.code, 1)
        assert.match(nowhere.stderr, /haproxy\.cfg cannot be written \(E[A-Z]+\)/)
      })
    }).pipe(Effect.scoped), limit)
})
