/**
 * What to try while the demo stays up. Every line is meant to be pasted as it is, so it holds this run's addresses
 * and token: a token of a control plane that only this machine can reach, and that dies with the demo.
 */

export interface CheatSheetFacts {
  readonly repository: string
  readonly mcpUrl: string
  readonly token: string
  /** `127.0.0.1:8080` */
  readonly httpAddress: string
  /** Absolute path of the Node that runs the control plane. */
  readonly node: string
  readonly database: string
  readonly folder: string
  readonly site: string
  /** The site with a certificate, HAProxy's HTTPS port and what to trust. */
  readonly secure: { readonly site: string; readonly port: number; readonly root: string }
  /** Origin A, which serves nothing any more. */
  readonly spare: { readonly ip: string; readonly port: number }
}

interface Section {
  readonly title: string
  /** Where the lines belong: a terminal, or a file. */
  readonly where: string
  readonly lines: ReadonlyArray<string>
}

/** A word for a POSIX shell. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

const json = (value: unknown): ReadonlyArray<string> => JSON.stringify(value, null, 2).split("\n")

const clients = (facts: CheatSheetFacts): ReadonlyArray<Section> => {
  const { mcpUrl: url, token } = facts
  const headers = { Authorization: `Bearer ${token}` }
  return [
    {
      title: "Claude Code",
      where: "terminal",
      lines: [`claude mcp add --transport http haproxy ${url} --header "Authorization: Bearer ${token}"`]
    },
    {
      title: "Claude Desktop",
      where: "claude_desktop_config.json; it starts a process of its own, which works through the running one",
      lines: json({
        mcpServers: {
          haproxy: {
            command: facts.node,
            args: [`${facts.repository}/src/main.ts`, "stdio"],
            env: { HAPROXY_DB_FILE: facts.database }
          }
        }
      })
    },
    {
      title: "VS Code",
      where: ".vscode/mcp.json",
      lines: json({ servers: { haproxy: { type: "http", url, headers } } })
    },
    {
      title: "Cursor",
      where: "~/.cursor/mcp.json",
      lines: json({ mcpServers: { haproxy: { url, headers } } })
    },
    {
      title: "Codex",
      where: "~/.codex/config.toml",
      lines: [
        "[mcp_servers.haproxy]",
        `url = "${url}"`,
        `http_headers = { "Authorization" = "Bearer ${token}" }`
      ]
    }
  ]
}

const curl = (facts: CheatSheetFacts, body: unknown): ReadonlyArray<string> => [
  `curl -s ${facts.mcpUrl} -H "Authorization: Bearer ${facts.token}" \\`,
  `  -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" \\`,
  `  -d ${shellWord(JSON.stringify(body))}`
]

const call = (facts: CheatSheetFacts, id: number, name: string, args: unknown) =>
  curl(facts, { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } })

const byHand = (facts: CheatSheetFacts): ReadonlyArray<Section> => [
  {
    title: "Say hello in MCP",
    where: "terminal",
    lines: curl(facts, {
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2024-11-05", capabilities: {}, clientInfo: { name: "curl", version: "1" } }
    })
  },
  {
    title: "Call a tool: one more site, on origin A",
    where: "terminal",
    lines: call(facts, 2, "haproxy_add_domain", {
      domain: "new.example.com",
      ip: facts.spare.ip,
      http_port: facts.spare.port
    })
  },
  {
    title: "Visit the sites through HAProxy",
    where: "terminal",
    lines: [
      `curl -s http://${facts.httpAddress}/ -H "Host: new.example.com"`,
      `curl -s http://${facts.httpAddress}/ -H "Host: ${facts.site}"`,
      `curl -s https://${facts.secure.site}:${facts.secure.port}/ --cacert ${shellWord(facts.secure.root)} \\`,
      `  --resolve ${facts.secure.site}:${facts.secure.port}:127.0.0.1`
    ]
  },
  {
    title: "See how everything is",
    where: "terminal",
    lines: [
      `HAPROXY_DB_FILE=${shellWord(facts.database)} ${shellWord(facts.node)} `
      + `${shellWord(`${facts.repository}/src/main.ts`)} status`
    ]
  }
]

const breakIt = (facts: CheatSheetFacts): Section => ({
  title: "Crash something; it is started again here, and the routes are there",
  where: "terminal",
  lines: ["haproxy", "control-plane"].map((name) => `kill -9 $(cat ${shellWord(`${facts.folder}/${name}.pid`)})`)
})

const asks = (facts: CheatSheetFacts): ReadonlyArray<string> => [
  "Which domains does HAProxy route, and is everything healthy?",
  `Add docs.example.com with the server ${facts.spare.ip}:${facts.spare.port}.`,
  "Which certificates are there, and when is each of them renewed?",
  `Put ${facts.spare.ip}:${facts.spare.port} behind ${facts.site} too, then drain and remove the old server.`
]

export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
}

/** The whole sheet. */
export const cheatSheet = (facts: CheatSheetFacts, { bold, dim }: Paint): string => {
  const section = ({ lines, title, where }: Section) =>
    [`${bold(title)} ${dim(`(${where})`)}`, ...lines.map((line) => `  ${line}`), ""].join("\n")
  return [
    bold("── Connect your own client ─────────────────────────────────────────────────────────────"),
    "",
    ...clients(facts).map(section),
    `${bold("Then ask it")}`,
    ...asks(facts).map((ask) => `  ${ask}`),
    "",
    bold("── Or by hand ──────────────────────────────────────────────────────────────────────────"),
    "",
    ...byHand(facts).map(section),
    section(breakIt(facts)),
    `${bold("Files and logs")} ${dim("(they stay after the demo)")}`,
    `  ${facts.folder}`
  ].join("\n")
}
