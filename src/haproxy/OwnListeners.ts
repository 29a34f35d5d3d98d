/**
 * The listeners that a printed configuration opens, for the rule that no server may point back at one of them.
 * Only of a configuration that {@link HaproxyConfigOptions} describes: what an operator added by hand is not seen.
 */
import type { Listener } from "../domain/Address.ts"
import type { HaproxyConfigOptions } from "./HaproxyConfig.ts"

/** Frontends and the Runtime API over TCP. `ip` may be unspecified (`0.0.0.0`, `::`). */
export const ownListeners = (
  options: Pick<HaproxyConfigOptions, "addresses" | "httpPort" | "httpsPort" | "tls" | "runtime">
): ReadonlyArray<Listener> => {
  const web = options.addresses.flatMap((ip): ReadonlyArray<Listener> => [
    { ip, port: options.httpPort, name: "HAProxy's HTTP frontend" },
    ...(options.tls === null ? [] : [{ ip, port: options.httpsPort, name: "HAProxy's HTTPS frontend" }])
  ])
  const { tcp } = options.runtime
  return tcp === null ? web : [...web, { ip: tcp.ip, port: tcp.port, name: "HAProxy's Runtime API" }]
}
