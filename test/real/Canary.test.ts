/**
 * Keys and credentials that are known here go through everything that happens to a certificate, with a real CA and
 * acme.sh, the loudest log, traces and metrics; and are found nowhere but in their own files and HAProxy's memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startCollector } from "../support/Collector.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { acmeHome, acmeProgram, startPebble } from "../support/Pebble.ts"
import { becomes } from "../support/Poll.ts"
import { startCommand } from "../support/Process.ts"
import { newestLine, startHaproxy } from "../support/RealHaproxy.ts"
import { filesBelow, ProcessList, Secrets } from "../support/Secrets.ts"
import { haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 4, slots: 2, poolsFile: true }
const domain = "shop.example.test"
const failing = "fails.example.test"
const byHand = "by-hand.example.org"

const canaries = {
  token: "mcp-token-canary-8Zq1xV4kT7",
  dns: "dns-token-canary-Qm3vJ9wY2rL5",
  binding: "ZWFiLWhtYWMtY2FuYXJ5LW9mLWEtdGVzdC0wMTIzNDU2Nzg5"
}

describe("a key that is known", () => {
  it.live("is nowhere but in its file", () =>
    Effect.gen(function*() {
      const secrets = new Secrets()
      for (const [label, text] of Object.entries(canaries)) secrets.addText(label, text)
      const pebble = yield* startPebble({ binding: { kid: "kid-canary", hmacKey: canaries.binding } })
      const home = yield* acmeHome(pebble)
      const credentials = home.write(
        "credentials.ini",
        `TEST_Token=${canaries.dns}\nACME_EAB_KID=kid-canary\nACME_EAB_HMAC_KEY=${canaries.binding}\n`
      )
      const tokenFile = home.write("mcp-token.env", `MCP_TOKEN=${canaries.token}\n`)
      const collector = yield* startCollector()
      const haproxy = yield* startHaproxy({ ...shape, binary: newestLine, tls: true })
      const { site } = haproxy
      const env = settingsOf(site, {
        ...shape,
        env: {
          LOG_LEVEL: "DEBUG",
          MCP_TOKEN_FILE: tokenFile,
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_BSP_SCHEDULE_DELAY: "50",
          HAPROXY_CERT_DIR: site.certDir,
          ACME_HOME: home.folder,
          ACME_COMMAND: acmeProgram,
          ACME_SERVER: pebble.directory,
          ACME_CA_BUNDLE: pebble.caBundle,
          ACME_DNS: "dns_test",
          ACME_DNS_SLEEP: "0",
          ACME_CREDENTIALS_FILE: credentials
        }
      })
      /** What anybody was told, by where. */
      const said = new Map<string, string>()
      const say = (where: string, what: string) => said.set(where, (said.get(where) ?? "") + what)
      const keyOf = (name: string) => readFileSync(join(site.certDir, `${name}.pem`), "utf8")
      const processes = new ProcessList()
      yield* Effect.addFinalizer(() => Effect.sync(() => processes.stop()))

      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* startServer({ env, token: canaries.token })
        yield* Effect.promise(async () => {
          await server.ready()
          const clients = [server.client(), server.client()] as const
          const call = async (tool: string, args: Readonly<Record<string, unknown>>, expected = "OK", of = 0) => {
            const { code, data } = await clients[of]!.call(`haproxy_${tool}`, args)
            assert.strictEqual(code, expected, JSON.stringify(data))
            say(`answer of ${tool}`, JSON.stringify(data))
          }
          for (const name of [domain, failing]) await call("add_domain", { domain: name, ip: "127.0.0.1" })
          await call("issue_cert", { domain, wildcard: false })
          secrets.addKey("the issued key", keyOf(domain))

          // By hand: a good one, one with the key of another, and one that is cut off within its key.
          const authority = new FastAuthority()
          const own = authority.issue([byHand])
          const other = authority.issue(["other.example.org"])
          secrets.addKey("the key by hand", own.key)
          secrets.addKey("the other key", other.key)
          const put = (name: string, text: string) =>
            writeFileSync(join(site.certDir, `${name}.pem`), text, { mode: 0o600 })
          put(byHand, own.text)
          await call("load_cert", { domain: byHand })
          put("mixed.example.org", own.chain + other.key)
          await call("load_cert", { domain: "mixed.example.org" }, "INVALID_INPUT")
          put("cut.example.org", other.text.slice(0, -60))
          await call("load_cert", { domain: "cut.example.org" }, "INVALID_INPUT")

          // Renewed, while another one fails because of its credentials.
          home.set("dns-fails", true)
          await call("issue_cert", { domain: failing, wildcard: false }, "ACME_FAILED")
          home.set("dns-fails", false)
          await call("renew_cert", { domain, force: true })
          secrets.addKey("the renewed key", keyOf(domain))

          await call("list_certs", {})
          for (const name of [domain, byHand]) await call("cert_info", { domain: name })
          await call("renew_all_certs", {})
          for (const tool of ["health", "check_config", "list_domains", "save_state"]) await call(tool, {})
          for (const path of ["/metrics", "/healthz", "/readyz"]) {
            const response = await fetch(server.url + path, { headers: { authorization: `Bearer ${canaries.token}` } })
            say(path, await response.text())
            assert.strictEqual(response.status, 200, path)
          }
          // By the admin socket.
          const commands = [
            ["status", "--json"],
            ["doctor"],
            ["doctor", "--json"],
            ["changes", "--json"],
            ["export", "--format", "json"],
            ["certs", "list", "--json"],
            ["certs", "info", domain],
            ["certs", "load", byHand],
            ["certs", "load", "mixed.example.org"],
            ["config"],
            ["completion", "bash"]
          ]
          for (let at = 0; at < commands.length; at += 3) {
            await Promise.all(
              commands.slice(at, at + 3).map(async (words) => {
                const [node, file] = haproxyMcp
                const ended = await startCommand(node, [file, ...words], { env, limit: 60_000 }).ended
                assert.isAbove((ended.stdout + ended.stderr).length, 100, words.join(" "))
                say(words.join(" "), ended.stdout + ended.stderr)
              })
            )
          }
          for (const { content, path } of filesBelow(site.dir, [site.certDir])) {
            say(`${path}, served`, content.toString("latin1"))
          }
          await call("delete_cert", { domain, force: true })
          await call("delete_cert", { domain: byHand })
          await becomes("traces came", () => collector.spans().some(({ name }) => name.includes("haproxy_delete_cert")))
          await server.stop()
          say("the log", server.output())
        })
      }))
      yield* Effect.sync(() => processes.stop())
      say("HAProxy's log", yield* haproxy.stderr)
      say("traces and metrics", collector.bodies.join("\n"))
      say("arguments", [...processes.commands].join("\n"))
      say("environments", [...processes.environments].join("\n"))
      for (const { content, path } of filesBelow(site.dir, [site.certDir])) say(path, content.toString("latin1"))

      for (const [where, what] of said) {
        assert.deepStrictEqual(secrets.in(what), [], `${where} shows it`)
        assert.notInclude(what, "PRIVATE KEY-----", where)
      }
      // acme.sh's own folder has its credentials, and no key of a certificate.
      const inHome = new Set(filesBelow(home.folder).flatMap(({ content }) => secrets.in(content)))
      assert.deepStrictEqual([...inHome].sort(), ["binding", "dns", "token"])

      // It would have been found: where it belongs it is, and there was something to look at.
      assert.deepStrictEqual(secrets.in(readFileSync(join(site.certDir, "cut.example.org.pem"))), ["the other key"])
      assert.include(secrets.in([...processes.ofAcme].join("\n")), "dns")
      assert.isTrue([...processes.commands].some((command) => command.includes("--issue")))
      assert.include(said.get("the log")!, "\"level\":\"DEBUG\"")
      assert.include(said.get("/metrics")!, "haproxy_mcp_certificate_")
      assert.isTrue(said.has(`${env["HAPROXY_DB_FILE"]}-wal, served`), [...said.keys()].join("\n"))
    }), 120_000)
})
