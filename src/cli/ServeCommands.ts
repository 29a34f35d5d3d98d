/** `haproxy-mcp serve` and `stdio`: the two ways to run the control plane. */
import * as Command from "effect/cli/Command"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const serveCommand = <R>(handlers: Pick<Handlers<R>, "serve">) =>
  Command.make(
    "serve",
    { settings: settingFlags("serve") },
    ({ settings }) => handlers.serve(sourcesOf(settings))
  ).pipe(
    Command.withDescription(
      "Runs the control plane: opens the database, listens for MCP over HTTP, and keeps HAProxy as the database says. "
        + "HAProxy being down is no reason to stop; /readyz tells. MCP_TOKEN is read from the environment only."
    ),
    Command.withShortDescription("Run the control plane and answer MCP over HTTP"),
    Command.withExamples([
      { command: "MCP_TOKEN=… haproxy-mcp serve", description: "HAProxy on this machine, Runtime API on port 9999" },
      {
        command: "haproxy-mcp serve --haproxy-runtime-mode unix --haproxy-runtime-socket /run/haproxy/admin.sock",
        description: "Over HAProxy's unix socket"
      },
      {
        command: "haproxy-mcp serve --mcp-host 127.0.0.1 --mcp-auth off",
        description: "For this machine only, without a token"
      }
    ])
  )

export const stdioCommand = <R>(handlers: Pick<Handlers<R>, "stdio">) =>
  Command.make(
    "stdio",
    { settings: settingFlags("stdio") },
    ({ settings }) => handlers.stdio(sourcesOf(settings))
  ).pipe(
    Command.withDescription(
      "Answers MCP on standard input and output, for a client that starts its servers itself. Works through a running "
        + "`serve` on this machine, else opens the database itself."
    ),
    Command.withShortDescription("Answer MCP on standard input and output"),
    Command.withExamples([
      {
        command: "{\"mcpServers\": {\"haproxy\": {\"command\": \"haproxy-mcp\", \"args\": [\"stdio\"]}}}",
        description: "What most MCP clients want in their settings"
      }
    ])
  )
