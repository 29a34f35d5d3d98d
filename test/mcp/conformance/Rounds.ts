/**
 * Tools and a prompt that need something of the client (elicitation, sampling, roots), as 2026-07-28 does it: the
 * answer says what is required, and the request comes again with it (SEP-2322). The same tools serve the older
 * names of the suite; there the SDK would have to ask the client in mid-call, which a server without sessions cannot.
 */
import {
  type CallToolResult,
  createRequestStateCodec,
  inputRequired,
  type InputRequiredResult,
  type InputRequiredSpec,
  inputResponse,
  type ServerContext
} from "@modelcontextprotocol/server"
import { randomBytes } from "node:crypto"
import type { ExtensionTool } from "../../../src/mcp/Extension.ts"
import { text } from "./Contents.ts"
import { capabilities, fixture } from "./Tools.ts"

type Requests = NonNullable<InputRequiredSpec["inputRequests"]>

const done = (words: string): CallToolResult => ({ content: [text(words)] })

const askText = (message: string, field: string) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [field]: { type: "string" } }, required: [field] }
  })

const askConfirmation = inputRequired.elicit({
  message: "Please confirm",
  requestedSchema: { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] }
})

const askModel = (words: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text: words } }], maxTokens })

/** Have all requests an answer that looks like one? */
const answered = ({ mcpReq }: ServerContext, requests: Requests): boolean =>
  Object.keys(requests).every((key) => inputResponse(mcpReq.inputResponses, key).kind !== "missing")

/** Asks until all is there. */
const asking = (requests: Requests): ExtensionTool["call"] => (_args, context) =>
  answered(context, requests) ? done("All inputs came.") : inputRequired({ inputRequests: requests })

/** State that goes through the client: signed, so that what comes back changed is refused by the SDK's seam. */
const states = createRequestStateCodec<{ readonly round: number }>({ key: randomBytes(32), ttlSeconds: 60 })

/** For the options of the SDK's server. */
export const requestState = { verify: states.verify }

/** Asks in rounds, one after the other; the state says which round it was. */
const inRounds = (...rounds: ReadonlyArray<Requests>): ExtensionTool["call"] => async (_args, context) => {
  const asked = context.mcpReq.requestState<{ readonly round: number }>()?.round ?? 0
  const good = asked === 0 || answered(context, rounds[asked - 1]!)
  const next = good ? asked + 1 : asked
  const requests = rounds[next - 1]
  return requests === undefined
    ? done("state-ok")
    : inputRequired({ inputRequests: requests, requestState: await states.mint({ round: next }) })
}

/** Asks only for what the client says it can do. */
const asAble: ExtensionTool["call"] = (_args, context) => {
  const able = capabilities(context)
  return inputRequired({
    inputRequests: {
      ...(able?.elicitation === undefined ? {} : { user_name: askText("What is your name?", "name") }),
      ...(able?.sampling === undefined ? {} : { greeting: askModel("Generate a greeting", 50) })
    }
  })
}

const roots: Requests = { client_roots: inputRequired.listRoots() }
const name: Requests = { user_name: askText("What is your name?", "name") }

const enums = inputRequired.elicit({
  message: "Choose",
  requestedSchema: {
    type: "object",
    properties: {
      untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
      untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } }
    }
  }
})

const defaults = inputRequired.elicit({
  message: "Check",
  requestedSchema: {
    type: "object",
    properties: { name: { type: "string", default: "John Doe" }, age: { type: "integer", default: 30 } }
  }
})

/** See the module's head. */
export const roundTools: ReadonlyArray<ExtensionTool> = [
  fixture("test_input_required_result_elicitation", asking(name)),
  fixture("test_input_required_result_sampling", asking({ capital_question: askModel("The capital of France?", 100) })),
  fixture("test_input_required_result_list_roots", asking(roots)),
  fixture("test_input_required_result_request_state", inRounds({ confirm: askConfirmation })),
  fixture("test_input_required_result_tampered_state", inRounds({ confirm: askConfirmation })),
  fixture(
    "test_input_required_result_multiple_inputs",
    inRounds({ ...name, greeting: askModel("Generate a greeting", 50), ...roots })
  ),
  fixture(
    "test_input_required_result_multi_round",
    inRounds({ step1: askText("Your name?", "name") }, { step2: askText("Your colour?", "color") })
  ),
  fixture("test_input_required_result_capabilities", asAble),
  fixture("test_streaming_elicitation", asking(name), { streams: true }),
  fixture("test_sampling", asking({ answer: askModel("Say something", 100) }), {
    streams: true,
    inputSchema: { type: "object", properties: { prompt: { type: "string" } }, required: ["prompt"] }
  }),
  fixture("test_elicitation", asking(name), {
    streams: true,
    inputSchema: { type: "object", properties: { message: { type: "string" } }, required: ["message"] }
  }),
  fixture("test_elicitation_sep1034_defaults", asking({ form: defaults }), { streams: true }),
  fixture("test_elicitation_sep1330_enums", asking({ form: enums }), { streams: true })
]

/** Asks before a prompt is given. */
export const promptRequires = (context: ServerContext): InputRequiredResult | null => {
  const requests = { user_context: askText("What context should the prompt use?", "context") }
  return answered(context, requests) ? null : inputRequired({ inputRequests: requests })
}
