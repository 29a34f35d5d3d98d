/** nginx: one server block with its certificate and key per name, added by writing the files and a reload (SIGHUP). */
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import type { FastCertificate } from "../../test/support/FastAuthority.ts"
import { startChild, untilReady } from "../Children.ts"
import { ownPort } from "../World.ts"
import type { TlsPeer } from "./TlsPeer.ts"

export const nginxTls: TlsPeer = {
  program: "nginx",
  how: "server block and reload",
  start: Effect.fnUntraced(function*(bench, { certificates, program, shows }) {
    const folder = join(bench.folder, "nginx-tls")
    const sites = join(folder, "sites")
    mkdirSync(sites, { recursive: true })
    const tlsPort = yield* ownPort
    const write = ({ names, text }: FastCertificate) => {
      const file = join(sites, names[0]!)
      writeFileSync(`${file}.pem`, text)
      const block = [
        "server {",
        `  listen 127.0.0.1:${tlsPort} ssl;`,
        `  server_name ${names[0]};`,
        `  ssl_certificate ${file}.pem;`,
        `  ssl_certificate_key ${file}.pem;`,
        `  return 200 "nginx";`,
        "}",
        ""
      ]
      writeFileSync(`${file}.conf`, block.join("\n"))
    }
    certificates.forEach(write)
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
        "  ssl_protocols TLSv1.2 TLSv1.3;",
        "  server_names_hash_max_size 65536;",
        "  server_names_hash_bucket_size 128;",
        ...temporary,
        `  server { listen 127.0.0.1:${tlsPort} ssl default_server; ssl_reject_handshake on; }`,
        `  include ${sites}/*.conf;`,
        "}",
        ""
      ].join("\n")
    )
    const child = yield* startChild(program, ["-p", folder, "-c", file, "-e", "stderr"], {
      logFile: join(folder, "nginx.log"),
      cwd: folder
    })
    yield* Effect.promise(() => untilReady("nginx", child, () => shows(tlsPort, certificates.at(-1)!)))
    return {
      tlsPort,
      add: async (certificate) => {
        write(certificate)
        child.send("SIGHUP")
      }
    }
  })
}
