/**
 * A CA on this machine: Pebble, Let's Encrypt's own ACME server for tests, and the DNS server that it asks. Certificates
 * of it are real in everything but whom a browser trusts; its root is made anew at every start.
 *
 * The control plane is told of it by its usual settings, nothing else: the URL, a DNS hook (here one that writes to
 * Pebble's DNS server in place of Cloudflare) and a file with the hook's credentials.
 */
import { mkdir, writeFile } from "node:fs/promises"
import { request } from "node:https"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { AcmePrograms } from "./CertificatePrograms.ts"
import { type Child, until } from "./Children.ts"
import { host } from "./Ports.ts"
import { selfSigned } from "./SelfSigned.ts"

export interface AcmeServer {
  /** URL of its directory. */
  readonly url: string
  /** PEM file of the root below which it issues. */
  readonly root: string
  /** Settings of the control plane. */
  readonly environment: Readonly<Record<string, string>>
}

/** Starts a program that ends with the demo. */
export type Start = (key: "acme" | "dns", name: string, program: string, args: ReadonlyArray<string>) => Child

const startLimit = 20_000

const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
        const server = createServer()
        server.once("error", reject)
        server.listen(0, host, () => resolve(server))
      }))
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** What a URL answers; nothing while nobody answers there. */
const read = (url: string, ca: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    // Pebble refuses those who do not say who they are (RFC 8555, 6.1).
    const headers = { "user-agent": "haproxy-mcp-demo" }
    const sent = request(url, { ca, agent: false, timeout: 5_000, headers }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => text += part)
      response.once("error", () => resolve(undefined))
      response.once("end", () => resolve(response.statusCode === 200 ? text : undefined))
    })
    sent.once("timeout", () => sent.destroy())
    sent.once("error", () => resolve(undefined))
    sent.end()
  })

/** acme.sh's way to a DNS provider: two functions that set and remove a TXT record. */
const hook = `#!/usr/bin/env sh
dns_demo_add() { _demo set-txt "{\\"host\\":\\"$1.\\",\\"value\\":\\"$2\\"}"; }
dns_demo_rm() { _demo clear-txt "{\\"host\\":\\"$1.\\"}"; }
_demo() { curl --noproxy '*' -fsS -d "$2" "$DEMO_DNS/$1" >/dev/null; }
`

/** Starts it in a folder, whose path holds no space. */
export const startAcmeServer = async (programs: AcmePrograms, folder: string, start: Start): Promise<AcmeServer> => {
  const home = join(folder, "home")
  await mkdir(join(home, "dnsapi"), { recursive: true, mode: 0o700 })
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const [api = 0, management = 0, dns = 0, records = 0] = await freePorts(4)
  const own = selfSigned(["localhost", host], 30)
  const trusted = await file("api.pem", own.certificate)
  const config = await file(
    "pebble.json",
    JSON.stringify({
      pebble: {
        listenAddress: `${host}:${api}`,
        managementListenAddress: `${host}:${management}`,
        certificate: trusted,
        privateKey: await file("api.key", own.key),
        httpPort: 5002,
        tlsPort: 5001,
        retryAfter: { authz: 1, order: 1 },
        keyAlgorithm: "ecdsa"
      }
    })
  )
  const nothing = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
  const listens = ["-dnsserver", `${host}:${dns}`, "-management", `${host}:${records}`]
  start("dns", "Pebble's DNS server", programs.dns, listens.concat(nothing))
  const child = start("acme", "Pebble", programs.pebble, ["-config", config, "-dnsserver", `${host}:${dns}`])
  const url = `https://${host}:${api}/dir`
  await until("Pebble answers", () => read(url, own.certificate), { limit: startLimit, child })
  const issuer = await until(
    "Pebble shows its root",
    () => read(`https://${host}:${management}/roots/0`, own.certificate),
    {
      limit: startLimit,
      child
    }
  )
  await writeFile(join(home, "dnsapi", "dns_demo.sh"), hook, { mode: 0o700 })
  return {
    url,
    root: await file("root.pem", issuer),
    environment: {
      ACME_HOME: home,
      ACME_COMMAND: programs.acme,
      ACME_SERVER: url,
      ACME_CA_BUNDLE: trusted,
      ACME_DNS: "dns_demo",
      ACME_DNS_SLEEP: "0",
      ACME_CREDENTIALS_FILE: await file("dns.env", `DEMO_DNS=http://${host}:${records}\n`),
      // acme.sh's curl would take a proxy for 127.0.0.1 too.
      no_proxy: host
    }
  }
}
