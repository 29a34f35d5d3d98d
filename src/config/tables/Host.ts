/**
 * How HAProxy's host is told to reload, and how a configuration is checked there. What is set wins over what is found;
 * of several that are set the first counts: master socket, container, systemd unit, command.
 */
import { command, list, optional, path, type Setting, unit, users, withDefault } from "../Setting.ts"

export const haproxyHostControl = {
  haproxyMasterSocket: optional("HAPROXY_MASTER_SOCKET", path, "/run/haproxy/master.sock, when it is there", {
    group: "HAProxy's host",
    description: "The master's socket (`haproxy -W -S …`), by which HAProxy is told to reload.",
    metavar: "FILE",
    example: "/run/haproxy/master.sock",
    usedBy: ["serve", "stdio", "config"]
  }),
  haproxyContainer: optional("HAPROXY_CONTAINER", unit, "haproxy, when Podman has it and nothing else is there", {
    group: "HAProxy's host",
    description: "Podman container that HAProxy runs in: checked by `podman exec`, reloaded by SIGHUP.",
    metavar: "NAME",
    example: "haproxy",
    usedBy: users.serving
  }),
  haproxySystemdUnit: optional("HAPROXY_SYSTEMD_UNIT", unit, "not set", {
    group: "HAProxy's host",
    description: "systemd unit to reload with `systemctl reload`.",
    metavar: "UNIT",
    example: "haproxy.service",
    usedBy: users.serving
  }),
  haproxyReloadCommand: optional("HAPROXY_RELOAD_COMMAND", command, "not set", {
    group: "HAProxy's host",
    description: "Command that reloads HAProxy: words, or a JSON array of them. No shell reads it.",
    metavar: "COMMAND",
    example: "sudo systemctl reload haproxy",
    usedBy: users.serving
  }),
  haproxyCheckCommand: optional("HAPROXY_CHECK_COMMAND", command, "`haproxy -c` with HAProxy's files", {
    group: "HAProxy's host",
    description: "Command that checks HAProxy's configuration and ends with 0 when it is valid.",
    metavar: "COMMAND",
    example: "sudo haproxy -c -f /etc/haproxy/haproxy.cfg",
    usedBy: users.serving
  }),
  haproxyConfigFiles: optional("HAPROXY_CONFIG_FILES", list(path), "those that the running HAProxy was started with", {
    group: "HAProxy's host",
    description: "Files to check, in the order of HAProxy's -f and as HAProxy sees them.",
    metavar: "FILE,…",
    example: "/etc/haproxy/haproxy.cfg,/opt/haproxy/conf/pools.cfg",
    usedBy: users.serving
  }),
  haproxyBinary: optional("HAPROXY_BINARY", command, "the one that runs, else haproxy", {
    group: "HAProxy's host",
    description: "The program that checks HAProxy's configuration.",
    metavar: "PROGRAM",
    example: "/usr/sbin/haproxy",
    usedBy: users.serving
  }),
  haproxyStateFile: withDefault("HAPROXY_STATE_FILE", path, "/opt/haproxy/data/servers.state", {
    group: "HAProxy's host",
    description: "File of the legacy tools haproxy_save_state and haproxy_restore_state. HAProxy does not read it.",
    metavar: "FILE",
    example: "/var/lib/haproxy-mcp/servers.state",
    usedBy: users.serving
  })
} as const satisfies Record<string, Setting<unknown>>
