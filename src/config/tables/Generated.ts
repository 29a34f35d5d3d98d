/** What only `haproxy-mcp config` uses: the haproxy.cfg that it prints. */
import { address, integer, list, onOff, optional, type Setting, users, withDefault, word } from "../Setting.ts"

export const generated = {
  haproxyBind: withDefault("HAPROXY_BIND", list(address), "0.0.0.0", {
    group: "Generated haproxy.cfg",
    description: "Addresses of HAProxy's frontend. For IPv6 too: 0.0.0.0,::",
    metavar: "IP,…",
    example: "203.0.113.7,2001:db8::7",
    usedBy: users.generated
  }),
  haproxyHttpPort: withDefault("HAPROXY_HTTP_PORT", integer(1, 65_535), "80", {
    group: "Generated haproxy.cfg",
    description: "Port of the frontend for HTTP.",
    metavar: "PORT",
    example: "8080",
    usedBy: users.generated
  }),
  haproxyHttpsPort: withDefault("HAPROXY_HTTPS_PORT", integer(1, 65_535), "443", {
    group: "Generated haproxy.cfg",
    description: "Port of the frontend for HTTPS, when there is a folder of certificates.",
    metavar: "PORT",
    example: "8443",
    usedBy: users.generated
  }),
  haproxyHttps: withDefault("HAPROXY_HTTPS", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "HTTPS with the certificates of HAPROXY_CERT_DIR, a folder that must exist and may be empty.",
    metavar: "on|off",
    example: "off",
    usedBy: users.generated
  }),
  haproxyHttpsRedirect: withDefault("HAPROXY_HTTPS_REDIRECT", onOff, "off", {
    group: "Generated haproxy.cfg",
    description: "Send everyone who asks by HTTP to HTTPS: once every site has a certificate.",
    metavar: "on|off",
    example: "on",
    usedBy: users.generated
  }),
  haproxyStrictSni: withDefault("HAPROXY_STRICT_SNI", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "A name without a certificate gets no TLS. off: it gets the first certificate of the folder.",
    metavar: "on|off",
    example: "off",
    usedBy: users.generated
  }),
  haproxyHttp3: withDefault("HAPROXY_HTTP3", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "HTTP/3 beside HTTPS. off for a HAProxy that was built without QUIC.",
    metavar: "on|off",
    example: "off",
    usedBy: users.generated
  }),
  haproxySocketGroup: optional("HAPROXY_SOCKET_GROUP", word, "HAProxy's user alone", {
    group: "Generated haproxy.cfg",
    description: "Group that may use the Runtime API's unix socket besides HAProxy's own user.",
    metavar: "GROUP",
    example: "haproxy-mcp",
    usedBy: users.generated
  }),
  haproxyHealthChecks: withDefault("HAPROXY_HEALTH_CHECKS", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "TCP health checks of every server.",
    metavar: "on|off",
    example: "off",
    usedBy: users.generated
  })
} as const satisfies Record<string, Setting<unknown>>
