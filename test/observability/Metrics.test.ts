/**
 * `/metrics` of a running control plane: what it counts after things have really happened, that a scraper can read
 * it, and that everything on the shelf (docs, board, alerts) speaks of metrics that exist.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { overSsh } from "../lab/FarSite.ts"
import { available } from "../support/Available.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { type Scrape, scrapeOf } from "../support/Exposition.ts"
import { startHeldOrigin } from "../support/HeldOrigin.ts"
import { metricsPage } from "../support/MetricsPage.ts"
import { becomes, poll } from "../support/Poll.ts"
import { type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"
import { root, settingsOf, startServer } from "../support/ServerProcess.ts"
import { sshdReason, startSshd } from "../support/Sshd.ts"

const token = "a-token-for-the-scraper"
const shape = { pools: 3, slots: 2 }

const promise = <A>(make: () => Promise<A>) => Effect.promise(make)

const get = async (url: string, given: string | null = token) => {
  const response = await fetch(
    `${url}/metrics`,
    given === null ? {} : { headers: { authorization: `Bearer ${given}` } }
  )
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
}

const scrape = async (url: string): Promise<Scrape> => scrapeOf((await get(url)).text)

/** Of the right form, and something else. */
const notMetrics = new Set(["haproxy_mcp_db"])
const promtool = available("the alert rules are checked by promtool", "promtool", "--version")

/** A control plane over a HAProxy, both real. */
const running = Effect.gen(function*() {
  const haproxy: RealHaproxy = yield* startHaproxy(shape)
  const server = yield* startServer({
    token,
    env: settingsOf(haproxy.site, { ...shape, env: { MCP_TOKEN: token } })
  })
  yield* promise(server.ready)
  return { haproxy, server }
})

/** The same with HAProxy's files, its socket and the database's home behind an sshd. */
const runningOverSsh = Effect.gen(function*() {
  const haproxy: RealHaproxy = yield* startHaproxy(shape)
  const sshd = yield* startSshd()
  const env = overSsh(
    { ...sshd, address: "127.0.0.1", knownAs: () => "" },
    join(haproxy.site.dir, "there", "remote.db")
  )
  mkdirSync(join(haproxy.site.dir, "there"))
  const server = yield* startServer({
    token,
    env: settingsOf(haproxy.site, { ...shape, env: { ...env, MCP_TOKEN: token } })
  })
  yield* promise(server.ready)
  return { haproxy, server, sshd }
})

describe("/metrics", () => {
  it.live(
    "shows every series of a closed set before anything has happened, in a form that a scraper takes",
    () =>
      Effect.gen(function*() {
        const { server } = yield* running
        const first = yield* promise(() => get(server.url))
        assert.match(first.type ?? "", /^text\/plain; version=0\.0\.4/)
        const { families, value } = scrapeOf(first.text)
        for (const name of families.keys()) assert.match(name, /^(?:haproxy_mcp|process|nodejs)_[a-z0-9_]+$/)
        assert.strictEqual(value("haproxy_mcp_tool_calls_total{tool=\"haproxy_add_domain\",code=\"OK\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_tool_errors_total{code=\"OUTCOME_UNKNOWN\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_tool_errors_total{code=\"BUSY\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_reloads_total{reason=\"requested\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_http_refused_total{reason=\"wrong_token\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_store_commit_seconds_count"), 0)
        assert.strictEqual(value("haproxy_mcp_runtime_reconnects_total"), 0)
        assert.strictEqual(value("haproxy_mcp_epochs_total"), 1)
        assert.strictEqual(value("haproxy_mcp_pools_declared"), shape.pools)
        assert.strictEqual(value("haproxy_mcp_ready"), 1)
        assert.strictEqual(value("haproxy_mcp_in_sync"), 1)
      }),
    60_000
  )

  it.live("counts calls, refusals, commits, restarts of HAProxy and what strangers do", () =>
    Effect.gen(function*() {
      const { haproxy, server } = yield* running
      const { site } = haproxy
      const client = server.client()
      yield* promise(() => client.good("haproxy_add_domain", { domain: "a.example.com", ip: "10.0.0.1" }))
      yield* promise(() => client.good("haproxy_add_domain", { domain: "example.net", ip: "10.0.0.2" }))
      yield* promise(() => client.call("haproxy_add_domain", { domain: "not a domain" }))
      yield* promise(() => client.good("haproxy_list_domains"))
      assert.strictEqual((yield* promise(() => get(server.url, "wrong"))).status, 401)
      assert.strictEqual((yield* promise(() => get(server.url, null))).status, 401)
      const { value } = yield* promise(() => scrape(server.url))
      const is = (series: string, expected: number) => assert.strictEqual(value(series), expected, series)
      is("haproxy_mcp_tool_calls_total{tool=\"haproxy_add_domain\",code=\"OK\"}", 2)
      is("haproxy_mcp_tool_calls_total{tool=\"haproxy_add_domain\",code=\"INVALID_INPUT\"}", 1)
      is("haproxy_mcp_tool_errors_total{code=\"INVALID_INPUT\"}", 1)
      is("haproxy_mcp_tool_errors_total{code=\"INTERNAL\"}", 0)
      is("haproxy_mcp_tool_call_seconds_count{tool=\"haproxy_add_domain\"}", 3)
      is("haproxy_mcp_batches_total", 2)
      is("haproxy_mcp_batch_writes_sum", 2)
      is("haproxy_mcp_batch_seconds_count", 2)
      is("haproxy_mcp_apply_seconds_count", 2)
      is("haproxy_mcp_store_commit_seconds_count", 2)
      is("haproxy_mcp_file_write_seconds_count", 2)
      is("haproxy_mcp_revision", 2)
      is("haproxy_mcp_domains", 2)
      is("haproxy_mcp_wildcards", 1)
      is("haproxy_mcp_servers", 2)
      is("haproxy_mcp_pools_used", 2)
      is("haproxy_mcp_queue_length", 0)
      is("haproxy_mcp_streams_open", 0)
      is("haproxy_mcp_http_refused_total{reason=\"wrong_token\"}", 1)
      is("haproxy_mcp_http_refused_total{reason=\"no_token\"}", 1)
      is("haproxy_mcp_runtime_link_up", 1)
      is("haproxy_mcp_foreign_entries", 0)
      assert.isAbove(value("haproxy_mcp_runtime_exchange_seconds_count"), 4)
      assert.isAbove(value("haproxy_mcp_apply_seconds_sum"), 0)
      assert.isBelow(value("haproxy_mcp_apply_seconds_sum"), value("haproxy_mcp_batch_seconds_sum"))
      assert.isBelow(value("haproxy_mcp_store_commit_seconds_sum"), value("haproxy_mcp_batch_seconds_sum"))
      assert.isAbove(value("process_resident_memory_bytes"), 20e6)
      assert.isAbove(value("process_cpu_seconds_total"), 0.05)
      assert.isAbove(value("process_open_fds"), 5)
      assert.isAtLeast(value("process_max_fds"), value("process_open_fds"))
      assert.closeTo(value("process_start_time_seconds"), Date.now() / 1000, 120)

      // Nothing but the scrape itself.
      yield* promise(() =>
        becomes(
          "one request",
          async () => (await scrape(server.url)).value("haproxy_mcp_http_requests_in_flight") === 1
        )
      )

      // A waiting call is a stream, and in flight.
      const origin = yield* startHeldOrigin
      yield* promise(() =>
        client.good("haproxy_add_server", { domain: "a.example.com", ip: "127.0.0.1", http_port: origin.port, slot: 2 })
      )
      yield* promise(() =>
        client.good("haproxy_set_server_state", { domain: "a.example.com", slot: 1, state: "maint" })
      )
      yield* origin.hold(site.httpPort, "a.example.com")
      yield* promise(() =>
        client.good("haproxy_set_server_state", { domain: "a.example.com", slot: 2, state: "drain" })
      )
      const held = client.call("haproxy_wait_drain", { domain: "a.example.com", timeout: 20 })
      yield* promise(() =>
        becomes("a stream", async () => (await scrape(server.url)).value("haproxy_mcp_streams_open") === 1)
      )
      client.close()
      yield* promise(() => held.catch(() => undefined))
      yield* promise(() =>
        becomes("no stream", async () => (await scrape(server.url)).value("haproxy_mcp_streams_open") === 0)
      )

      // HAProxy goes and comes back as another worker.
      const worker = yield* haproxy.workerPid
      yield* haproxy.stop
      const away = yield* promise(() =>
        poll("HAProxy away", async () => {
          const seen = await scrape(server.url)
          return seen.value("haproxy_mcp_in_sync") === 0 && seen.value("haproxy_mcp_runtime_link_up") === 0
            ? seen
            : undefined
        })
      )
      assert.strictEqual(away.value("haproxy_mcp_ready"), 0)
      yield* haproxy.start
      yield* promise(server.ready)
      const back = yield* promise(() => scrape(server.url))
      assert.strictEqual(back.value("haproxy_mcp_runtime_link_up"), 1)
      assert.strictEqual(back.value("haproxy_mcp_ready"), 1)
      assert.strictEqual(back.value("haproxy_mcp_epochs_total"), 2)
      assert.isAtLeast(back.value("haproxy_mcp_runtime_reconnects_total"), 1)
      assert.isAbove(back.value("haproxy_mcp_haproxy_worker_start_time_seconds"), 0)
      const workers = [...back.families.get("haproxy_mcp_haproxy_worker_info")!.series.keys()]
      assert.lengthOf(workers, 1)
      assert.notInclude(workers[0], `"${worker}"`)
      assert.include(workers[0], `"${yield* haproxy.workerPid}"`)
      // Slots without pools.cfg come back empty, so the reconciler had something to do.
      assert.isAtLeast(back.value("haproxy_mcp_drift_repaired_total"), 1)
      assert.isAtLeast(back.value("haproxy_mcp_reconciles_total{result=\"repaired\"}"), 1)

      // Somebody else adds an entry: the next write sees another number of entries, and a comparison follows.
      yield* haproxy.command(`add map ${site.runtimeDomainsMap} other.example.org other_backend`)
      const writer = server.client()
      yield* promise(() => writer.good("haproxy_add_domain", { domain: "b.example.com", share_with: "a.example.com" }))
      yield* promise(() =>
        becomes("foreign", async () => (await scrape(server.url)).value("haproxy_mcp_foreign_entries") === 1)
      )
    }), 60_000)

  it.live(
    "counts certificates: how they stand, what is loaded and when the first one ends",
    () =>
      Effect.gen(function*() {
        const good = makeCertificate(["good.test"], { from: -1, to: 80 })
        const soon = makeCertificate(["soon.test"], { from: -85, to: 5 })
        const haproxy: RealHaproxy = yield* startHaproxy({
          ...shape,
          tls: true,
          certificates: { "good.test.pem": good.text, "soon.test.pem": soon.text }
        })
        const { site } = haproxy
        const server = yield* startServer({
          token,
          env: settingsOf(site, { ...shape, env: { MCP_TOKEN: token } })
        })
        yield* promise(server.ready)
        const sees = (what: string, series: string, expected: number) =>
          promise(() => becomes(what, async () => (await scrape(server.url)).value(series) === expected))
        yield* sees("both are loaded", "haproxy_mcp_certificate_loaded", 2)
        yield* sees("one is valid", "haproxy_mcp_certificate_count{status=\"valid\"}", 1)
        yield* sees("one expires", "haproxy_mcp_certificate_count{status=\"expiring\"}", 1)
        const { value } = yield* promise(() => scrape(server.url))
        assert.strictEqual(value("haproxy_mcp_certificate_count{status=\"missing\"}"), 0)
        assert.strictEqual(value("haproxy_mcp_certificate_next_expiry_timestamp_seconds"), soon.notAfter / 1000)
        // What somebody put there is not renewed here.
        assert.strictEqual(value("haproxy_mcp_certificate_next_attempt_timestamp_seconds"), 0)
        assert.strictEqual(value("haproxy_mcp_certificate_issues_total{result=\"ok\"}"), 0)
        assert.isAtLeast(value("haproxy_mcp_certificate_restores_total{result=\"clean\"}"), 1)

        writeFileSync(join(site.certDir, "new.test.pem"), makeCertificate(["new.test"]).text)
        const client = server.client()
        yield* promise(() => client.good("haproxy_load_cert", { domain: "new.test" }))
        yield* sees("the new one is loaded", "haproxy_mcp_certificate_loaded", 3)
        yield* sees("it is counted", "haproxy_mcp_certificate_count{status=\"valid\"}", 2)
        const after = yield* promise(() => scrape(server.url))
        assert.strictEqual(after.value("haproxy_mcp_certificate_installs_total{result=\"ok\"}"), 1)
        assert.strictEqual(after.value("haproxy_mcp_certificate_tls_proofs_total{result=\"ok\"}"), 1)

        yield* haproxy.kill
        yield* sees("nobody knows what is loaded", "haproxy_mcp_certificate_loaded", 0)
        assert.isTrue((yield* promise(() => get(server.url))).text.includes("haproxy_mcp_certificate_count"))
      }),
    60_000
  )

  it.live.runIf(sshdReason === null)(
    "counts what goes to HAProxy's host by SSH, and how the copy there stands",
    () =>
      Effect.gen(function*() {
        const { server, sshd } = yield* runningOverSsh
        const before = yield* promise(() => scrape(server.url))
        for (const kind of ["network", "turned-away", "host-key", "user-key", "server"]) {
          assert.strictEqual(before.value(`haproxy_mcp_ssh_failures_total{kind="${kind}"}`), 0)
        }
        assert.strictEqual(before.value("haproxy_mcp_ssh_up"), 1)
        assert.strictEqual(before.value("haproxy_mcp_ssh_connections_total"), 1)
        assert.strictEqual(before.value("haproxy_mcp_remote_failures_total"), 0)
        assert.isAtLeast(before.value("haproxy_mcp_remote_uploads_total{kind=\"full\"}"), 1)
        assert.strictEqual(before.value("haproxy_mcp_remote_uploads_total{kind=\"delta\"}"), 0)
        const client = server.client()
        yield* promise(() => client.good("haproxy_add_domain", { domain: "a.example.com", ip: "10.0.0.1" }))
        const after = yield* promise(() => scrape(server.url))
        const grew = (series: string) => after.value(series) - before.value(series)
        // The first generation, and the one of the addition.
        assert.strictEqual(grew("haproxy_mcp_remote_uploads_total{kind=\"full\"}"), 1)
        assert.strictEqual(grew("haproxy_mcp_remote_generation"), 1)
        assert.strictEqual(grew("haproxy_mcp_remote_upload_seconds_count"), 1)
        assert.isAbove(grew("haproxy_mcp_remote_upload_seconds_sum"), 0)
        // A small database is shipped whole.
        assert.isAbove(grew("haproxy_mcp_remote_upload_bytes_total"), 4_096)
        yield* promise(() =>
          becomes("all is there", async () => (await scrape(server.url)).value("haproxy_mcp_remote_lag_commits") === 0)
        )
        assert.strictEqual(after.value("haproxy_mcp_remote_writer"), 1)
        // Of the generation: two files, a rename, the folder's flush, and looks.
        const steps = { look: 2, write: 2, name: 1, sync: 1 }
        for (const [step, least] of Object.entries(steps)) {
          assert.isAtLeast(grew(`haproxy_mcp_ssh_file_seconds_count{step="${step}"}`), least, step)
          assert.isAbove(after.value(`haproxy_mcp_ssh_file_seconds_sum{step="${step}"}`), 0, step)
        }

        yield* promise(sshd.kill)
        yield* promise(() =>
          becomes("the link is down", async () => {
            const { value } = await scrape(server.url)
            return value("haproxy_mcp_ssh_up") === 0 && value("haproxy_mcp_ssh_failures_total{kind=\"network\"}") >= 1
          })
        )
        yield* promise(sshd.start)
        yield* promise(() =>
          becomes("the link is back", async () => {
            const { value } = await scrape(server.url)
            return value("haproxy_mcp_ssh_up") === 1 && value("haproxy_mcp_ssh_connections_total") === 2
          })
        )
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("is what docs, board and alerts speak of", () =>
    Effect.gen(function*() {
      // Where no sshd can run (said aloud), those of HAProxy's host are missing, and the page is not compared.
      const { server } = yield* sshdReason === null ? runningOverSsh : running
      const { families } = yield* promise(() => scrape(server.url))
      const page = metricsPage(families)
      const at = (path: string) => join(root, path)
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(at("docs/metrics.md"), page)
      if (sshdReason === null) assert.strictEqual(readFileSync(at("docs/metrics.md"), "utf8"), page)

      const board = readFileSync(at("deploy/grafana/haproxy-mcp.json"), "utf8")
      const rules = readFileSync(at("deploy/prometheus/alerts.yml"), "utf8")
      const ruleTests = readFileSync(at("deploy/prometheus/alerts_test.yml"), "utf8")
      const guide = readFileSync(at("docs/observability.md"), "utf8")
      for (const [name, text] of Object.entries({ board, rules, ruleTests, guide })) {
        const spoken = new Set(
          text.match(/\b(?:haproxy_mcp|process|nodejs)_[a-z0-9_]+\b/g)?.filter((word) => !notMetrics.has(word))
        )
        assert.isAbove(spoken.size, 3, name)
        for (const word of spoken) {
          const base = word.replace(/_(?:bucket|sum|count)$/, "")
          const known = families.has(word) || families.get(base)?.type === "histogram"
          assert.isTrue(known, `${name}: there is no metric ${word}`)
        }
      }
      // Codes, reasons and tools that the rules look for are ones that exist.
      const values = (label: string) =>
        new Set(
          [...families.values()].flatMap(({ series }) => [...series.keys()])
            .flatMap((key) => [...key.matchAll(new RegExp(`${label}="([^"]+)"`, "g"))].map(([, value]) => value))
        )
      for (const [, label, , list] of rules.matchAll(/\b(code|reason|tool|result)(=|=~|!~)"([^"]+)"/g)) {
        for (const value of list!.split("|")) assert.isTrue(values(label!).has(value), `no ${label} is ${value}`)
      }
      // Each rule says what happened, what it means and what to do, and is tested.
      const alerts = rules.split("      - alert: ").slice(1)
      assert.isAtLeast(alerts.length, 15)
      for (const alert of alerts) {
        const name = /^\w+/.exec(alert)![0]
        for (const field of ["summary", "description", "action"]) assert.include(alert, `${field}: "`, name)
        assert.match(alert, /severity: (?:critical|warning|info) }/, name)
        assert.include(ruleTests, `alertname="${name}"`)
      }
    }), 60_000)

  it.runIf(promtool)("has alert rules that promtool takes, and that fire when they should", () => {
    const folder = join(root, "deploy", "prometheus")
    execFileSync("promtool", ["check", "rules", "alerts.yml"], { cwd: folder, stdio: "pipe" })
    execFileSync("promtool", ["test", "rules", "alerts_test.yml"], { cwd: folder, stdio: "pipe" })
  })
})
