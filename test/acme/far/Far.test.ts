/**
 * acme.sh on another host, over a real sshd, with a stand-in for acme.sh: what it may see, how a run ends in every way
 * in which it can, and that nothing of it stays there.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Acme, look } from "../../../src/acme/Acme.ts"
import { farHost } from "../../../src/HostAccess.ts"
import { commandLines } from "../../support/CommandLines.ts"
import { becomes } from "../../support/Poll.ts"
import { startCommand } from "../../support/Process.ts"
import { sshdReason } from "../../support/Sshd.ts"
import { openSsh } from "../../support/SshLink.ts"
import { failure, held, issuing, openSite, type Site, withAcme } from "./FarHome.ts"

// On a busy machine each start of Node takes seconds.
vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, "..", "..", "..")

describe.skipIf(sshdReason !== null)("a run over SSH", () => {
  let site: Site
  beforeAll(async () => {
    site = await openSite()
  })
  afterAll(() => site.end())

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
          }, site.host))
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
      const running = failure(options, site.host)
      await waits()
      await becomes("its watchers are there", () => left()[0].length > 2)
      // sshd alone: what it has started must end by itself.
      for (const pid of site.sshd.processes()) {
        try {
          if (readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("sshd")) process.kill(pid, "SIGKILL")
        } catch {
          // A small program of a run that has ended meanwhile.
        }
      }
      const failed = await running
      assert.deepStrictEqual([failed.code, failed.retryable], ["REMOTE_UNREACHABLE", true])
      await nothingIsLeft()
      assert.strictEqual((await failure(options, site.host)).code, "REMOTE_UNREACHABLE", "while it is down")
      const { problem } = await Effect.runPromise(look(options, site.host))
      assert.match(problem!, /^HAProxy's host 127\.0\.0\.1:\d+ cannot be used/)
      await site.sshd.restart()
      await site.link.until("Up")
      release()
      assert.include((await Effect.runPromise(issuing(options, site.host))).chain, "BEGIN CERTIFICATE")
      await nothingIsLeft()
    }))

  it("a host that says nothing any more is given up, and clears up when it is back", () =>
    withAcme(async ({ acme, home, options, nothingIsLeft }) => {
      const impatient = await openSsh({ ...site.sshd.options, timeout: 1_500, keepalive: 500 })
      try {
        const { waits } = held(acme, home)
        const running = failure(options, farHost(impatient.ssh, site.sshd.options))
        await waits()
        site.sshd.pause()
        const failed = await running
        assert.deepStrictEqual([failed.code, failed.retryable], ["REMOTE_UNREACHABLE", true])
      } finally {
        site.sshd.resume()
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
        const ssh = ${JSON.stringify({ ...site.sshd.options, firstWait: 30_000 })}
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
      const late = await failure({ ...options, acmeTimeout: 2_000 }, site.host)
      assert.match(late.message, /^acme\.sh did not come to an end within 2 seconds/)
      assert.deepStrictEqual([late.code, late.retryable], ["ACME_FAILED", true])
      assert.deepStrictEqual(left(), [[], []], "when it is said, it is so")
      const { waits } = held(acme, home)
      const running = Effect.runFork(issuing(options, site.host))
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
          )).pipe(Effect.provide(Acme.layer(options, site.host)))
      )
      await waits(2)
      const echoes = await Effect.runPromise(
        Effect.all(
          Array.from({ length: 6 }, (_, index) => site.link.ssh.exec(["/bin/echo", String(index)], { timeout: 5_000 })),
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
      const failed = await failure(options, site.host)
      assert.match(failed.message, /^The CA 127\.0\.0\.1 cannot be reached/)
      assert.notInclude(JSON.stringify(failed), "canary")
      const { waits } = held(acme, home)
      const running = failure(options, site.host)
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
})
