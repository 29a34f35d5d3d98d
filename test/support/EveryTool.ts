/** Every tool once with good arguments, in an order in which each has something to do, by any client of MCP. */
import { assert } from "@effect/vitest"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connect } from "node:tls"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { makeCertificate } from "./Certificates.ts"

/** A tool call's end, as any client gives it. */
export interface Called {
  readonly structuredContent?: unknown
  readonly isError?: boolean | undefined
  readonly content: unknown
}

export interface EveryToolOptions {
  readonly call: (name: string, args: Record<string, unknown>) => Promise<Called>
  /** One label; the domains are below it. */
  readonly name: string
  /** Ports of two origins on 127.0.0.1. */
  readonly first: number
  readonly second: number
  /** Answers the body that a host gets through HAProxy. */
  readonly visit: (host: string) => Promise<string>
  /** Bodies of the two origins. */
  readonly bodies: readonly [string, string]
  /** The folder of certificates, and the port of 127.0.0.1 where HAProxy serves them. */
  readonly tls: { readonly folder: string; readonly port: number }
}

/** SHA-256 of the certificate that a host gets; null: it gets none. */
const shownTo = (port: number, host: string): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, servername: host, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256.replaceAll(":", ""))
      socket.destroy()
    })
    socket.once("error", () => resolve(null))
    socket.once("close", () => resolve(null))
  })

type Data = Record<string, unknown>

/** Leaves nothing behind. */
export const callEveryTool = async (options: EveryToolOptions): Promise<void> => {
  const { bodies, first, name, second, tls, visit } = options
  const used = new Set<string>()
  const good = async (tool: string, args: Data = {}): Promise<Data> => {
    used.add(tool)
    const { content, isError, structuredContent } = await options.call(tool, args)
    const [block] = content as ReadonlyArray<{ readonly type: string; readonly text: string }>
    assert.notStrictEqual(isError, true, `${tool}: ${block?.text}`)
    assert.strictEqual(block?.type, "text", tool)
    assert.strictEqual(block?.text, JSON.stringify(structuredContent), tool)
    assert.strictEqual(Object.keys(structuredContent as Data)[0], "summary", tool)
    return structuredContent as Data
  }
  const site = `${name}-test.com`
  const share = `shop.${site}`
  const ip = "127.0.0.1"

  const added = await good("haproxy_add_domain", { domain: site, ip, http_port: first })
  assert.deepInclude(added, { domain: site, wildcard: `*.${site}`, changed: true, warnings: [] })
  assert.strictEqual(await visit(site), bodies[0])
  assert.strictEqual(await visit(`any.${site}`), bodies[0])
  const shared = await good("haproxy_add_domain", { domain: share, share_with: site })
  assert.deepInclude(shared, { shares_with: site, backend: added["backend"] })
  assert.deepInclude(await good("haproxy_add_server", { domain: site, slot: 0, ip, http_port: second }), { slot: 2 })
  const many = [{ ip: "127.0.0.2", http_port: second }, { ip: "127.0.0.3", http_port: second, slot: 4 }]
  assert.lengthOf((await good("haproxy_add_servers", { domain: site, servers: many }))["servers"] as Array<unknown>, 4)
  await good("haproxy_remove_server", { domain: site, slot: 3 })
  await good("haproxy_remove_server", { domain: site, slot: 4 })
  await good("haproxy_set_server_weight", { domain: site, slot: 2, weight: 100 })
  const pool = String(added["backend"])
  await good("haproxy_set_server_state", { backend: pool, server: `${pool}_1`, state: "drain" })
  const drained = await good("haproxy_wait_drain", { domain: site, slot: 1, timeout: 10 })
  assert.deepInclude(drained, { drained: true, remaining: [] })
  assert.strictEqual(await visit(site), bodies[1])
  const listed = await good("haproxy_list_servers", { domain: share })
  assert.deepStrictEqual(
    (listed["servers"] as ReadonlyArray<Data>).map((server) => [server["slot"], server["weight"], server["state"]]),
    [[1, 1, "drain"], [2, 100, "ready"]]
  )
  const set = await good("haproxy_set_domain_state", { domain: site, state: "ready" })
  const followed = await good("haproxy_operation", { operation_id: set["change_id"], wait: 1 })
  assert.deepInclude(followed, { tool: "haproxy_set_domain_state", status: "applied", failure: null })
  assert.deepInclude(await good("haproxy_domain_health", { domain: share }), { status: "healthy", healthy_count: 2 })
  assert.deepInclude(await good("haproxy_explain", { host: `any.${site}` }), { outcome: "served", domain: `*.${site}` })
  const servers = await good("haproxy_get_server_health", { backend: pool })
  assert.deepInclude(servers, { total: 2, counts: { up: 2, down: 0, drain: 0, maint: 0 } })
  const stats = await good("haproxy_stats")
  assert.isAtLeast((stats["backends"] as { readonly healthy: number }).healthy, 1)
  const issued = await good("haproxy_issue_cert", { domain: site })
  assert.deepInclude(issued, { certificate: site, domains: [site, `*.${site}`], changed: true, proved: true })
  assert.strictEqual(await shownTo(tls.port, `any.${site}`), issued["fingerprint_sha256"])
  const renewed = await good("haproxy_renew_cert", { domain: site, force: true })
  assert.deepInclude(renewed, { certificate: site, changed: true, proved: true })
  assert.notStrictEqual(renewed["fingerprint_sha256"], issued["fingerprint_sha256"])
  assert.strictEqual(await shownTo(tls.port, site), renewed["fingerprint_sha256"])
  assert.deepInclude(await good("haproxy_renew_all_certs"), { due: 0, renewed: [], failed: [] })
  const brought = `${name}-brought`
  await writeFile(join(tls.folder, `${brought}.pem`), makeCertificate([`${name}-brought.org`]).text, { mode: 0o600 })
  const loaded = await good("haproxy_load_cert", { domain: brought })
  assert.deepInclude(loaded, { certificate: brought, domains: [`${name}-brought.org`], changed: true, proved: true })
  const certs = await good("haproxy_list_certs", { search: name })
  assert.deepStrictEqual(
    (certs["certificates"] as ReadonlyArray<Data>).map((one) => [one["certificate"], one["source"], one["loaded"]]),
    [[brought, "file", true], [site, "acme", true]]
  )
  const info = await good("haproxy_cert_info", { domain: `any.${site}` })
  assert.deepInclude(info, { certificate: site, fingerprint_sha256: renewed["fingerprint_sha256"], failures: 0 })
  assert.include(info["needed_by"] as ReadonlyArray<string>, site)
  assert.deepInclude(await good("haproxy_delete_cert", { domain: brought }), { changed: true, needed_by: [] })
  assert.strictEqual(await shownTo(tls.port, `${name}-brought.org`), null)
  const backends = await good("haproxy_backends", { search: site })
  assert.deepInclude((backends["backends"] as ReadonlyArray<Data>)[0], { name: pool, domain: site, servers_up: 2 })
  const frontends = await good("haproxy_list_frontends")
  assert.isAtLeast((frontends["frontends"] as ReadonlyArray<Data>).length, 1)
  const load = await good("haproxy_get_connections", { backend: pool })
  assert.deepInclude((load["backends"] as ReadonlyArray<Data>)[0], { name: pool, domain: site, servers_total: 2 })
  assert.deepInclude(await good("haproxy_check_config"), { valid: true })
  assert.isAtLeast((await good("haproxy_save_state"))["servers"] as number, 2)
  await good("haproxy_set_server_weight", { domain: site, slot: 2, weight: 7 })
  const restored = await good("haproxy_restore_state")
  assert.deepInclude(restored, { changed: true, restored_count: 1, skipped_count: 0 })
  assert.deepStrictEqual(restored["restored"], [{ server: `${pool}_2`, weight: 100, state: "ready" }])
  const reloaded = await good("haproxy_reload")
  const [before, after] = [reloaded["old_worker"], reloaded["new_worker"]] as ReadonlyArray<{ readonly pid: number }>
  assert.notStrictEqual(before!.pid, after!.pid)
  assert.include(bodies, await visit(site), "after the reload")
  assert.strictEqual(await shownTo(tls.port, site), renewed["fingerprint_sha256"], "after the reload")
  const health = await good("haproxy_health")
  assert.strictEqual(health["status"], "healthy", JSON.stringify(health))
  const page = await good("haproxy_list_domains", { search: site, include_wildcards: true })
  assert.deepStrictEqual(
    (page["domains"] as ReadonlyArray<Data>).map(({ domain }) => domain).sort(),
    [
      `*.${site}`,
      share,
      site
    ].sort()
  )
  await good("haproxy_cleanup_wildcards", { dry_run: true })
  const left = await good("haproxy_remove_domain", { domain: share })
  const log = (await good("haproxy_changes", { domain: share, limit: 1 }))["changes"] as ReadonlyArray<Data>
  assert.deepInclude(log[0], { change_id: left["change_id"], tool: "haproxy_remove_domain", outcome: "applied" })
  assert.deepInclude(await good("haproxy_revert", { change_id: left["change_id"] }), {
    reverted: left["change_id"],
    changed: true
  })
  assert.include(bodies, await visit(share), "what was taken back is served")
  await good("haproxy_remove_domain", { domain: share })
  assert.deepInclude(await good("haproxy_remove_domain", { domain: site }), { pool_freed: true, changed: true })
  assert.strictEqual(await visit(site), "no route")
  assert.deepInclude(await good("haproxy_delete_cert", { domain: site }), { certificate: site, changed: true })
  assert.strictEqual(await shownTo(tls.port, site), null)
  assert.deepStrictEqual([...used].sort(), [...defaultNames].sort(), "every tool was called")
}
