import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import { homedir, userInfo } from "node:os"
import { join, resolve } from "node:path"
import packageJson from "../package.json" with { type: "json" }
import { settingsPage } from "../scripts/docs.ts"
import { decodeSettings, type SettingsShape } from "../src/Config.ts"
import { sortVariables } from "../src/config/Environment.ts"
import { notUsedYet, rows } from "../src/config/Table.ts"
import { version } from "../src/Version.ts"

type Env = Record<string, string | undefined>

const decode = (env: Env, flags: Record<string, string> = {}) => Effect.runSync(decodeSettings({ env, flags }))
const refusal = (env: Env, flags: Record<string, string> = {}) =>
  Effect.runSync(Effect.flip(decodeSettings({ env, flags }))).message

describe("defaults", () => {
  it("are those of the documentation", () => {
    const settings = decode({})
    assert.deepInclude(settings, {
      mcpTransport: "http",
      mcpHost: null,
      mcpPort: 8000,
      mcpSocket: null,
      mcpToken: null,
      mcpTokenFile: null,
      mcpAuth: true,
      mcpTrustedCidrs: [],
      mcpTrustedProxies: [],
      mcpAllowedHosts: [],
      mcpAllowedOrigins: [],
      mcpCallTimeout: 10_000,
      mcpAdminSocket: "/opt/haproxy/conf/haproxy_mcp.sock",
      haproxyTransport: { host: "localhost", port: 9999 },
      haproxyMapFile: "/opt/haproxy/conf/domains.map",
      wildcardsFile: "/opt/haproxy/conf/wildcards.map",
      haproxyCertsFile: "/opt/haproxy/conf/certificates.json",
      haproxyCertDir: "/opt/haproxy/certs",
      haproxyRuntimeMapFile: null,
      haproxyPoolsFile: null,
      haproxyDbFile: "/opt/haproxy/conf/haproxy_mcp.db",
      haproxyMasterSocket: null,
      haproxyContainer: null,
      haproxySystemdUnit: null,
      haproxyReloadCommand: null,
      haproxyCheckCommand: null,
      haproxyConfigFiles: null,
      haproxyBinary: null,
      haproxyStateFile: "/opt/haproxy/data/servers.state",
      haproxyPoolCount: 100,
      haproxyMaxSlots: 10,
      haproxyCustomTlds: ["it.com"],
      logLevel: "INFO",
      notices: []
    })
  })

  it("hold for every setting when its variable is empty or blank", () => {
    const blank = Object.fromEntries(
      rows.filter((row) => !row.emptyCounts).map((row, index) => [row.name, index % 2 === 0 ? "" : "  "])
    )
    assert.deepStrictEqual(decode(blank), decode({}))
  })

  it("do not come back where an empty variable would allow what was to be cut", () => {
    const cut = rows.filter((row) => row.emptyCounts).map((row) => row.name)
    assert.deepStrictEqual(cut, ["MCP_TOOLS_ALLOW", "MCP_STDIO_SCOPES"])
    const { mcpStdioScopes, mcpToolsAllow } = decode({ MCP_TOOLS_ALLOW: " ", MCP_STDIO_SCOPES: "" })
    assert.deepStrictEqual([mcpToolsAllow, mcpStdioScopes], [[], []])
    assert.deepStrictEqual(decode({ MCP_TOOLS_ALLOW: "," }).mcpToolsAllow, [])
    assert.isNull(decode({}).mcpToolsAllow)
  })

  it("and examples keep their own rules, and every row says what it is", () => {
    for (const row of rows) {
      assert.isAbove(row.description.length, 20, row.name)
      assert.isAbove(row.usedBy.length, 0, row.name)
      if (!row.secret) assert.strictEqual(row.read(row.example)._tag, "Success", row.name)
    }
    assert.strictEqual(new Set([...rows.map((row) => row.name), ...notUsedYet]).size, rows.length + notUsedYet.length)
  })
})

describe("values", () => {
  const good: ReadonlyArray<readonly [name: string, text: string, field: keyof SettingsShape, value: unknown]> = [
    ["MCP_TRANSPORT", "STDIO", "mcpTransport", "stdio"],
    ["MCP_HOST", "0.0.0.0", "mcpHost", "0.0.0.0"],
    ["MCP_HOST", "::1", "mcpHost", "::1"],
    ["MCP_PORT", "0", "mcpPort", 0],
    ["MCP_PORT", " 65535 ", "mcpPort", 65_535],
    ["MCP_AUTH", "off", "mcpAuth", false],
    ["MCP_TRUSTED_CIDRS", "100.64.0.0/10, ::1", "mcpTrustedCidrs", ["100.64.0.0/10", "::1/128"]],
    ["MCP_TRUSTED_PROXIES", "10.0.0.1", "mcpTrustedProxies", ["10.0.0.1/32"]],
    ["MCP_ALLOWED_HOSTS", "MCP.example.com,[::1]:8000", "mcpAllowedHosts", ["mcp.example.com", "[::1]:8000"]],
    ["MCP_ALLOWED_ORIGINS", "https://a.example.com:8443", "mcpAllowedOrigins", ["https://a.example.com:8443"]],
    ["MCP_CALL_TIMEOUT", "500ms", "mcpCallTimeout", 500],
    ["MCP_CALL_TIMEOUT", "45s", "mcpCallTimeout", 45_000],
    ["HAPROXY_HOST", "Haproxy.internal", "haproxyTransport", { host: "haproxy.internal", port: 9999 }],
    ["HAPROXY_HOST", "my_container", "haproxyTransport", { host: "my_container", port: 9999 }],
    ["HAPROXY_PORT", "1", "haproxyTransport", { host: "localhost", port: 1 }],
    ["HAPROXY_MAP_FILE", "maps/domains.map", "haproxyMapFile", resolve("maps/domains.map")],
    ["HAPROXY_RUNTIME_MAP_FILE", "virt@domains", "haproxyRuntimeMapFile", "virt@domains"],
    ["HAPROXY_MASTER_SOCKET", "/run/m.sock", "haproxyMasterSocket", "/run/m.sock"],
    ["HAPROXY_CONTAINER", "edge.1", "haproxyContainer", "edge.1"],
    ["HAPROXY_SYSTEMD_UNIT", "haproxy@edge.service", "haproxySystemdUnit", "haproxy@edge.service"],
    ["HAPROXY_RELOAD_COMMAND", " sudo  systemctl reload x; id", "haproxyReloadCommand", [
      "sudo",
      "systemctl",
      "reload",
      "x;",
      "id"
    ]],
    ["HAPROXY_CHECK_COMMAND", "[\"/a b/check\", \"\"]", "haproxyCheckCommand", ["/a b/check", ""]],
    ["HAPROXY_CONFIG_FILES", "/etc/a.cfg, b.cfg", "haproxyConfigFiles", ["/etc/a.cfg", resolve("b.cfg")]],
    ["HAPROXY_STATE_FILE", "/x/servers.state", "haproxyStateFile", "/x/servers.state"],
    ["HAPROXY_POOL_COUNT", "100000", "haproxyPoolCount", 100_000],
    ["HAPROXY_CUSTOM_TLDS", ".EU.org,,it.com", "haproxyCustomTlds", ["eu.org", "it.com"]],
    ["LOG_LEVEL", "debug", "logLevel", "DEBUG"]
  ]
  it.each(good)("%s=%s", (name, text, field, value) => {
    assert.deepStrictEqual(decode({ [name]: text })[field], value as never)
  })

  const bad: ReadonlyArray<readonly [name: string, text: string, rule: string]> = [
    ["MCP_TRANSPORT", "sse", "must be one of http, stdio"],
    ["MCP_HOST", "http://a", "must be a host name or an IP address"],
    ["MCP_HOST", "[::1]", "brackets"],
    ["MCP_PORT", "65536", "must be a whole number from 0 to 65535"],
    ["MCP_PORT", "8000.5", "must be a whole number"],
    ["MCP_PORT", "-1", "must be a whole number"],
    ["MCP_PORT", "0x50", "must be a whole number"],
    ["MCP_AUTH", "no", "must be one of on, off"],
    ["MCP_TRUSTED_CIDRS", "10.0.0.1/8", "no bits set beyond its prefix"],
    ["MCP_TRUSTED_CIDRS", "any", "must be a network"],
    ["MCP_ALLOWED_HOSTS", "https://mcp.example.com", "must be a host name"],
    ["MCP_ALLOWED_HOSTS", "a:99999", "must be a host name"],
    ["MCP_ALLOWED_ORIGINS", "https://a.example.com/path", "must be an origin"],
    ["MCP_ALLOWED_ORIGINS", "*", "must be an origin"],
    ["MCP_CALL_TIMEOUT", "10", "must be a number with its unit"],
    ["MCP_CALL_TIMEOUT", "2m", "from 100ms to 45s"],
    ["MCP_ADMIN_SOCKET", `/${"x".repeat(120)}`, "at most 95 bytes"],
    ["HAPROXY_RUNTIME_MODE", "tcp6", "must be one of tcp4, unix, ssh"],
    ["HAPROXY_SSH_USER", "root@edge", "no @ and no host"],
    ["HAPROXY_SSH_HOST_KEY", "MD5:aa:bb", "must be a fingerprint"],
    ["HAPROXY_SSH_HOST_KEY", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIIeQJm", "must be a fingerprint"],
    ["HAPROXY_REMOTE_SYNC", "later", "must be one of strict, async"],
    ["HAPROXY_RUNTIME_MODE", "unix", "needs HAPROXY_RUNTIME_SOCKET"],
    ["HAPROXY_HOST", "1.2.3", "must be a host name or an IP address"],
    ["HAPROXY_PORT", "0", "must be a whole number from 1 to 65535"],
    ["HAPROXY_MAP_FILE", "/etc/haproxy/", "not of a folder"],
    ["HAPROXY_MAP_FILE", "/a\nb", "without control characters"],
    ["HAPROXY_MAP_FILE", "/etc/haproxy/wildcards.map", "are the same file"],
    ["HAPROXY_RUNTIME_MAP_FILE", "a;shutdown", "without spaces and"],
    ["HAPROXY_POOLS_FILE", "/opt/haproxy/conf/haproxy_mcp.db", "are the same file"],
    ["HAPROXY_CONTAINER", "--privileged", "must be a name of letters"],
    ["HAPROXY_SYSTEMD_UNIT", "a b", "must be a name of letters"],
    ["HAPROXY_RELOAD_COMMAND", "[]", "must be a command"],
    ["HAPROXY_RELOAD_COMMAND", "[1]", "must be a command"],
    ["HAPROXY_CHECK_COMMAND", "[\"x\"", "must be a command"],
    ["HAPROXY_STATE_FILE", "/opt/haproxy/conf/domains.map", "are the same file"],
    ["HAPROXY_POOL_COUNT", "0", "must be a whole number from 1 to 100000"],
    ["HAPROXY_MAX_SLOTS", "1001", "must be a whole number from 1 to 1000"],
    ["HAPROXY_CUSTOM_TLDS", "it com", "must be a domain suffix"],
    ["LOG_LEVEL", "WARN", "must be one of DEBUG, INFO, WARNING, ERROR"]
  ]
  it.each(bad)("%s=%s is refused by its rule", (name, text, rule) => {
    const message = refusal({ [name]: text })
    assert.include(message, rule)
    assert.include(message, name)
    assert.strictEqual(message.split("\n").length, 2)
  })

  it("of flags win over variables, and a wrong one is named as the flag", () => {
    assert.strictEqual(decode({ MCP_PORT: "1" }, { MCP_PORT: "2" }).mcpPort, 2)
    assert.include(refusal({ MCP_PORT: "1" }, { MCP_PORT: "x" }), "--mcp-port \"x\" must be a whole number")
  })
})

describe("one message", () => {
  it("lists everything that is wrong, each with its rule and an example", () => {
    const message = refusal({
      MCP_PORT: "abc",
      HAPROXY_MAX_SLOTS: "many",
      HAPROXY_MAPFILE: "/x",
      MCP_TRUSTED_CIDR: "10.0.0.0/8",
      HAPROXY_ZZZZZZZZZZZZZZZZZZ: "1",
      HAPROXY_RUNTIME_MODE: "unix"
    })
    assert.strictEqual(
      message,
      [
        "The settings are not valid:",
        "  MCP_PORT \"abc\" must be a whole number from 0 to 65535, for example MCP_PORT=8000",
        "  HAPROXY_MAX_SLOTS \"many\" must be a whole number from 1 to 1000, for example HAPROXY_MAX_SLOTS=10",
        "  HAPROXY_MAPFILE is not a setting. Did you mean HAPROXY_MAP_FILE?",
        "  HAPROXY_ZZZZZZZZZZZZZZZZZZ is not a setting",
        "  MCP_TRUSTED_CIDR is not a setting. Did you mean MCP_TRUSTED_CIDRS?",
        "  HAPROXY_RUNTIME_MODE \"unix\" needs HAPROXY_RUNTIME_SOCKET, for example /run/haproxy/admin.sock"
      ].join("\n")
    )
  })

  it("shows a wrong value short and printable", () => {
    const message = refusal({ MCP_HOST: `\u001b[31m${"x".repeat(200)}` })
    assert.isBelow(message.length, 300)
    assert.notInclude(message, "\u001b")
  })

  it("never holds a secret, neither of the setting nor of a misspelt one", () => {
    const message = refusal({ MCP_TOKEN: "hunter2 with spaces", MCP_TOEKN: "hunter2", HAPROXY_MCP_TOKEN: "hunter2" })
    assert.notInclude(message, "hunter2")
    assert.include(message, "MCP_TOKEN must be visible ASCII")
    assert.include(message, "MCP_TOEKN is not a setting. Did you mean MCP_TOKEN")
  })
})

describe("secrets", () => {
  it("are redacted in the decoded settings", () => {
    const settings = decode({ MCP_TOKEN: "hunter2" })
    assert.isNotNull(settings.mcpToken)
    assert.strictEqual(Redacted.value(settings.mcpToken!), "hunter2")
    assert.notInclude(JSON.stringify(settings), "hunter2")
    assert.notInclude(String(settings.mcpToken), "hunter2")
  })
})

describe("variables of others", () => {
  const links = {
    HAPROXY_SERVICE_HOST: "10.0.0.7",
    HAPROXY_SERVICE_PORT: "80",
    HAPROXY_SERVICE_PORT_HTTPS: "443",
    HAPROXY_PORT_80_TCP: "tcp://10.0.0.7:80",
    HAPROXY_PORT_80_TCP_PROTO: "tcp",
    HAPROXY_PORT_80_TCP_PORT: "80",
    HAPROXY_PORT_80_TCP_ADDR: "10.0.0.7",
    HAPROXY_MCP_PORT: "tcp://10.0.0.8:8000"
  }

  it("of Kubernetes are ignored, in one line with the advice", () => {
    const { notices } = decode(links)
    assert.lengthOf(notices, 1)
    assert.include(notices[0]!, "enableServiceLinks: false")
    for (const name of Object.keys(links)) assert.include(notices[0]!, name)
  })

  it.each(["HAPROXY_PORT", "MCP_PORT"])("a %s that Kubernetes overwrote refuses the start and says why", (name) => {
    const message = refusal({ ...links, [name]: "tcp://10.0.0.7:80" })
    assert.include(message, `${name} "tcp://10.0.0.7:80"`)
    assert.include(message, "enableServiceLinks: false")
    assert.strictEqual(message.split("\n").length, 2)
  })

  it("such as HAProxy's image or an MCP client do not stop the start", () => {
    assert.deepStrictEqual(
      decode({
        HAPROXY_VERSION: "3.4.7",
        HAPROXY_SHA256: "aa",
        HAPROXY_MWORKER: "1",
        MCP_TIMEOUT: "1",
        ACME_DIRECTORY: "x",
        PATH: "/"
      }),
      decode({})
    )
  })

  it("settings of other versions are named in one line", () => {
    assert.deepStrictEqual(decode({ HAPROXY_POOL_MAX: "1", HAPROXY_CERT_DIR: "" }).notices, [
      "not used by this version: HAPROXY_POOL_MAX"
    ])
  })

  it("are told apart by name alone; values are not read", () => {
    assert.deepStrictEqual(sortVariables({ ACME_ROUTER: "x", OTHER: "y" }).unknown, [
      { name: "ACME_ROUTER", nearest: [] }
    ])
  })

  it("a socket that has no effect is pointed out", () => {
    assert.include(decode({ HAPROXY_RUNTIME_SOCKET: "/run/h.sock" }).notices[0]!, "no effect")
    assert.deepStrictEqual(
      decode({ HAPROXY_RUNTIME_SOCKET: "/run/h.sock", HAPROXY_RUNTIME_MODE: "unix" }).haproxyTransport,
      { path: "/run/h.sock" }
    )
  })
})

describe("another host of HAProxy", () => {
  const edge = { HAPROXY_SSH_HOST: "Edge.example.com", HAPROXY_SSH_USER: "ops" }

  it("is reached with these defaults, and not at all without its name", () => {
    assert.isNull(decode({}).ssh)
    assert.deepStrictEqual(decode(edge).ssh, {
      host: "edge.example.com",
      port: 22,
      user: "ops",
      keyFile: null,
      keyPassphraseFile: null,
      agentSocket: null,
      hostKeys: [],
      knownHostsFile: join(homedir(), ".ssh", "known_hosts"),
      acceptNew: false
    })
    assert.strictEqual(decode({ HAPROXY_SSH_HOST: "edge" }).ssh?.user, userInfo().username)
    assert.strictEqual(decode({ ...edge, SSH_AUTH_SOCK: "/run/agent" }).ssh?.agentSocket, "/run/agent")
  })

  it("is known by fingerprints and keys, more than one while they change", () => {
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIIeQJmGVb1P2Yf0nYH3pDUzY3a1c7LVj5aU4iZ2Q8sE"
    const print = `SHA256:${"a".repeat(43)}`
    assert.deepStrictEqual(decode({ ...edge, HAPROXY_SSH_HOST_KEY: `${print}=, ${key} root@edge` }).ssh?.hostKeys, [
      print,
      key
    ])
  })

  it("keeps the newest database under the same path, or another", () => {
    assert.strictEqual(decode({ ...edge, HAPROXY_DB_FILE: "/a.db" }).haproxyRemoteDbFile, "/a.db")
    assert.strictEqual(decode({ ...edge, HAPROXY_REMOTE_DB_FILE: "/b.db" }).haproxyRemoteDbFile, "/b.db")
    const mapFile = { HAPROXY_REMOTE_DB_FILE: "/opt/haproxy/conf/domains.map" }
    assert.include(refusal({ ...edge, ...mapFile }), "are the same file")
  })

  it("may have the Runtime API's socket", () => {
    const socket = { HAPROXY_RUNTIME_MODE: "ssh", HAPROXY_RUNTIME_SOCKET: "/run/h.sock" }
    assert.deepStrictEqual(decode({ ...edge, ...socket }).haproxyTransport, { path: "/run/h.sock", ssh: true })
    assert.include(refusal(socket), "HAPROXY_RUNTIME_MODE \"ssh\" needs HAPROXY_SSH_HOST")
    assert.include(refusal({ ...edge, HAPROXY_RUNTIME_MODE: "ssh" }), "needs HAPROXY_RUNTIME_SOCKET")
  })

  it("may have acme.sh, whose paths are then those of that host", () => {
    assert.include(refusal({ ACME_WHERE: "remote" }), "ACME_WHERE \"remote\" needs HAPROXY_SSH_HOST")
    assert.include(refusal({ ...edge, ACME_WHERE: "there" }), "must be one of local, remote")
    const pick = (env: Record<string, string>) => {
      const { acmeCaBundle, acmeCredentialsFile, acmeHome } = decode({ ...edge, ...env })
      return [acmeHome, acmeCredentialsFile, acmeCaBundle]
    }
    const local = pick({})
    assert.isTrue(local.every((path) => path?.startsWith("/") ?? true), "`~` is this user's home")
    assert.deepStrictEqual(pick({ ACME_WHERE: "remote" }), ["~/.acme.sh", "~/.secrets/cloudflare.ini", null])
    assert.deepStrictEqual(
      pick({
        ACME_WHERE: "remote",
        ACME_HOME: "/var/lib/../acme/",
        ACME_CREDENTIALS_FILE: "/e/dns.env",
        ACME_CA_BUNDLE: "~/ca"
      }),
      ["/var/acme", "/e/dns.env", "~/ca"]
    )
    assert.include(
      refusal({ ...edge, ACME_WHERE: "remote", ACME_HOME: "acme" }),
      "ACME_HOME \"acme\" must be an absolute path of HAProxy's host, or begin with ~/"
    )
  })

  it.each<readonly [rule: string, env: Record<string, string>]>([
    ["which says which key to believe", {
      HAPROXY_SSH_ACCEPT_NEW: "on",
      HAPROXY_SSH_HOST_KEY: `SHA256:${"a".repeat(43)}`
    }],
    ["needs HAPROXY_SSH_KEY_FILE", { HAPROXY_SSH_KEY_PASSPHRASE_FILE: "/x" }]
  ])("%s", (rule, env) => {
    assert.include(refusal({ ...edge, ...env }), rule)
  })

  it("without a name makes its other settings idle, which is said", () => {
    assert.deepStrictEqual(decode({ HAPROXY_SSH_PORT: "2222", HAPROXY_REMOTE_SYNC: "async" }).notices, [
      "no effect without HAPROXY_SSH_HOST: HAPROXY_SSH_PORT, HAPROXY_REMOTE_SYNC"
    ])
    assert.deepStrictEqual(decode(edge).notices, [])
  })
})

describe("docs/settings.md", () => {
  it("is what scripts/docs.ts writes", () => {
    const page = readFileSync(join(import.meta.dirname, "..", "docs", "settings.md"), "utf8")
    assert.strictEqual(page, settingsPage(), "run: node scripts/docs.ts")
  })
})

describe("the version", () => {
  it("is that of package.json", () => {
    assert.strictEqual(version, packageJson.version)
  })
})
