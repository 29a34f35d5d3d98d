/** nginx: one server block and file per host, added by writing the file and a reload (SIGHUP to the master). */
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { startChild, untilReady } from "../Children.ts"
import { ownPort } from "../World.ts"
import { isRouted, type Peer } from "./Peer.ts"

export const nginx: Peer = {
  program: "nginx",
  how: "server block and reload",
  start: Effect.fnUntraced(function*(bench, { hosts, originPort, program }) {
    const folder = join(bench.folder, "nginx")
    const sites = join(folder, "sites")
    mkdirSync(sites, { recursive: true })
    const httpPort = yield* ownPort
    const block = (host: string) =>
      [
        "server {",
        `  listen 127.0.0.1:${httpPort};`,
        `  server_name ${host};`,
        `  location / { proxy_pass http://127.0.0.1:${originPort}; }`,
        "}",
        ""
      ].join("\n")
    const write = (host: string) => writeFileSync(join(sites, `${host}.conf`), block(host))
    hosts.forEach(write)
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) =>
      `  ${kind}_temp_path ${join(folder, kind)};`
    )
    const file = join(folder, "nginx.conf")
    writeFileSync(
      file,
      [
        "daemon off;",
        // Started by root it would look for a user of its own.
        ...(userInfo().uid === 0 ? ["user root root;"] : []),
        "worker_processes auto;",
        `pid ${join(folder, "nginx.pid")};`,
        "error_log stderr error;",
        "events { worker_connections 1024; }",
        "http {",
        "  access_log off;",
        "  server_names_hash_max_size 65536;",
        "  server_names_hash_bucket_size 128;",
        ...temporary,
        `  server { listen 127.0.0.1:${httpPort} default_server; return 404; }`,
        `  include ${sites}/*.conf;`,
        "}",
        ""
      ].join("\n")
    )
    const child = yield* startChild(program, ["-p", folder, "-c", file, "-e", "stderr"], {
      logFile: join(folder, "nginx.log"),
      cwd: folder
    })
    yield* Effect.promise(() => untilReady("nginx", child, () => isRouted(httpPort, hosts.at(-1)!)))
    return {
      httpPort,
      add: async (host) => {
        write(host)
        child.send("SIGHUP")
      }
    }
  })
}
