/**
 * The MCP server with one tool more, in a process of your own: `MCP_TOKEN=… node own-tool.ts`.
 *
 * The tool stands behind the same gate as ours and uses the same services.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  controlPlane,
  Extension,
  listDomains,
  mcpOverHttp,
  observability,
  type ProgramServices,
  Settings,
  ToolRunner
} from "haproxy-mcp"

/** `domain_count`: how many domains are routed. */
const counting = Layer.effect(
  Extension,
  Effect.gen(function*() {
    const services = yield* Effect.context<ProgramServices>()
    return {
      tools: [{
        definition: {
          name: "domain_count",
          description: "Says how many domains are routed.",
          inputSchema: { type: "object" as const, properties: {}, additionalProperties: false },
          annotations: { readOnlyHint: true }
        },
        scope: "read" as const,
        call: () =>
          Effect.runPromise(
            listDomains({ limit: 1 }).pipe(
              Effect.map(({ total }) => ({ content: [{ type: "text" as const, text: `${total}` }] })),
              Effect.provideContext(services)
            )
          )
      }]
    }
  })
)

const settings = observability.pipe(Layer.provideMerge(Settings.layer({ env: process.env })))

const server = mcpOverHttp.pipe(
  Layer.provide([ToolRunner.local, counting]),
  Layer.provide(controlPlane),
  Layer.provide(settings)
)

NodeRuntime.runMain(Layer.launch(server))
