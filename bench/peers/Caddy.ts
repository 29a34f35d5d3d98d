/** Caddy: one route per host, added through its admin API, which answers when the new configuration runs. */
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startChild, untilReady } from "../Children.ts"
import { post, RawHttp } from "../RawHttp.ts"
import { ownPort } from "../World.ts"
import { isRouted, type Peer } from "./Peer.ts"

export const caddy: Peer = {
  program: "caddy",
  how: "admin API, a route appended",
  start: Effect.fnUntraced(function*(bench, { hosts, originPort, program }) {
    const folder = join(bench.folder, "caddy")
    mkdirSync(folder, { recursive: true })
    const httpPort = yield* ownPort
    const adminPort = yield* ownPort
    const route = (host: string) => ({
      match: [{ host: [host] }],
      handle: [{ handler: "reverse_proxy", upstreams: [{ dial: `127.0.0.1:${originPort}` }] }],
      terminal: true
    })
    const config = {
      admin: { listen: `127.0.0.1:${adminPort}` },
      logging: { logs: { default: { level: "ERROR" } } },
      apps: {
        http: {
          servers: {
            main: {
              listen: [`127.0.0.1:${httpPort}`],
              automatic_https: { disable: true },
              routes: hosts.map(route)
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
    yield* Effect.promise(() => untilReady("caddy", child, () => isRouted(httpPort, hosts.at(-1)!)))
    return {
      httpPort,
      add: async (host) => {
        const connection = await RawHttp.connect(adminPort)
        const { body, status } = await connection.send(
          post(`127.0.0.1:${adminPort}`, "/config/apps/http/servers/main/routes", JSON.stringify(route(host)))
        )
        connection.close()
        if (status !== 200) throw new Error(`Caddy answers ${status} ${body}`)
      }
    }
  })
}
