/**
 * The profile of the conformance suite: the tools, prompts and resources that its scenarios call, as an extension of
 * our server, so that they run behind our own gate, listener and handler. It is no part of the package.
 */
import {
  type GetPromptResult,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
  type Server
} from "@modelcontextprotocol/server"
import type { ExtensionShape } from "../../../src/mcp/Extension.ts"
import { embedded, image, pixel, text } from "./Contents.ts"
import { promptRequires, requestState, roundTools } from "./Rounds.ts"
import { plainTools } from "./Tools.ts"

const said = (...content: ReadonlyArray<GetPromptResult["messages"][number]["content"]>): GetPromptResult => ({
  messages: content.map((one) => ({ role: "user", content: one }))
})

type Arguments = Readonly<Record<string, string>>

const prompts: ReadonlyArray<{
  readonly name: string
  readonly takes: ReadonlyArray<string>
  readonly get: (args: Arguments) => GetPromptResult
}> = [
  { name: "test_simple_prompt", takes: [], get: () => said(text("This is a simple prompt for testing.")) },
  {
    name: "test_prompt_with_arguments",
    takes: ["arg1", "arg2"],
    get: ({ arg1, arg2 }) => said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))
  },
  {
    name: "test_prompt_with_embedded_resource",
    takes: ["resourceUri"],
    get: ({ resourceUri }) =>
      said(
        embedded(String(resourceUri), "Embedded resource content for testing."),
        text("Please process the embedded resource above.")
      )
  },
  { name: "test_prompt_with_image", takes: [], get: () => said(image, text("Please analyze the image above.")) },
  { name: "test_input_required_result_prompt", takes: [], get: () => said(text("The context came.")) }
]

const resources: ReadonlyArray<ReadResourceResult["contents"][number] & { readonly name: string }> = [
  { uri: "test://static-text", name: "text", mimeType: "text/plain", text: "The content of the static text resource." },
  { uri: "test://static-binary", name: "binary", mimeType: "image/png", blob: pixel },
  { uri: "test://watched-resource", name: "watched", mimeType: "text/plain", text: "Watched resource content" }
]

const readResource = (uri: string): ReadResourceResult => {
  const found = resources.find((resource) => resource.uri === uri)
  if (found !== undefined) {
    const { name: _, ...content } = found
    return { contents: [content] }
  }
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id === undefined) throw new ResourceNotFoundError(uri)
  return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true }) }] }
}

const register = (server: Server): void => {
  server.setRequestHandler("prompts/list", () => ({
    prompts: prompts.map(({ name, takes }) => ({
      name,
      description: `Fixture of the conformance suite: ${name}`,
      arguments: takes.map((argument) => ({ name: argument, required: true }))
    }))
  }))
  server.setRequestHandler("prompts/get", (request, context) => {
    const { arguments: args, name } = request.params
    const prompt = prompts.find((one) => one.name === name)
    if (prompt === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, "There is no such prompt")
    return (name === "test_input_required_result_prompt" ? promptRequires(context) : null) ?? prompt.get(args ?? {})
  })
  server.setRequestHandler("completion/complete", () => ({ completion: { values: [], hasMore: false } }))
  server.setRequestHandler("resources/list", () => ({
    resources: resources.map(({ mimeType, name, uri }) => ({ uri, name, mimeType: mimeType! }))
  }))
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }]
  }))
  server.setRequestHandler("resources/read", ({ params }) => readResource(params.uri))
  server.setRequestHandler("resources/subscribe", () => ({}))
  server.setRequestHandler("resources/unsubscribe", () => ({}))
}

/** See the module's head. */
export const conformanceProfile: ExtensionShape = {
  tools: [...plainTools, ...roundTools],
  options: {
    capabilities: { prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} },
    cacheHints: {
      "prompts/list": { ttlMs: 0, cacheScope: "private" },
      "resources/list": { ttlMs: 0, cacheScope: "private" }
    },
    requestState
  },
  register
}
