/**
 * The unit: what systemd says of it, and its command under the restrictions that can be had without systemd: its user,
 * no capability, no new privileges, and a file system that is read-only but for the folders that the unit names. The
 * filter of system calls, the address families and the start by systemd itself are not tested: no systemd runs here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { available } from "../support/Available.ts"
import { freePort } from "../support/GeneratedSite.ts"
import { program } from "../support/Program.ts"
import { root, startServer } from "../support/ServerProcess.ts"

const folder = join(root, "deploy/systemd")
const unit = readFileSync(join(folder, "haproxy-mcp.service"), "utf8")
const valuesOf = (key: string): ReadonlyArray<string> =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map((match) => match[1]!)

const analyzes = available("the unit by systemd-analyze", "systemd-analyze", "--version")
const isolates = available(
  "the unit's command under its restrictions",
  "unshare",
  "--mount",
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "--no-new-privs",
  "--bounding-set=-all",
  "true"
)

/** The score of `systemd-analyze security`, tenths: 0 is locked, 100 is open. 18 when this was written. */
const worstScore = 20

describe("the unit", () => {
  it("takes away what the control plane does not need, and names what it writes", () => {
    const expected: Readonly<Record<string, string>> = {
      ProtectSystem: "strict",
      NoNewPrivileges: "true",
      PrivateTmp: "true",
      CapabilityBoundingSet: "",
      SystemCallFilter: "@system-service",
      RestrictAddressFamilies: "AF_UNIX AF_INET AF_INET6",
      StateDirectory: "haproxy-mcp",
      RestartPreventExitStatus: "2"
    }
    for (const [key, value] of Object.entries(expected)) assert.deepStrictEqual(valuesOf(key), [value], key)
    // V8 makes machine code at run time.
    assert.deepStrictEqual(valuesOf("MemoryDenyWriteExecute"), [])
  })

  it.skipIf(!analyzes)("is taken by systemd, with its drop-in, and exposes little", () => {
    const work = mkdtempSync(join(tmpdir(), "haproxy-mcp-units-"))
    try {
      cpSync(folder, work, { recursive: true })
      const file = join(work, "haproxy-mcp.service")
      const complaints = () => spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" }).stderr.trim()
      assert.strictEqual(complaints(), "")
      const args = ["security", "--offline=true", `--threshold=${worstScore}`, "--no-pager", file]
      const said = execFileSync("systemd-analyze", args, { encoding: "utf8" })
      // A key that it does not know is only a complaint, also in the drop-in.
      appendFileSync(`${file}.d/remote.conf`, "LoadCredentials=id\n")
      assert.include(complaints(), "LoadCredentials")
      console.log(said.trim().split("\n").at(-1))
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })

  it.live.skipIf(!isolates || process.getuid?.() !== 0)(
    "runs its command with these restrictions",
    () =>
      Effect.gen(function*() {
        const work = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-mcp-unit-"))),
          (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
        )
        chmodSync(work, 0o755)
        // Node and the bundle, where a user of no rights can read them.
        copyFileSync(process.execPath, join(work, "node"))
        chmodSync(join(work, "node"), 0o755)
        cpSync(join(program, ".."), join(work, "program"), { recursive: true })
        for (const name of ["state", "maps", "certs"]) {
          mkdirSync(join(work, name), { mode: 0o700 })
          chownSync(join(work, name), 65_534, 65_534)
        }
        const port = yield* freePort
        const writable = [join(work, "state"), join(work, "maps"), join(work, "certs")]
        const sandbox = [
          "mount --make-rprivate /",
          ...writable.map((path) => `mount --bind ${path} ${path}`),
          "mount -o remount,bind,ro /",
          "mount -t tmpfs -o mode=1777 tmpfs /var/tmp",
          "exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- \"$@\""
        ].join(" && ")
        const server = yield* startServer({
          env: {
            MCP_HOST: "127.0.0.1",
            MCP_PORT: String(port),
            MCP_TOKEN: "a-token-of-the-unit",
            HAPROXY_PORT: "1",
            HAPROXY_MAP_FILE: join(work, "maps/domains.map"),
            HAPROXY_CERT_DIR: join(work, "certs"),
            HAPROXY_DB_FILE: join(work, "state/haproxy_mcp.db"),
            XDG_CACHE_HOME: join(work, "state/cache")
          },
          command: [
            "unshare",
            "--mount",
            "sh",
            "-c",
            sandbox,
            "sh",
            join(work, "node"),
            join(work, "program/haproxy-mcp.js"),
            "serve"
          ],
          cwd: "/"
        })
        assert.strictEqual(yield* Effect.promise(() => server.probe("/healthz")), 200)
        const status = readFileSync(`/proc/${server.pid}/status`, "utf8")
        assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m)
        for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd"]) {
          assert.match(status, new RegExp(`^${set}:\t0+$`, "m"))
        }
        assert.match(status, /^NoNewPrivs:\t1$/m)
        assert.match(readFileSync(`/proc/${server.pid}/mountinfo`, "utf8"), / \/ ro[, ]/)
        assert.isTrue(existsSync(join(work, "state/haproxy_mcp.db")))
        const { code } = yield* Effect.promise(() => server.stop())
        assert.strictEqual(code, 0)
      }).pipe(Effect.scoped),
    60_000
  )
})
