/** The plain tools that the conformance suite expects of a server: kinds of content, notifications, errors. */
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  MissingRequiredClientCapabilityError,
  type ServerContext,
  type Tool
} from "@modelcontextprotocol/server"
import type { ExtensionTool } from "../../../src/mcp/Extension.ts"
import { audio, embedded, image, text } from "./Contents.ts"

const answer = (...content: CallToolResult["content"]): CallToolResult => ({ content })

/** What the client says it can do; the SDK has checked the envelope of 2026-07-28 and types it loosely. */
export const capabilities = ({ mcpReq }: ServerContext): ClientCapabilities | undefined =>
  (mcpReq.envelope as { readonly [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities } | undefined)
    ?.[CLIENT_CAPABILITIES_META_KEY]

/** A tool without arguments, unless a schema is given. */
export const fixture = (
  name: string,
  call: ExtensionTool["call"],
  more: { readonly streams?: boolean; readonly inputSchema?: Tool["inputSchema"] } = {}
): ExtensionTool => ({
  definition: {
    name,
    description: `Fixture of the conformance suite: ${name}`,
    inputSchema: more.inputSchema ?? { type: "object", properties: {}, additionalProperties: false }
  },
  call,
  streams: more.streams ?? false
})

/** Keywords of JSON Schema 2020-12 that must reach the client as they are (SEP-1613, SEP-2106). */
const richSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } }
    }
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" }
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false
} satisfies Tool["inputSchema"]

const logging: ExtensionTool["call"] = async (_args, { mcpReq }) => {
  for (const step of ["started", "processing", "completed"]) await mcpReq.log("info", `Tool ${step}`)
  return answer(text("Logged three times."))
}

const progress: ExtensionTool["call"] = async (_args, { mcpReq }) => {
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken !== undefined) {
    for (const done of [0, 50, 100]) {
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: done, total: 100 } })
    }
  }
  return answer(text("Done."))
}

/** See the module's head. */
export const plainTools: ReadonlyArray<ExtensionTool> = [
  fixture("test_simple_text", () => answer(text("This is a simple text response for testing."))),
  fixture("test_image_content", () => answer(image)),
  fixture("test_audio_content", () => answer(audio)),
  fixture(
    "test_embedded_resource",
    () => answer(embedded("test://embedded-resource", "This is an embedded resource content."))
  ),
  fixture("test_multiple_content_types", () =>
    answer(
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", JSON.stringify({ test: "data", value: 123 }), "application/json")
    )),
  fixture("test_tool_with_logging", logging, { streams: true }),
  fixture("test_logging_tool", logging, { streams: true }),
  fixture("test_tool_with_progress", progress, { streams: true }),
  fixture("test_error_handling", () => ({
    ...answer(text("This tool intentionally returns an error for testing")),
    isError: true
  })),
  fixture("test_missing_capability", (_args, context) => {
    if (capabilities(context)?.sampling === undefined) {
      throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } })
    }
    return answer(text("The client can sample."))
  }),
  fixture("json_schema_2020_12_tool", () => answer(text("Taken.")), { inputSchema: richSchema })
]
