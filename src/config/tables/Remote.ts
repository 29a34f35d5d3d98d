/**
 * HAProxy's host when it is another one: how it is reached by SSH, and what is kept there. Nothing of it counts without
 * HAPROXY_SSH_HOST.
 */
import {
  host,
  hostKey,
  integer,
  list,
  oneOf,
  onOff,
  optional,
  path,
  type Setting,
  userName,
  users,
  withDefault
} from "../Setting.ts"

const group = "HAProxy's host over SSH"
const usedBy = users.database

export const remote = {
  haproxySshHost: optional("HAPROXY_SSH_HOST", host, "not set: HAProxy's files are on this machine", {
    group,
    description: "HAProxy's host when it is another one: its files are read and written there, over SSH.",
    metavar: "HOST",
    example: "edge.example.com",
    usedBy
  }),
  haproxySshPort: withDefault("HAPROXY_SSH_PORT", integer(1, 65_535), "22", {
    group,
    description: "Port of the sshd of that host.",
    metavar: "PORT",
    example: "22",
    usedBy
  }),
  haproxySshUser: optional("HAPROXY_SSH_USER", userName, "the user of this process", {
    group,
    description: "User there; it needs HAProxy's files and its socket, and no more.",
    metavar: "NAME",
    example: "haproxy-mcp",
    usedBy
  }),
  haproxySshKeyFile: optional("HAPROXY_SSH_KEY_FILE", path, "the keys of the agent at SSH_AUTH_SOCK", {
    group,
    description: "Private key of that user, for nobody else to read (mode 0600).",
    metavar: "FILE",
    example: "/etc/haproxy-mcp/id_ed25519",
    usedBy
  }),
  haproxySshKeyPassphraseFile: optional("HAPROXY_SSH_KEY_PASSPHRASE_FILE", path, "the key is not encrypted", {
    group,
    description: "File with the passphrase of the key in its first line, mode 0600.",
    metavar: "FILE",
    example: "/etc/haproxy-mcp/id_ed25519.passphrase",
    usedBy
  }),
  haproxySshHostKey: withDefault("HAPROXY_SSH_HOST_KEY", list(hostKey), "", {
    group,
    description: "Keys by which the host is known: fingerprint or public key. With it known_hosts is not read.",
    metavar: "KEY,…",
    example: "SHA256:uNiVztksCsDhcc0u9e8BrfgtMAGNH1KR79uHyeO5xts",
    usedBy
  }),
  haproxySshKnownHosts: withDefault("HAPROXY_SSH_KNOWN_HOSTS", path, "~/.ssh/known_hosts", {
    group,
    description: "known_hosts file with the host's keys. A host that is not in it is refused.",
    metavar: "FILE",
    example: "/etc/haproxy-mcp/known_hosts",
    usedBy
  }),
  haproxySshAcceptNew: withDefault("HAPROXY_SSH_ACCEPT_NEW", onOff, "off", {
    group,
    description: "on: the key of a host that is not known yet is believed once and written to known_hosts.",
    metavar: "on|off",
    example: "off",
    usedBy
  }),
  haproxyRemoteDbFile: optional("HAPROXY_REMOTE_DB_FILE", path, "the path of HAPROXY_DB_FILE", {
    group,
    description: "Where the newest copy of the database is kept on HAProxy's host.",
    metavar: "FILE",
    example: "/opt/haproxy/conf/haproxy_mcp.db",
    usedBy
  }),
  haproxyRemoteSync: withDefault("HAPROXY_REMOTE_SYNC", oneOf("strict", "async"), "strict", {
    group,
    description: "strict: a write is acknowledged when it is durable on HAProxy's host too. async: before that.",
    metavar: "strict|async",
    example: "strict",
    usedBy
  })
} as const satisfies Record<string, Setting<unknown>>
