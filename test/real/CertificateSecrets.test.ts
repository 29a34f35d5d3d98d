/**
 * Private keys and the DNS provider's token go through the whole control plane and come out nowhere: not in an answer of
 * any tool, good or bad, not in the output of the command line, the log at its loudest, the metrics, the traces, the
 * change log, the doctor's findings or an argument list.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { clients, connected } from "../mcp/harness.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { startCollector } from "../support/Collector.ts"
import { holdsKey } from "../support/KeyCanary.ts"
import { becomes } from "../support/Poll.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"
import { placeAcme } from "../support/StandInAcme.ts"

const shape = { pools: 3, slots: 2 }
const limit = 180_000

type Args = Readonly<Record<string, unknown>>

describe("a private key", () => {
  it.live("goes through every tool and command, and is seen nowhere", () =>
    Effect.gen(function*() {
      const collector = yield* startCollector()
      const { site } = yield* startHaproxy({ ...shape, tls: true })
      const acme = placeAcme(site.dir)
      const env = settingsOf(site, {
        ...shape,
        env: {
          HAPROXY_CERT_DIR: site.certDir,
          ...acme.env,
          LOG_LEVEL: "DEBUG",
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_BSP_SCHEDULE_DELAY: "50"
        }
      })
      const keys: Array<string> = []
      /** Everything that anybody could see, with where. */
      const seen: Array<readonly [where: string, text: string]> = []
      const put = (name: string, text: string) => {
        const file = join(site.certDir, `${name}.pem`)
        return writeFile(file, text, { mode: 0o600 })
      }
      /** The key in a file that the control plane wrote. */
      const keep = async (name: string) => {
        const text = await readFile(join(site.certDir, `${name}.pem`), "utf8")
        keys.push(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text)![0])
      }
      const canary = makeCertificate(["canary.example.net"])
      const other = makeCertificate(["other.example.net"])
      keys.push(canary.key, other.key)

      const server = yield* startServer({ env })
      yield* Effect.promise(server.ready)
      const [, newest] = clients.at(-1)!
      const client = yield* connected(newest, { url: `${server.url}/mcp` })
      const call = async (tool: string, args: Args = {}, failing = false) => {
        const answer = await client.call(tool, args, {
          onprogress: (progress) => seen.push([`progress of ${tool}`, JSON.stringify(progress)])
        })
        seen.push([tool, JSON.stringify(answer)])
        assert.strictEqual(answer.isError === true, failing, JSON.stringify(answer))
      }
      yield* Effect.promise(async () => {
        await put("canary", canary.text)
        await call("haproxy_load_cert", { domain: "canary" })
        await call("haproxy_list_certs")
        await call("haproxy_cert_info", { domain: "canary.example.net" })
        await call("haproxy_issue_cert", { domain: "shop.example.com" })
        await keep("shop.example.com")
        await call("haproxy_renew_cert", { domain: "shop.example.com", force: true })
        await keep("shop.example.com")
        await call("haproxy_renew_all_certs")
        await call("haproxy_health")
        // What is wrong with a file is said without what is in it.
        await put("mismatch", canary.chain + other.key)
        await call("haproxy_load_cert", { domain: "mismatch" }, true)
        await put("cut", canary.text.slice(0, -40))
        await call("haproxy_load_cert", { domain: "cut" }, true)
        await put("garbage", canary.text.replace("-----BEGIN CERTIFICATE-----", ""))
        await call("haproxy_load_cert", { domain: "garbage" }, true)
        await call("haproxy_list_certs")
        for (const file of ["mismatch", "cut", "garbage"]) await call("haproxy_delete_cert", { domain: file })
        // A key and a token given where a name belongs, and what acme.sh says of both.
        await call("haproxy_cert_info", { domain: canary.key }, true)
        acme.plan({ fail: `invalid domain\nError adding TXT record: ${acme.secret}\n${canary.key}` })
        await call("haproxy_issue_cert", { domain: "failing.example.com" }, true)
        acme.plan({})
        const runs: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
          ["certs", "list"],
          ["certs", "list", "--json"],
          ["certs", "info", "canary", "--json"],
          ["certs", "issue", "cli.example.com"],
          ["certs", "renew", "--force", "cli.example.com"],
          ["certs", "load", "canary"],
          ["certs", "renew-all", "--json"],
          ["changes", "--json"],
          ["status", "--json"],
          ["export"],
          ["doctor", "--json"]
        ]
        for (const args of runs) {
          const { code, stderr, stdout } = await runNode(program, args, { env, limit })
          assert.oneOf(code, args[0] === "doctor" ? [0, 1, 3] : [0], stderr)
          seen.push([args.join(" "), stdout + stderr])
          if (args[1] === "issue") await keep("cli.example.com")
        }
        await keep("cli.example.com")
        await call("haproxy_delete_cert", { domain: "canary" })
        await call("haproxy_delete_cert", { domain: "shop.example.com" })
        seen.push(["/metrics", await (await fetch(`${server.url}/metrics`)).text()])
        seen.push(["arguments of acme.sh", JSON.stringify(acme.runs())])
        seen.push(["arguments of the server", readFileSync(`/proc/${server.pid}/cmdline`, "utf8")])
        await becomes("the last call is traced", () =>
          Promise.resolve(collector.bodies.some((body) => body.includes("haproxy_delete_cert"))))
        assert.strictEqual((await server.stop()).code, 0)
        seen.push(["log", server.output()], ["traces", collector.bodies.join("\n")])
      })
      const tools = defaultNames.filter((name) =>
        /_certs?$|_cert_/.test(name)
      )
      assert.lengthOf(tools, 7)
      for (const tool of tools) assert.isTrue(seen.some(([where]) => where === tool), tool)
      assert.isTrue(seen.some(([where]) => where === "progress of haproxy_issue_cert"))
      assert.include(seen.find(([where]) => where === "log")![1], "\"level\":\"DEBUG\"")
      assert.strictEqual(new Set(keys).size, 6)
      for (const [where, text] of seen) {
        assert.isAbove(text.length, 0, where)
        for (const key of keys) assert.isFalse(holdsKey(text, key), `${where} holds a key`)
        assert.notInclude(text, acme.secret, `${where} holds the DNS provider's token`)
        assert.notMatch(text, /PRIVATE KEY-----(?:\\n|\n)[A-Za-z0-9+/]/, where)
      }
      console.log(`secrets: ${keys.length} keys and a token in none of ${seen.length} texts`)
    }).pipe(Effect.scoped), limit)
})
