/** Caddy: one more certificate through its admin API, which answers when the new configuration runs. */
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { FastCertificate } from "../../test/support/FastAuthority.ts"
import { startChild, untilReady } from "../Children.ts"
import { post, RawHttp } from "../RawHttp.ts"
import { ownPort } from "../World.ts"
import type { TlsPeer } from "./TlsPeer.ts"

export const caddyTls: TlsPeer = {
  program: "caddy",
  how: "admin API, load_pem appended",
  start: Effect.fnUntraced(function*(bench, { certificates, program, shows }) {
    const folder = join(bench.folder, "caddy-tls")
    mkdirSync(folder, { recursive: true })
    const tlsPort = yield* ownPort
    const adminPort = yield* ownPort
    const pem = ({ chain, key }: FastCertificate) => ({ certificate: chain, key })
    const config = {
      admin: { listen: `127.0.0.1:${adminPort}`, config: { persist: false } },
      logging: { logs: { default: { level: "ERROR" } } },
      apps: {
        tls: { certificates: { load_pem: certificates.map(pem) }, disable_ocsp_stapling: true },
        http: {
          servers: {
            main: {
              listen: [`127.0.0.1:${tlsPort}`],
              protocols: ["h1", "h2"],
              automatic_https: { disable: true },
              tls_connection_policies: [{}],
              routes: [{ handle: [{ handler: "static_response", body: "caddy" }] }]
            }
          }
        }
      }
    }
    const file = join(folder, "caddy.json")
    writeFileSync(file, JSON.stringify(config))
    const child = yield* startChild(program, ["run", "--config", file], {
      logFile: join(folder, "caddy.log"),
      cwd: folder,
      env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
    })
    yield* Effect.promise(() => untilReady("caddy", child, () => shows(tlsPort, certificates.at(-1)!)))
    return {
      tlsPort,
      add: async (certificate) => {
        const connection = await RawHttp.connect(adminPort)
        const { body, status } = await connection.send(
          post(
            `127.0.0.1:${adminPort}`,
            "/config/apps/tls/certificates/load_pem",
            JSON.stringify(pem(certificate))
          )
        )
        connection.close()
        if (status !== 200) throw new Error(`Caddy answers ${status} ${body}`)
      }
    }
  })
}
