/** acme.sh on another host, over a real sshd: what is told of it, what is missing there, and whose settings lead there. */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Acme, look } from "../../../src/acme/Acme.ts"
import { Settings } from "../../../src/Config.ts"
import * as ControlPlane from "../../../src/ControlPlane.ts"
import { becomes } from "../../support/Poll.ts"
import { sshdReason } from "../../support/Sshd.ts"
import { failure, openSite, type Site, withAcme } from "./FarHome.ts"

// On a busy machine each start of Node takes seconds.
vi.setConfig({ testTimeout: 120_000 })

describe.skipIf(sshdReason !== null)("acme.sh over SSH", () => {
  let site: Site
  beforeAll(async () => {
    site = await openSite()
  })
  afterAll(() => site.end())

  it("what is missing or unfit there is said with the host's name", () =>
    withAcme(async ({ home, options }) => {
      const refusals = [
        [{ acmeCommand: ["no-such-acme"] }, "CONFIG_INVALID", /ACME_COMMAND names no program that can be run/],
        [{ acmeCommand: ["/bin/true"] }, "CONFIG_INVALID", /does not answer --version/],
        [{ acmeProfile: "short" }, "CONFIG_INVALID", /cannot ask for a profile/],
        [{ acmeCaBundle: "/no/bundle" }, "CONFIG_INVALID", /There is no \/no\/bundle/],
        [
          { acmeHome: "/proc/none", acmeDns: "dns_x" },
          "STORAGE_FAILED",
          /Cannot make a folder for a run in \/proc\/none/
        ]
      ] as const
      for (const [changes, code, message] of refusals) {
        const failed = await failure({ ...options, ...changes }, site.host)
        assert.deepStrictEqual(
          [failed.code, failed.message.startsWith(`On ${site.host.name}: `)],
          [code, true],
          failed.message
        )
        assert.match(failed.message, message)
      }
      chmodSync(options.acmeCredentialsFile, 0o644)
      assert.match((await failure(options, site.host)).message, /may be read by others \(mode 0644\)/)
      rmSync(options.acmeCredentialsFile)
      assert.match(
        (await failure(options, site.host)).message,
        /dns_cf has no credentials/,
        "not from this process's environment"
      )
      mkdirSync(options.acmeCredentialsFile)
      assert.match((await failure(options, site.host)).message, /is not a regular file/)
      assert.isFalse(existsSync(join(home, "ca")), "nothing was tried")
    }))

  it("a program that is too old is refused; its state is told with where it was looked for", () =>
    withAcme(async ({ home, options }) => {
      const old = await failure(options, site.host)
      assert.match(old.message, /^On .*: acme\.sh 3\.0\.5 is too old/)
      mkdirSync(join(home, "saved.test_ecc"))
      writeFileSync(join(home, "saved.test_ecc/saved.test.conf"), "Le_ReloadCmd='canary'\n")
      const { problem, program, warnings } = await Effect.runPromise(look(options, site.host))
      assert.isNull(program)
      assert.include(problem!, old.message)
      assert.match(warnings.join(), /saved reload commands, hooks or copies for saved\.test;/)
      assert.notInclude(warnings.join(), "canary")
    }, "3.0.5"))

  it("all in place: the state is that of the other host, also below ~", () =>
    withAcme(async ({ home, options }) => {
      const there = { path: options.acmeCommand![0]!, version: "3.1.1" }
      assert.deepStrictEqual(await Effect.runPromise(look(options, site.host)), {
        program: there,
        problem: null,
        warnings: []
      })
      const up = "../".repeat(10)
      const fromHome = (path: string) => `~/${up}${path.slice(1)}`
      const state = await Effect.runPromise(look({
        ...options,
        acmeHome: fromHome(home),
        acmeCredentialsFile: fromHome(options.acmeCredentialsFile)
      }, site.host))
      assert.deepStrictEqual(state, { program: there, problem: null, warnings: [] })
    }))

  it("what another control plane has left is swept at the start", () =>
    withAcme(async ({ home, options }) => {
      const left = join(home, "haproxy-mcp-runs", "0123456789abcdef-ssh")
      mkdirSync(left, { recursive: true })
      writeFileSync(join(left, "far.test.key"), "key")
      const then = new Date(Date.now() - 300_000)
      utimesSync(left, then, then)
      const swept = Effect.promise(() => becomes("it is gone", () => !existsSync(left)))
      await Effect.runPromise(Effect.andThen(Acme, swept).pipe(Effect.provide(Acme.layer(options, site.host))))
    }))

  it("a control plane whose settings say so has it there", () =>
    withAcme(async ({ acme, options }) => {
      const own = mkdtempSync(join(tmpdir(), "haproxy-mcp-far-own-"))
      const env = {
        ...acme.env,
        ACME_WHERE: "remote",
        // Here this is another folder: only over there is it where the program lies.
        ACME_HOME: "~/acme-link",
        HAPROXY_SSH_HOST: "127.0.0.1",
        HAPROXY_SSH_PORT: String(site.sshd.port),
        HAPROXY_SSH_KEY_FILE: site.sshd.keyFile,
        HAPROXY_SSH_KNOWN_HOSTS: site.sshd.knownHosts,
        HAPROXY_MAP_FILE: join(own, "domains.map"),
        HAPROXY_DB_FILE: join(own, "state.db"),
        HAPROXY_PORT: "1"
      }
      symlinkSync(options.acmeHome, join(site.sshd.folder, "acme-link"))
      try {
        const issued = await Effect.runPromise(
          Effect.flatMap(Acme, (service) => service.issue(["plane.test"], () => Effect.void)).pipe(
            Effect.provide(Layer.provide(ControlPlane.layer, Settings.layer({ env }))),
            Effect.provide(Logger.layer([]))
          )
        )
        assert.include(issued.chain, "BEGIN CERTIFICATE")
        assert.include(acme.runs().at(-1)!.join(" "), `--home ${site.sshd.folder}/acme-link `)
      } finally {
        rmSync(own, { recursive: true, force: true })
      }
    }))

  it("an SSH user that may only move files is told so", async () => {
    const limited = await openSite({ config: ["ForceCommand internal-sftp"] })
    try {
      await withAcme(async ({ options }) => {
        const failed = await failure(options, limited.host)
        assert.deepStrictEqual([failed.code, failed.field], ["CONFIG_INVALID", "ACME_WHERE"])
        assert.include(failed.hint, "ACME_WHERE=local")
      })
    } finally {
      await limited.end()
    }
  })
})
