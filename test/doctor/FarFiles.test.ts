/**
 * What the doctor says of HAProxy's files when they are on another host: looked at over SFTP from a real sshd, beside a
 * real HAProxy whose Runtime API is reached in the same way. Both hosts are this machine, so the same paths could be read
 * without SSH: when the connection is down nothing must be known of them.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { examine } from "../../src/doctor/Doctor.ts"
import { type Finding, ok, type Report } from "../../src/doctor/Finding.ts"
import { lookThere } from "../../src/doctor/HaproxyDisk.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { type Site, startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf } from "../support/Settings.ts"
import { type Sshd, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd } from "../support/SshLink.ts"

const limit = 60_000

const authority = new FastAuthority("Far doctor's CA")

const about = ({ findings }: Report, ...areas: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  findings.filter(({ area }) => areas.includes(area))

const one = (report: Report, name: string): Finding => {
  const found = report.findings.filter((finding) => finding.name === name && finding.area !== "machine")
  assert.lengthOf(found, 1, `${name}: ${JSON.stringify(report.findings, null, 2)}`)
  return found[0]!
}

describe.skipIf(sshdReason !== null)("the doctor, of files on HAProxy's host", () => {
  let sshd: Sshd
  let end = async () => {}
  beforeAll(async () => {
    const started = await openSshd()
    sshd = started.sshd
    end = started.end
  })
  afterAll(() => end())

  const envOf = (site: Site): Record<string, string> => {
    const { HAPROXY_HOST: _host, HAPROXY_PORT: _port, ...env } = settingsOf(site, { pools: 4, slots: 3 })
    return {
      ...env,
      HAPROXY_SSH_HOST: "127.0.0.1",
      HAPROXY_SSH_PORT: String(sshd.port),
      HAPROXY_SSH_KEY_FILE: sshd.keyFile,
      HAPROXY_SSH_KNOWN_HOSTS: sshd.knownHosts,
      HAPROXY_REMOTE_DB_FILE: join(sshd.folder, "state.db"),
      HAPROXY_RUNTIME_MODE: "ssh",
      HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
      HAPROXY_CERT_DIR: site.certDir,
      PATH: site.dir
    }
  }

  it.live("finds them well, and says where they are", () =>
    Effect.gen(function*() {
      const { site } = yield* startHaproxy({
        tls: true,
        certificates: { "shop.test.pem": authority.issue(["shop.test"]).text },
        domains: ["shop.test pool_1"]
      })
      const report = yield* examine({ env: envOf(site) })
      assert.deepStrictEqual(about(report, "files", "certificates").filter(({ level }) => level !== "ok"), [])
      assert.strictEqual(one(report, "domains.map").found, `127.0.0.1: ${site.domainsMap}, mode 0644`)
      assert.strictEqual(one(report, "Certificates").found, `127.0.0.1: 1 in ${site.certDir}`)
      assert.include(one(report, "Validity").found, "shop.test ends first")
      assert.strictEqual(one(report, "Map files").found, "as HAProxy has them: 1 and 0 entries")
      // Of addresses there, this machine's sockets say nothing.
      assert.include(one(report, "Exposure").found, "cannot be seen from here")
    }).pipe(Effect.scoped), limit)

  it.live("finds what is wrong with them, and names the host to mend it on", () =>
    Effect.gen(function*() {
      const { site } = yield* startHaproxy({
        tls: true,
        certificates: { "shop.test.pem": authority.issue(["shop.test"]).text },
        domains: ["shop.test pool_1"]
      })
      writeFileSync(join(site.certDir, "bad.pem"), "no certificate\n", { mode: 0o644 })
      writeFileSync(site.domainsMap, "")
      chmodSync(site.domainsMap, 0o646)
      rmSync(site.wildcardsMap)
      const report = yield* examine({ env: envOf(site) })
      assert.deepInclude(one(report, "domains.map"), {
        level: "error",
        found: `127.0.0.1: ${site.domainsMap} has mode 0646: every user may send sites elsewhere`,
        mend: `On 127.0.0.1: \`chmod o-w ${site.domainsMap}\``
      })
      assert.include(one(report, "wildcards.map").found, `127.0.0.1: ${site.wildcardsMap} is not there yet`)
      assert.include(one(report, "Certificate files").found, "bad.pem")
      assert.match(one(report, "Certificates").found, /^127\.0\.0\.1: every user may read bad\.pem/)
      assert.include(one(report, "Map files").found, "has 0, HAProxy 1")
      const poolsFile = join(dirname(site.domainsMap), "pools.cfg")
      renameSync(site.certDir, `${site.certDir}.away`)
      mkdirSync(poolsFile)
      const other = yield* examine({ env: { ...envOf(site), HAPROXY_POOLS_FILE: poolsFile } })
      assert.deepInclude(one(other, "Certificates"), { level: "error" })
      assert.include(one(other, "Certificates").found, `127.0.0.1: ${site.certDir} cannot be read (ENOENT)`)
      assert.include(one(other, "pools.cfg").found, "is not a regular file")
    }).pipe(Effect.scoped), limit)

  it.live(
    "says that it did not look while the host is not reached, and calls nothing missing",
    () =>
      Effect.gen(function*() {
        const { site } = yield* startHaproxy()
        // Errors both, if anybody looked.
        chmodSync(site.domainsMap, 0o646)
        rmSync(site.wildcardsMap)
        yield* Effect.promise(() => sshd.kill())
        const report = yield* examine({ env: envOf(site) })
        yield* Effect.promise(() => sshd.start())
        const found = about(report, "files", "certificates").filter(({ level }) => level !== "ok")
        assert.deepStrictEqual(
          found.map(({ found, level, name }) => [name, level, found]),
          ["Certificates", "HAProxy's files"].map((
            name
          ) => [name, "warning", "not looked at: 127.0.0.1 is not reached"])
        )
        assert.include(one(report, "Runtime API").mend!, "SSH")
        assert.notInclude(JSON.stringify(report), site.wildcardsMap)
      }).pipe(Effect.scoped),
    limit
  )

  it("says the same when the connection is lost while it looks", async () => {
    const link = await openSsh(sshd.options)
    try {
      const there = { disk: link.ssh.disk, user: "somebody", role: "", host: "edge", ssh: link.ssh }
      const found = await Effect.runPromise(lookThere(there, "Files", async () => {
        assert.isAbove(sshd.killSftpServers(), 0)
        return [ok("Files", String(await link.ssh.disk.stat(sshd.folder)))]
      }))
      assert.lengthOf(found, 1)
      assert.deepInclude(found[0], { name: "Files", level: "warning" })
      assert.match(found[0]!.found, /^not looked at: HAProxy's host .* cannot be used/)
    } finally {
      await link.end()
    }
  })
})
