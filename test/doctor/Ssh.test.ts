/** What the doctor says of HAProxy's host over SSH. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { decodeSettings, type SettingsShape } from "../../src/Config.ts"
import { examine } from "../../src/doctor/Doctor.ts"
import { run } from "../../src/doctor/Finding.ts"
import { checks } from "../../src/doctor/Ssh.ts"
import { type Sshd, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"
import { placeAcme } from "../support/StandInAcme.ts"

describe.skipIf(sshdReason !== null)("the doctor, of a host over SSH", () => {
  let sshd: Sshd
  let link: SshLink
  let end = async () => {}
  let env: Record<string, string> = {}
  let settings: SettingsShape
  beforeAll(async () => {
    const started = await openSshd()
    sshd = started.sshd
    link = await openSsh(sshd.options)
    end = async () => {
      await link.end()
      await started.end()
    }
    for (const folder of ["conf", "db"]) mkdirSync(join(sshd.folder, folder))
    env = {
      HAPROXY_SSH_HOST: "127.0.0.1",
      HAPROXY_SSH_PORT: String(sshd.port),
      HAPROXY_SSH_KEY_FILE: sshd.keyFile,
      HAPROXY_SSH_KNOWN_HOSTS: sshd.knownHosts,
      HAPROXY_MAP_FILE: join(sshd.folder, "conf", "domains.map"),
      HAPROXY_DB_FILE: join(sshd.folder, "local.db"),
      HAPROXY_REMOTE_DB_FILE: join(sshd.folder, "db", "state.db"),
      HAPROXY_PORT: "1"
    }
    settings = Effect.runSync(decodeSettings({ env }))
  })
  afterAll(() => end())
  const findings = async (now?: () => number) =>
    (await Promise.all(checks(settings, link.ssh, now).map((check) => Effect.runPromise(run(check))))).flat()

  it("finds it well, and leaves nothing there", async () => {
    const found = await findings()
    assert.deepStrictEqual(found.map(({ level, name }) => `${name}: ${level}`), [
      "SSH: ok",
      "Remote folder: ok",
      "Remote folder: ok",
      "Remote clock: ok"
    ])
    assert.deepStrictEqual(readdirSync(join(sshd.folder, "conf")), [])
  })

  it("tells a clock that is off, either way", async () => {
    const ahead = (await findings(() => Date.now() - 3_600_000)).at(-1)!
    assert.deepInclude(ahead, { name: "Remote clock", level: "warning" })
    assert.match(ahead.found, /is 3[56]\d\d s ahead/)
    assert.match((await findings(() => Date.now() + 3_600_000)).at(-1)!.found, /is 3[56]\d\d s behind/)
  })

  it("tells a folder that is not there, with its setting", async () => {
    rmSync(join(sshd.folder, "db"), { recursive: true })
    const wrong = (await findings()).filter(({ level }) => level === "error")
    mkdirSync(join(sshd.folder, "db"))
    assert.lengthOf(wrong, 1)
    assert.include(wrong[0]!.found, "db cannot be written: ENOENT")
    assert.include(wrong[0]!.mend!, "HAPROXY_REMOTE_DB_FILE")
  })

  it("tells a key that nobody else may know of, as a whole run does", async () => {
    const report = await Effect.runPromise(examine({ env: { ...env, HAPROXY_SSH_KEY_FILE: sshd.newKey("stranger") } }))
    const [found] = report.findings.filter(({ name }) => name === "SSH")
    assert.deepInclude(found, { area: "machine", level: "error" })
    assert.include(found!.found, "does not let")
    const well = await Effect.runPromise(examine({ env }))
    assert.deepStrictEqual(well.findings.filter(({ name }) => name === "SSH").map(({ level }) => level), ["ok"])
  })

  it("looks for acme.sh there when it runs there, and says so", async () => {
    const acme = placeAcme(sshd.folder)
    const acmeOf = async (changes: Record<string, string>) => {
      const report = await Effect.runPromise(examine({ env: { ...env, ...acme.env, ...changes } }))
      return report.findings.find(({ name }) => name === "acme.sh")!
    }
    const where = `on ${sshd.user}@127.0.0.1:${sshd.port}`
    const well = await acmeOf({ ACME_WHERE: "remote" })
    assert.deepInclude(well, { area: "certificates", level: "ok" })
    assert.include(well.found, `3.1.1 (${acme.env["ACME_COMMAND"]} ${where}), CA `)
    const missing = await acmeOf({ ACME_WHERE: "remote", ACME_COMMAND: "/no/acme.sh" })
    assert.strictEqual(missing.level, "error")
    assert.match(missing.found, new RegExp(`: O${where.slice(1)}: ACME_COMMAND names no program`))
    assert.notInclude((await acmeOf({ ACME_WHERE: "local" })).found, where)
  })

  it("says nothing where HAProxy's files are here", () => {
    assert.deepStrictEqual(checks(Effect.runSync(decodeSettings({ env: {} })), null), [])
  })
})
