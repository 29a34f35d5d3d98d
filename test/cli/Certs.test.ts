/** `haproxy-mcp certs …`: its texts, and the commands through a running serve and alone, on a real HAProxy with TLS. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { changeCert, renewAll } from "../../src/cli/Certs.ts"
import { certInfoText, certsText, certWriteText } from "../../src/cli/CertsText.ts"
import type { Ended as Ending } from "../../src/cli/Exit.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { unrestricted } from "../../src/mcp/Visible.ts"
import type { CertificateItem, CertInfoAnswer, RenewAllCertsAnswer } from "../../src/program/certificates/Shapes.ts"
import { LongestCall } from "../../src/program/Operations.ts"
import { noTokens } from "../../src/program/TokenIndex.ts"
import { toolsOf } from "../mcp/harness.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { holdsKey } from "../support/KeyCanary.ts"
import { poll } from "../support/Poll.ts"
import { type Ended, runNode, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"
import { placeAcme, type StandInAcme } from "../support/StandInAcme.ts"
import { makeWatchedWorld, quiet } from "../support/WatchedWorld.ts"

const limit = 180_000
const shape = { pools: 3, slots: 2 }

/** What the command writes to standard output and standard error from here on. */
const captured = Effect.acquireRelease(
  Effect.sync(() => {
    const texts = ["", ""]
    const streams = [process.stdout, process.stderr]
    const writes = streams.map((stream) => stream.write)
    streams.forEach((stream, index) => {
      stream.write = ((text: string | Uint8Array) => {
        texts[index] += String(text)
        return true
      }) as typeof stream.write
    })
    const restore = () => streams.forEach((stream, index) => void (stream.write = writes[index]!))
    return { read: [() => texts[0]!, () => texts[1]!] as const, restore }
  }),
  ({ restore }) => Effect.sync(restore)
).pipe(Effect.map(({ read }) => read))

const item: CertificateItem = {
  certificate: "shop.example.com",
  domains: ["shop.example.com", "*.shop.example.com", "www.example.com"],
  status: "valid",
  not_after: "2026-05-01T10:20:30.000Z",
  days_left: 62,
  source: "acme",
  issuer: "Some CA",
  loaded: true,
  next_attempt: "2026-04-01T00:00:00.000Z",
  last_error: null
}

describe("the texts", () => {
  it("have a row for each certificate, days and status in the colour of the status", () => {
    const broken: CertificateItem = {
      ...item,
      certificate: "old",
      domains: [],
      status: "broken",
      not_after: null,
      days_left: null,
      source: "file",
      loaded: false,
      next_attempt: null,
      last_error: "a line\nof \u001b[31mtwo"
    }
    assert.strictEqual(certsText([], false), "No certificate.\n")
    assert.strictEqual(
      certsText([item, broken], false),
      [
        "certificate       names                                    status  days left  ends (UTC)        from  HAProxy"
        + "     next (UTC)        last error",
        "shop.example.com  shop.example.com, *.shop.example.com +1  valid   62         2026-05-01 10:20  acme  serves it"
        + "   2026-04-01 00:00",
        "old               -                                        broken  -          -                 file  not loaded"
        + "  -                 a line?of ?[31mtwo",
        ""
      ].join("\n")
    )
    const coloured = certsText([item, broken], true)
    assert.include(coloured, "\u001b[32mvalid \u001b[0m  \u001b[32m62       \u001b[0m")
    assert.include(coloured, "\u001b[31mbroken\u001b[0m")
  })

  it("say of one certificate all that is known, strangers' words on one line", () => {
    const info: CertInfoAnswer = {
      ...item,
      summary: "shop.example.com is valid, 62 days left",
      domain: "shop.example.com",
      issuer: "Evil\u202eCA\u0007",
      file: "/certs/shop.example.com.pem",
      serial: "0A",
      fingerprint_sha256: "AB",
      not_before: "2026-02-01T10:20:30.000Z",
      key_type: "EC256",
      chain_length: 1,
      failures: 2,
      last_error: "The CA's rate limit is reached.",
      needed_by: ["shop.example.com"]
    }
    const text = certInfoText(info, false)
    for (
      const line of [
        "Names         shop.example.com, *.shop.example.com, www.example.com",
        "Status        valid",
        "Ends (UTC)    2026-05-01 10:20, 62 days left",
        "Issuer        Evil?CA?",
        "Last error    The CA's rate limit is reached. (2 in a row)",
        "Needed by     shop.example.com"
      ]
    ) assert.include(text.split("\n"), line)
    const written = certWriteText({
      summary: "Issued",
      certificate: "a.com",
      domains: ["a.com"],
      not_after: "2026-05-01T10:20:30.000Z",
      days_left: -3,
      issuer: "CA",
      fingerprint_sha256: "AB",
      proved: true,
      changed: true,
      change_id: "chg_1",
      revision: 7,
      warnings: []
    })
    assert.include(written, "  ends 2026-05-01 10:20 UTC, 3 days ago, issued by CA\n")
    assert.include(written, "  revision 7, chg_1\n")
  })
})

describe("the commands", () => {
  it.live(
    "work through a running serve and alone, with progress, refusals and exit codes",
    () =>
      Effect.gen(function*() {
        const { site } = yield* startHaproxy({ ...shape, tls: true })
        const acme = placeAcme(site.dir)
        const env = settingsOf(site, { ...shape, env: { HAPROXY_CERT_DIR: site.certDir, ...acme.env } })
        const all: Array<Ended> = []
        const run = async (...args: ReadonlyArray<string>): Promise<Ended> => {
          const ended = await runNode(program, ["certs", ...args], { env, limit })
          all.push(ended)
          return ended
        }
        const json = async (...args: ReadonlyArray<string>) => {
          const { code, stderr, stdout } = await run(...args, "--json")
          assert.strictEqual(code, 0, stderr)
          return JSON.parse(stdout) as Readonly<Record<string, unknown>>
        }
        const brought = makeCertificate(["brought.example.net"])
        const server = yield* startServer({ env })
        yield* Effect.promise(async () => {
          await server.ready()
          await server.client().good("haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
          assert.strictEqual((await run("list")).stdout, "No certificate.\n")

          const planned = await run("issue", "--dry-run", "shop.example.com")
          assert.deepStrictEqual([planned.code, planned.stderr], [0, ""])
          assert.match(planned.stdout, /^Dry run, nothing was changed\..*\nacme\.sh asks the CA /)
          assert.match(planned.stdout, /^Domains: shop\.example\.com$/m)
          assert.lengthOf(acme.runs(), 0)
          assert.strictEqual((await run("list")).stdout, "No certificate.\n")

          // Progress is there while acme.sh works, before there is an answer.
          const go = join(site.dir, "go")
          acme.plan({ waitFor: go })
          const issuing = startNode(program, ["certs", "issue", "shop.example.com"], { env, limit })
          await poll("progress", () => issuing.output().includes("haproxy-mcp: ") ? true : undefined)
          const early = issuing.output()
          assert.notInclude(early, "HAProxy serves it")
          await writeFile(go, "")
          const issued = await issuing.ended
          all.push(issued)
          assert.strictEqual(issued.code, 0, issued.stderr)
          assert.match(issued.stdout, /^Issued the certificate shop\.example\.com .*; HAProxy serves it/m)
          assert.include(issued.stdout, "  shop.example.com: shop.example.com, *.shop.example.com\n")
          assert.include(issued.stdout, "  a TLS handshake with HAProxy showed it\n")
          assert.match(issued.stdout, /^ {2}revision \d+, chg_/m)
          acme.plan({})

          assert.include((await run("issue", "shop.example.com")).stdout, "  nothing was changed\n")
          assert.match(
            (await run("list")).stdout,
            /^shop\.example\.com +shop\.example\.com, \*\.shop\.example\.com +valid +\d\d +\S+ \S+ +acme +serves it/m
          )
          const info = await json("info", "any.shop.example.com")
          assert.deepInclude(info, { certificate: "shop.example.com", needed_by: ["shop.example.com"], failures: 0 })
          assert.match((await run("info", "shop.example.com")).stdout, /^Needed by +shop\.example\.com$/m)
          assert.strictEqual((await json("renew", "shop.example.com"))["changed"], false)
          const renewed = await json("renew", "--force", "shop.example.com")
          assert.strictEqual(renewed["changed"], true)
          assert.notStrictEqual(renewed["fingerprint_sha256"], info["fingerprint_sha256"])
          assert.deepInclude(await json("renew-all"), { due: 0, failed: [] })

          await writeFile(join(site.certDir, "brought.pem"), brought.text, { mode: 0o600 })
          assert.match((await run("load", "brought")).stdout, /^Loaded the certificate brought; HAProxy serves it/m)
          const search = await json("list", "--search", "brought") as unknown as ReadonlyArray<Record<string, unknown>>
          assert.deepStrictEqual(search.map(({ certificate, loaded, source }) => [certificate, loaded, source]), [
            ["brought", true, "file"]
          ])
          const byHand = await run("renew", "brought")
          assert.deepStrictEqual([byHand.code, byHand.stdout], [1, ""])
          assert.include(byHand.stderr, "haproxy-mcp: brought was put into the folder by hand")
          const kept = await run("delete", "--dry-run", "brought")
          assert.match(kept.stdout, /^Files: .*brought\.pem$/m)
          assert.strictEqual((await run("delete", "brought")).code, 0)

          const needed = await run("delete", "shop.example.com")
          assert.deepStrictEqual([needed.code, needed.stdout], [1, ""])
          assert.include(needed.stderr, "force")
          const wrong = await run("info", "../shop.example.com")
          assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
          const absent = await run("load", "absent")
          assert.strictEqual(absent.code, 1)
          assert.include(absent.stderr, `There is no file "absent.pem" in ${site.certDir}`)

          acme.plan({ fail: `Create new order error. urn:ietf:params:acme:error:rateLimited ${acme.secret}` })
          const refused = await run("issue", "other.example.com")
          assert.strictEqual(refused.code, 1)
          assert.include(refused.stderr, "haproxy-mcp: The CA's rate limit is reached.")
          acme.plan({})
          assert.strictEqual((await server.stop()).code, 0)

          // Nobody serves: the same work, done here.
          const alone = await run("issue", "--no-wildcard", "alone.example.com")
          assert.strictEqual(alone.code, 0, alone.stderr)
          assert.include(alone.stdout, "  alone.example.com: alone.example.com\n")
          const both = await json("list") as unknown as ReadonlyArray<Record<string, unknown>>
          assert.deepStrictEqual(both.map(({ certificate, loaded }) => [certificate, loaded]), [
            ["alone.example.com", true],
            ["shop.example.com", true]
          ])
          const forced = await run("delete", "--force", "shop.example.com")
          assert.strictEqual(forced.code, 0, forced.stderr)
          assert.include(forced.stdout, "  without HTTPS now: shop.example.com\n")
          assert.include(forced.stderr, "shop.example.com")
          for (const { stderr, stdout } of all) {
            for (const text of [stderr, stdout]) {
              assert.notInclude(text, acme.secret)
              assert.isFalse(holdsKey(text, brought.key))
            }
          }
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live("end with 1 when a renewal failed, and say which", () =>
    Effect.gen(function*() {
      const answer: RenewAllCertsAnswer = {
        summary: "1 of 2 certificates that were due are renewed, 1 failed and are tried again",
        due: 2,
        renewed: ["a.example.com"],
        failed: [{ certificate: "b.example.com", error: "The CA's rate limit is reached." }],
        skipped: 0,
        warnings: ["look at b"]
      }
      const tools = toolsOf(() => Effect.succeed({ ...answer }))
      const handlers = {
        alone: <A, E>(_: unknown, work: Effect.Effect<A, E, ToolRunner>): Effect.Effect<A, unknown> =>
          Effect.provideService(work, ToolRunner, ToolRunner.of(tools))
      }
      const [out, err] = yield* captured
      const sources = { env: { MCP_ADMIN_SOCKET: "/nowhere/nobody.sock" } }
      const ending = yield* Effect.flip(renewAll(handlers, sources, { json: false, timeout: 10 }))
      assert.strictEqual((ending as Ending).code, 1)
      assert.strictEqual(
        out(),
        `${answer.summary}\n  renewed a.example.com\n  failed  b.example.com: The CA's rate limit is reached.\n`
      )
      assert.strictEqual(err(), "haproxy-mcp: look at b\n")
    }).pipe(Effect.scoped), limit)

  it.live("follow what outlives a call to its end", () =>
    quiet(
      Effect.gen(function*() {
        let plan: StandInAcme["plan"] = () => {}
        const world = yield* makeWatchedWorld({
          ...shape,
          tls: true,
          acme: (site) => {
            const acme = placeAcme(site.dir)
            plan = acme.plan
            return acme.options
          }
        })
        const tools = ToolRunner.of({
          rules: unrestricted,
          tokens: noTokens,
          // A call may last a tenth of a second here.
          call: (name, args, caller) =>
            world.run(Effect.provideService(callTool(name, args, caller), LongestCall, 100)),
          admin: () => Effect.die("not asked for here"),
          watch: () => Effect.never,
          notReady: Effect.succeed(null),
          stopping: Effect.void
        })
        const handlers = {
          alone: <A, E>(_: unknown, work: Effect.Effect<A, E, ToolRunner>): Effect.Effect<A, unknown> =>
            Effect.provideService(work, ToolRunner, tools)
        }
        const sources = { env: { MCP_ADMIN_SOCKET: join(world.haproxy.site.dir, "nobody.sock") } }
        const [out, err] = yield* captured
        const issue = (domain: string) =>
          changeCert(handlers, sources, "haproxy_issue_cert", { domain }, { json: false, timeout: 60 })

        const go = join(world.haproxy.site.dir, "go")
        plan({ waitFor: go })
        const issued = yield* Effect.forkChild(issue("slow.example.com"))
        yield* Effect.promise(() => poll("following", () => err().includes("following op_") ? true : undefined))
        assert.strictEqual(out(), "")
        yield* Effect.promise(() => writeFile(go, ""))
        yield* Fiber.join(issued)
        assert.match(out(), /^Issued the certificate slow\.example\.com .*; HAProxy serves it/m)

        plan({ waitFor: `${go}-again`, fail: "urn:ietf:params:acme:error:caa" })
        const failing = yield* Effect.forkChild(Effect.flip(issue("forbidden.example.com")))
        yield* Effect.promise(() => poll("following", () => err().split("following op_").length > 2 ? true : undefined))
        yield* Effect.promise(() => writeFile(`${go}-again`, ""))
        assert.strictEqual(((yield* Fiber.join(failing)) as Ending).code, 1)
        assert.include(err(), "haproxy-mcp: A CAA record in DNS forbids this CA")
      }).pipe(Effect.scoped)
    ), limit)
})
