/**
 * The demo's side of the conversation: what an AI agent's client does. The official MCP client over Streamable HTTP;
 * nothing here knows the control plane's code, only its tools.
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import type { ErrorBody } from "../../src/domain/Errors.ts"
import { prove } from "./DemoFailure.ts"

/** A tool answered with a typed error. */
export class ToolRefused extends Error {
  readonly body: ErrorBody

  constructor(tool: string, body: ErrorBody) {
    super(`${tool}: ${body.code}: ${body.message} ${body.hint}`)
    this.name = "ToolRefused"
    this.body = body
  }
}

export interface Agent {
  /** The revision of MCP that client and server agreed on. */
  readonly protocol: string
  readonly tools: () => Promise<ReadonlyArray<string>>
  /** Calls a tool; fails with {@link ToolRefused}. `progress` hears of what takes long. */
  readonly call: <A>(
    tool: string,
    input?: Readonly<Record<string, unknown>>,
    progress?: (message: string) => void
  ) => Promise<A>
  /** Calls a tool that must refuse; answers the error. */
  readonly refused: (tool: string, input: Readonly<Record<string, unknown>>) => Promise<ErrorBody>
  readonly close: () => Promise<void>
}

/** Longest that one call may take, in milliseconds: above what the control plane lets any call take (45 s). */
const callLimit = 50_000

export const connectAgent = async (url: string, token: string): Promise<Agent> => {
  const client = new Client(
    { name: "haproxy-mcp-demo", version: "1.0.0" },
    { versionNegotiation: { mode: "auto" } }
  )
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: { token: async () => token } })
  await client.connect(transport, { timeout: callLimit })
  // Reading the list first lets the client check every answer against the tool's output schema.
  const listed = await client.listTools(undefined, { timeout: callLimit })

  const ask = async (
    tool: string,
    input: Readonly<Record<string, unknown>>,
    progress?: (message: string) => void
  ) => {
    const result = await client.callTool({ name: tool, arguments: { ...input } }, {
      timeout: callLimit,
      ...(progress === undefined
        ? {}
        : { onprogress: ({ message }) => message === undefined ? undefined : progress(message) })
    })
    return { failed: result.isError === true, data: result.structuredContent as unknown }
  }
  return {
    protocol: client.getNegotiatedProtocolVersion() ?? "unknown",
    tools: async () => listed.tools.map(({ name }) => name),
    call: async <A>(
      tool: string,
      input: Readonly<Record<string, unknown>> = {},
      progress?: (message: string) => void
    ) => {
      const { data, failed } = await ask(tool, input, progress)
      if (failed) throw new ToolRefused(tool, (data as { readonly error: ErrorBody }).error)
      return data as A
    },
    refused: async (tool, input) => {
      const { data, failed } = await ask(tool, input)
      prove(failed, `${tool} refuses ${JSON.stringify(input)}`, data)
      return (data as { readonly error: ErrorBody }).error
    },
    close: () => client.close()
  }
}
