/** How HAProxy is reached and how its host is told to reload and to check its configuration. */
import { host, integer, oneOf, optional, type Setting, socketPath, users, withDefault } from "../Setting.ts"

export const haproxy = {
  haproxyRuntimeMode: withDefault("HAPROXY_RUNTIME_MODE", oneOf("tcp4", "unix", "ssh"), "tcp4", {
    group: "HAProxy",
    description: "How to reach the Runtime API: over TCP, a socket here (unix) or one on HAPROXY_SSH_HOST (ssh).",
    metavar: "tcp4|unix|ssh",
    example: "unix",
    usedBy: users.haproxy
  }),
  haproxyHost: withDefault("HAPROXY_HOST", host, "localhost", {
    group: "HAProxy",
    description: "Host of the Runtime API in mode tcp4.",
    metavar: "HOST",
    example: "10.0.0.2",
    usedBy: users.haproxy
  }),
  haproxyPort: withDefault("HAPROXY_PORT", integer(1, 65_535), "9999", {
    group: "HAProxy",
    description: "Port of the Runtime API in mode tcp4.",
    metavar: "PORT",
    example: "9999",
    usedBy: users.haproxy
  }),
  haproxyRuntimeSocket: optional("HAPROXY_RUNTIME_SOCKET", socketPath(107), "not set", {
    group: "HAProxy",
    description: "Socket of the Runtime API in the modes unix and ssh; needed there.",
    metavar: "FILE",
    example: "/run/haproxy/admin.sock",
    usedBy: users.haproxy
  })
} as const satisfies Record<string, Setting<unknown>>
