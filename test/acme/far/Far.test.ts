/**
 * acme.sh on another host, over a real sshd, with a stand-in for acme.sh: what it may see, how a run ends in every way
 * in which it can, and that nothing of it stays there.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Acme, type AcmeOptions, look } from "../../../src/acme/Acme.ts"
import { mark } from "../../../src/acme/RunFolder.ts"
import { Settings } from "../../../src/Config.ts"
import * as ControlPlane from "../../../src/ControlPlane.ts"
import type { ControlError } from "../../../src/domain/Errors.ts"
import type { FarHost } from "../../../src/domain/FarHost.ts"
import { farHost } from "../../../src/HostAccess.ts"
import { commandLines } from "../../support/CommandLines.ts"
import { becomes } from "../../support/Poll.ts"
import { startCommand } from "../../support/Process.ts"
import { type Sshd, sshdReason } from "../../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../../support/SshLink.ts"
import { placeAcme, type StandInAcme } from "../../support/StandInAcme.ts"

// On a busy machine each start of Node takes seconds.
vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, "..", "..", "..")

const usual = {
  acmeEmail: null,
  acmeEabKid: null,
  acmeEabHmacKey: null,
  acmeDns: "dns_cf",
  acmeKeyType: "ec-256",
  acmeProfile: null,
  acmeCaBundle: null,
  acmeTimeout: 60_000,
  // What is in this process's environment counts for nothing there.
  env: { PATH: "/nowhere", CF_Key: "canary-of-here", HOME: "/nowhere" }
}

describe.skipIf(sshdReason !== null)("acme.sh over SSH", () => {
  let sshd: Sshd
  let link: SshLink
  let host: FarHost
  let end = async () => {}
  beforeAll(async () => {
    const started = await openSshd()
    sshd = started.sshd
    link = await openSsh(sshd.options)
    host = farHost(link.ssh, sshd.options)
    end = async () => {
      await link.end()
      await started.end()
    }
  })
  afterAll(() => end())

  /** A far home with the stand-in. `open` runs on it. */
  const withAcme = async (
    work: (far: {
      readonly acme: StandInAcme
      readonly home: string
      readonly options: AcmeOptions
      /** Processes and folders of runs. */
      readonly left: () => readonly [ReadonlyArray<string>, ReadonlyArray<string>]
      readonly nothingIsLeft: () => Promise<void>
    }) => Promise<void>,
    version?: string
  ): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-far-"))
    const acme = placeAcme(folder, version)
    const home = acme.options.acmeHome!
    const left = () => {
      const runs = join(home, "haproxy-mcp-runs")
      const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${mark}=${home}/`)
        } catch {
          return false
        }
      })
      return [processes, existsSync(runs) ? readdirSync(runs) : []] as const
    }
    try {
      await work({
        acme,
        home,
        options: { ...usual, ...(acme.options as Required<AcmeOptions>), env: usual.env },
        left,
        nothingIsLeft: () =>
          becomes("nothing of a run is left there", () => left().every((found) => found.length === 0), 15_000)
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  const issuing = (options: AcmeOptions, names: ReadonlyArray<string> = ["far.test"], over = host) =>
    Effect.flatMap(Acme, (acme) => acme.issue(names, () => Effect.void)).pipe(Effect.provide(Acme.layer(options, over)))

  const failure = (options: AcmeOptions, over = host) =>
    Effect.runPromise(Effect.flip(issuing(options, ["far.test"], over))) as Promise<ControlError>

  /** Puts runs on hold from now on; `waits` for so many that began after this, `release` lets them go on. */
  const held = (acme: StandInAcme, home: string) => {
    const file = join(home, "go-on")
    const issues = () => acme.runs().filter((args) => args.includes("--issue")).length
    const before = issues()
    acme.plan({ waitFor: file })
    return {
      begun: () => issues() - before,
      waits: (runs = 1) => becomes("acme.sh waits", () => issues() - before >= runs, 50_000),
      release: () => writeFileSync(file, "")
    }
  }

  it("gives what acme.sh gave; the account stays there; no secret is in an argument list; nothing is left", () =>
    withAcme(async ({ acme, home, options, left, nothingIsLeft }) => {
      const seen = join(home, "seen-environment")
      const wrapper = join(home, "wrapper.sh")
      writeFileSync(wrapper, `#!/bin/sh\nenv >>'${seen}'\nexec '${options.acmeCommand![0]}' "$@"\n`, { mode: 0o755 })
      writeFileSync(join(home, "account.conf"), "SAVED_CF_Zone_ID='canary-saved'\nLOG_FILE='/x'\n")
      writeFileSync(join(home, "dnsapi/dns_cf.sh"), "CF_Token CF_Zone_ID CF_Key", { mode: 0o700 })
      const hmac = "canary-hmac-key"
      const { release, waits } = held(acme, home)
      const heard: Array<number> = []
      const running = Effect.runPromise(
        Effect.flatMap(
          Acme,
          (service) => service.issue(["far.test", "*.far.test"], (done) => Effect.sync(() => heard.push(done)))
        ).pipe(
          Effect.provide(Acme.layer({
            ...options,
            acmeCommand: [wrapper],
            acmeEabKid: "kid",
            acmeEabHmacKey: Redacted.make(hmac)
          }, host))
        )
      )
      await waits()
      for (const secret of [acme.secret, hmac, "canary-saved", "canary-of-here"]) {
        assert.deepStrictEqual(commandLines().filter((line) => line.includes(secret)), [])
      }
      assert.lengthOf(left()[1], 1)
      assert.isAbove(heard.length, 0, "its words come while it runs")
      const [run] = left()[1]
      const conf = readFileSync(join(home, "haproxy-mcp-runs", run!, "account.conf"), "utf8")
      assert.include(conf, "SAVED_CF_Zone_ID='canary-saved'")
      assert.notInclude(conf, "LOG_FILE")
      release()
      const issued = await running
      const [own] = issued.chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!
      const certificate = new X509Certificate(own!)
      assert.strictEqual(certificate.subjectAltName, "DNS:far.test, DNS:*.far.test")
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(Redacted.value(issued.key))))
      const environment = readFileSync(seen, "utf8")
      assert.include(environment, `CF_Token=${acme.secret}\n`)
      assert.include(environment, `CA_HOME=${home}/ca\n`)
      assert.notMatch(environment, /canary-of-here|SSH_|\/nowhere/)
      const account = join(home, "ca/127.0.0.1/directory")
      assert.isTrue(existsSync(join(account, "account.key")))
      await nothingIsLeft()
    }))

  it("a connection that is lost in the middle is said at once, ends the run there, and the next issue works", () =>
    withAcme(async ({ acme, home, options, nothingIsLeft, left }) => {
      const { release, waits } = held(acme, home)
      const running = failure(options)
      await waits()
      await becomes("its watchers are there", () => left()[0].length > 2)
      // sshd alone: what it has started must end by itself.
      for (const pid of sshd.processes()) {
        try {
          if (readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("sshd")) process.kill(pid, "SIGKILL")
        } catch {
          // A small program of a run that has ended meanwhile.
        }
      }
      const failed = await running
      assert.deepStrictEqual([failed.code, failed.retryable], ["REMOTE_UNREACHABLE", true])
      await nothingIsLeft()
      assert.strictEqual((await failure(options)).code, "REMOTE_UNREACHABLE", "while it is down")
      const { problem } = await Effect.runPromise(look(options, host))
      assert.match(problem!, /^HAProxy's host 127\.0\.0\.1:\d+ cannot be used/)
      await sshd.restart()
      await Effect.runPromise(link.ssh.retry)
      await link.until("Up")
      release()
      assert.include((await Effect.runPromise(issuing(options))).chain, "BEGIN CERTIFICATE")
      await nothingIsLeft()
    }))

  it("a host that says nothing any more is given up, and clears up when it is back", () =>
    withAcme(async ({ acme, home, options, nothingIsLeft }) => {
      const impatient = await openSsh({ ...sshd.options, timeout: 1_500, keepalive: 500 })
      try {
        const { waits } = held(acme, home)
        const running = failure(options, farHost(impatient.ssh, sshd.options))
        await waits()
        sshd.pause()
        const failed = await running
        assert.deepStrictEqual([failed.code, failed.retryable], ["REMOTE_UNREACHABLE", true])
      } finally {
        sshd.resume()
        await impatient.end()
      }
      await nothingIsLeft()
    }))

  it("a control plane that is killed leaves nothing there", () =>
    withAcme(async ({ acme, home, options, nothingIsLeft }) => {
      const { waits } = held(acme, home)
      const source = `
        import * as Context from "effect/Context"
        import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        import { Acme } from "${root}/src/acme/Acme.ts"
        import { farHost } from "${root}/src/HostAccess.ts"
        import { Ssh } from "${root}/src/remote/Ssh.ts"
        const options = ${JSON.stringify({ ...options, env: {} })}
        const ssh = ${JSON.stringify({ ...sshd.options, firstWait: 30_000 })}
        await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
          const context = yield* Layer.build(Ssh.layer(ssh))
          const acme = Context.get(yield* Layer.build(Acme.layer(options, farHost(Context.get(context, Ssh), ssh))), Acme)
          yield* acme.issue(["killed.test"], () => Effect.void)
        })))
      `
      const victim = startCommand(process.execPath, ["--input-type=module", "-e", source], { cwd: root })
      await waits()
      victim.signal("SIGKILL")
      await victim.ended
      await nothingIsLeft()
    }))

  it("its time limit and an interruption end it, with all that it started", () =>
    withAcme(async ({ acme, home, options, left, nothingIsLeft }) => {
      held(acme, home)
      const late = await failure({ ...options, acmeTimeout: 2_000 })
      assert.match(late.message, /^acme\.sh did not come to an end within 2 seconds/)
      assert.deepStrictEqual([late.code, late.retryable], ["ACME_FAILED", true])
      assert.deepStrictEqual(left(), [[], []], "when it is said, it is so")
      const { waits } = held(acme, home)
      const running = Effect.runFork(issuing(options))
      await waits()
      await Effect.runPromise(Fiber.interrupt(running))
      assert.deepStrictEqual(left(), [[], []])
      await nothingIsLeft()
    }))

  it("two at once, the third waits; short commands go on meanwhile", () =>
    withAcme(async ({ acme, home, options, left, nothingIsLeft }) => {
      const { begun, release, waits } = held(acme, home)
      const all = Effect.runPromise(
        Effect.flatMap(Acme, (service) =>
          Effect.all(
            ["one.test", "two.test", "three.test"].map((name) => service.issue([name], () => Effect.void)),
            { concurrency: "unbounded" }
          )).pipe(Effect.provide(Acme.layer(options, host)))
      )
      await waits(2)
      const echoes = await Effect.runPromise(
        Effect.all(
          Array.from({ length: 6 }, (_, index) => link.ssh.exec(["/bin/echo", String(index)], { timeout: 5_000 })),
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(echoes.map(({ stdout }) => stdout.trim()), ["0", "1", "2", "3", "4", "5"])
      assert.strictEqual(begun(), 2)
      assert.lengthOf(left()[1], 2)
      release()
      assert.lengthOf(await all, 3)
      await nothingIsLeft()
    }))

  it("a run that somebody ends there, and one that fails, are said in words of ours", () =>
    withAcme(async ({ acme, home, options, left, nothingIsLeft }) => {
      acme.plan({ fail: "Can not init api for: https://127.0.0.1:1/directory canary" })
      const failed = await failure(options)
      assert.match(failed.message, /^The CA 127\.0\.0\.1 cannot be reached/)
      assert.notInclude(JSON.stringify(failed), "canary")
      const { waits } = held(acme, home)
      const running = failure(options)
      await waits()
      // All of it, as an operator does who wants to be rid of it.
      const shells = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("/bin/sh\0-c\0n=$1; shift; eval")
        } catch {
          return false
        }
      })
      for (const pid of [...shells, ...left()[0]]) {
        try {
          process.kill(Number(pid), "SIGKILL")
        } catch {
          // It has ended with another one.
        }
      }
      const ended = await running
      assert.match(ended.message, /^acme\.sh was ended on HAProxy's host from outside/)
      assert.deepStrictEqual([ended.code, ended.retryable], ["ACME_FAILED", true])
      assert.isTrue(left()[0].length === 0)
      rmSync(join(home, "haproxy-mcp-runs"), { recursive: true })
      await nothingIsLeft()
    }))

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
        const failed = await failure({ ...options, ...changes })
        assert.deepStrictEqual(
          [failed.code, failed.message.startsWith(`On ${host.name}: `)],
          [code, true],
          failed.message
        )
        assert.match(failed.message, message)
      }
      chmodSync(options.acmeCredentialsFile, 0o644)
      assert.match((await failure(options)).message, /may be read by others \(mode 0644\)/)
      rmSync(options.acmeCredentialsFile)
      assert.match((await failure(options)).message, /dns_cf has no credentials/, "not from this process's environment")
      mkdirSync(options.acmeCredentialsFile)
      assert.match((await failure(options)).message, /is not a regular file/)
      assert.isFalse(existsSync(join(home, "ca")), "nothing was tried")
    }))

  it("a program that is too old is refused; its state is told with where it was looked for", () =>
    withAcme(async ({ home, options }) => {
      const old = await failure(options)
      assert.match(old.message, /^On .*: acme\.sh 3\.0\.5 is too old/)
      mkdirSync(join(home, "saved.test_ecc"))
      writeFileSync(join(home, "saved.test_ecc/saved.test.conf"), "Le_ReloadCmd='canary'\n")
      const { problem, program, warnings } = await Effect.runPromise(look(options, host))
      assert.isNull(program)
      assert.include(problem!, old.message)
      assert.match(warnings.join(), /saved reload commands, hooks or copies for saved\.test;/)
      assert.notInclude(warnings.join(), "canary")
    }, "3.0.5"))

  it("all in place: the state is that of the other host, also below ~", () =>
    withAcme(async ({ home, options }) => {
      const there = { path: options.acmeCommand![0]!, version: "3.1.1" }
      assert.deepStrictEqual(await Effect.runPromise(look(options, host)), {
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
      }, host))
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
      await Effect.runPromise(Effect.andThen(Acme, swept).pipe(Effect.provide(Acme.layer(options, host))))
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
        HAPROXY_SSH_PORT: String(sshd.port),
        HAPROXY_SSH_KEY_FILE: sshd.keyFile,
        HAPROXY_SSH_KNOWN_HOSTS: sshd.knownHosts,
        HAPROXY_MAP_FILE: join(own, "domains.map"),
        HAPROXY_DB_FILE: join(own, "state.db"),
        HAPROXY_PORT: "1"
      }
      symlinkSync(options.acmeHome, join(sshd.folder, "acme-link"))
      try {
        const issued = await Effect.runPromise(
          Effect.flatMap(Acme, (service) => service.issue(["plane.test"], () => Effect.void)).pipe(
            Effect.provide(Layer.provide(ControlPlane.layer, Settings.layer({ env }))),
            Effect.provide(Logger.layer([]))
          )
        )
        assert.include(issued.chain, "BEGIN CERTIFICATE")
        assert.include(acme.runs().at(-1)!.join(" "), `--home ${sshd.folder}/acme-link `)
      } finally {
        rmSync(own, { recursive: true, force: true })
      }
    }))

  it("an SSH user that may only move files is told so", async () => {
    const started = await openSshd({ config: ["ForceCommand internal-sftp"] })
    const limited = await openSsh(started.sshd.options)
    try {
      await withAcme(async ({ options }) => {
        const failed = await failure(options, farHost(limited.ssh, started.sshd.options))
        assert.deepStrictEqual([failed.code, failed.field], ["CONFIG_INVALID", "ACME_WHERE"])
        assert.include(failed.hint, "ACME_WHERE=local")
      })
    } finally {
      await limited.end()
      await started.end()
    }
  })
})
