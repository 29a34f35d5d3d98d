/**
 * A real ACME CA for tests: Let's Encrypt's Pebble, and the DNS server that it asks, on free ports, with an API
 * certificate of a CA of its own. Bad nonces are on, as Pebble has them. Gone when the scope closes.
 *
 * {@link acmeHome} makes a folder for acme.sh whose DNS hook `dns_test` writes to that DNS server. Files in the folder
 * change what the hook does: `dns-fails`, `dns-lies` (a wrong record, so that the CA rejects the name), `dns-hangs` (it
 * waits for ever, with a helper that has left the process group).
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import type { AcmeOptions } from "../../src/acme/Acme.ts"
import * as RunFolder from "../../src/acme/RunFolder.ts"
import { recordArguments } from "./CommandLines.ts"
import { FastAuthority } from "./FastAuthority.ts"
import { becomes } from "./Poll.ts"
import { releasePort, takePort } from "./Ports.ts"
import { startCommand } from "./Process.ts"

/** acme.sh's own script, not a wrapper: its hooks lie beside it. */
const scriptOf = async (name: "acme.sh" | "acme.sh-new"): Promise<string> =>
  join((await ensureProgram(name)).folder, "root/usr/share/acme.sh/acme.sh")

/** 3.1.1. */
export const acmeProgram: string = await scriptOf("acme.sh")
/** 3.1.5 or later: it can ask for a profile. */
export const newAcmeProgram = (): Promise<string> => scriptOf("acme.sh-new")
const pebble = await ensureProgram("pebble")

export interface PebbleOptions {
  /** Percent of nonces that are refused; default Pebble's own 5. */
  readonly badNonces?: number
  /** Seconds that certificates are valid, by profile; the default has one of 90 days. */
  readonly profiles?: Readonly<Record<string, number>>
  /** An external account binding without which there is no account. */
  readonly binding?: { readonly kid: string; readonly hmacKey: string }
  /** Names that it refuses to give certificates for. */
  readonly blocked?: ReadonlyArray<string>
}

export interface Pebble {
  /** The URL of its directory. */
  readonly directory: string
  /** PEM file: trusts its API. */
  readonly caBundle: string
  /** The CA of its API, for more servers of the same test. */
  readonly authority: FastAuthority
  /** PEM of the root below which it issues; a new one at every start. */
  readonly root: string
  /** `http://127.0.0.1:PORT` of the DNS server's management. */
  readonly dns: string
  /** Sets what it says about a certificate (PEM). RFC 3339 times. */
  readonly setRenewalInfo: (
    certificate: string,
    window: { readonly start: string; readonly end: string }
  ) => Promise<void>
  /** What it has written. */
  readonly output: () => string
}

const day = 86_400

const exchange = (url: string, authority: FastAuthority, body?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = {
      ca: authority.root,
      agent: false,
      timeout: 5_000,
      method: body === undefined ? "GET" : "POST",
      headers: { "user-agent": "test" }
    }
    const sent = request(url, options, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => text += part)
      response.on(
        "end",
        () => response.statusCode === 200 ? resolve(text) : reject(new Error(`${url}: ${response.statusCode} ${text}`))
      )
    })
    sent.on("error", reject)
    sent.end(body)
  })

const start = async (options: PebbleOptions) => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-pebble-"))
  const [api, management, dns, dnsManagement] = await Promise.all([takePort(), takePort(), takePort(), takePort()])
  const authority = new FastAuthority("Pebble API")
  const certificate = authority.issue(["localhost"])
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const caBundle = file("api-ca.pem", authority.root)
  const profiles = options.profiles ?? { default: 90 * day }
  const config = file(
    "config.json",
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${api}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: file("api.pem", certificate.chain),
        privateKey: file("api.key", certificate.key),
        httpPort: 5002,
        tlsPort: 5001,
        ocspResponderURL: "",
        externalAccountBindingRequired: options.binding !== undefined,
        ...(options.binding === undefined
          ? {}
          : { externalAccountMACKeys: { [options.binding.kid]: options.binding.hmacKey } }),
        domainBlocklist: options.blocked ?? ["blocked.example"],
        retryAfter: { authz: 1, order: 1 },
        keyAlgorithm: "ecdsa",
        profiles: Object.fromEntries(
          Object.entries(profiles).map(([name, validityPeriod]) => [name, { description: name, validityPeriod }])
        )
      }
    })
  )
  const limit = 300_000
  const listeners = ["-dnsserver", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${dnsManagement}`]
  const unused = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
  const server = startCommand(join(pebble.folder, "bin/pebble-challtestsrv"), [...listeners, ...unused], { limit })
  const ca = startCommand(
    join(pebble.folder, "bin/pebble"),
    ["-config", config, "-dnsserver", `127.0.0.1:${dns}`],
    {
      env: {
        PEBBLE_VA_NOSLEEP: "1",
        // Every order is verified anew, so that a test knows what will happen.
        PEBBLE_AUTHZREUSE: "0",
        ...(options.badNonces === undefined ? {} : { PEBBLE_WFE_NONCEREJECT: String(options.badNonces) })
      },
      limit
    }
  )
  const directory = `https://localhost:${api}/dir`
  const managed = `https://localhost:${management}`
  const stop = async () => {
    for (const one of [ca, server]) one.signal("SIGKILL")
    await Promise.all([ca.ended, server.ended])
    for (const port of [api, management, dns, dnsManagement]) releasePort(port)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await becomes("Pebble answers", async () => {
      await exchange(directory, authority)
      return (await fetch(`http://127.0.0.1:${dnsManagement}/clear-txt`, { method: "POST", body: "{\"host\":\"x.\"}" }))
        .ok
    })
    const root = await exchange(`${managed}/roots/0`, authority)
    const running: Pebble = {
      directory,
      caBundle,
      authority,
      root,
      dns: `http://127.0.0.1:${dnsManagement}`,
      setRenewalInfo: async (pem, window) => {
        const response = JSON.stringify({ suggestedWindow: window })
        await exchange(
          `${managed}/set-renewal-info/`,
          authority,
          JSON.stringify({ certificate: pem, ariResponse: response })
        )
      },
      output: ca.output
    }
    return { running, stop }
  } catch (error) {
    const said = ca.output() + server.output()
    await stop()
    throw new Error(`Pebble does not start: ${String(error)}\n${said}`, { cause: error })
  }
}

/** Starts one in the scope. */
export const startPebble = (options: PebbleOptions = {}) =>
  Effect.map(
    Effect.acquireRelease(Effect.promise(() => start(options)), ({ stop }) => Effect.promise(stop)),
    ({ running }) => running
  )

const hook = (dns: string) =>
  `#!/usr/bin/env sh
# TEST_Token is what a real hook would show its provider.
dns_test_add() {
  TEST_Token="\${TEST_Token:-$(_readaccountconf_mutable TEST_Token)}"
  [ -z "$TEST_Token" ] || _saveaccountconf_mutable TEST_Token "$TEST_Token"
  : >"$LE_WORKING_DIR/dns-called"
  if [ -f "$LE_WORKING_DIR/dns-fails" ]; then
    _err "refused for token $TEST_Token"
    return 1
  fi
  if [ -f "$LE_WORKING_DIR/dns-hangs" ]; then
    setsid sleep 600 &
    sleep 600
  fi
  value="$2"
  [ ! -f "$LE_WORKING_DIR/dns-lies" ] || value="bm90aGluZy1saWtlLWl0LW5vdGhpbmctbGlrZS1pdC0"
  _H1="Authorization: Bearer $TEST_Token"
  _post "{\\"host\\":\\"$1.\\",\\"value\\":\\"$value\\"}" "${dns}/set-txt" >/dev/null
}
dns_test_rm() {
  _post "{\\"host\\":\\"$1.\\"}" "${dns}/clear-txt" >/dev/null
}
`

/** A folder for acme.sh, and the settings that go with it. */
export interface AcmeHome {
  readonly folder: string
  readonly options: AcmeOptions
  /** Puts a file there, readable by its owner alone unless `mode` says otherwise. */
  readonly write: (name: string, text: string, mode?: number) => string
  /** Does the hook behave differently now? */
  readonly set: (how: "dns-fails" | "dns-lies" | "dns-hangs", on: boolean) => void
  readonly has: (name: string) => boolean
  /** The settings with programs in PATH that write down their arguments, and these as one text. */
  readonly recording: () => { readonly options: AcmeOptions; readonly argumentLists: () => string }
}

/** Makes one in the scope. `changes` are put over the settings. */
export const acmeHome = (
  ca: Pick<Pebble, "directory" | "caBundle" | "dns">,
  changes: Partial<AcmeOptions> & { readonly acmeEabHmacKey?: Redacted.Redacted<string> | null } = {}
) =>
  Effect.acquireRelease(
    Effect.sync((): AcmeHome => {
      const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-acme-"))
      const write = (name: string, text: string, mode = 0o600) => {
        const path = join(folder, name)
        mkdirSync(join(path, ".."), { recursive: true })
        writeFileSync(path, text, { mode })
        return path
      }
      write("dnsapi/dns_test.sh", hook(ca.dns), 0o755)
      const options: AcmeOptions = {
        acmeHome: folder,
        acmeCommand: [acmeProgram],
        acmeServer: ca.directory,
        acmeEmail: null,
        acmeEabKid: null,
        acmeEabHmacKey: null,
        acmeDns: "dns_test",
        acmeDnsSleep: 0,
        acmeCredentialsFile: join(folder, "credentials.ini"),
        acmeKeyType: "ec-256",
        acmeProfile: null,
        acmeCaBundle: ca.caBundle,
        acmeTimeout: 120_000,
        env: { PATH: process.env["PATH"], HOME: folder },
        ...changes
      }
      return {
        folder,
        write,
        recording: () => {
          const { path, recorded } = recordArguments(folder)
          return { options: { ...options, env: { ...options.env, PATH: path } }, argumentLists: recorded }
        },
        set: (how, on) => on ? void write(how, "") : rmSync(join(folder, how), { force: true }),
        has: (name) => existsSync(join(folder, name)),
        options
      }
    }),
    ({ folder }) =>
      Effect.sync(() => {
        // Of a control plane that a test has killed.
        const runs = join(folder, "haproxy-mcp-runs")
        if (existsSync(runs)) { for (const name of readdirSync(runs)) RunFolder.killAll(join(runs, name)) }
        rmSync(folder, { recursive: true, force: true })
      })
  )
