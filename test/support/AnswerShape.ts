/**
 * Whether an answer has its shape: it fits the tool's answer schema in full, which the published one is a sketch of,
 * and has every field of it. `required` is left out at its root, because it is good for `{error}` too (JsonDocument.ts).
 */
import { assert } from "@effect/vitest"
import type { JsonSchemaType } from "@modelcontextprotocol/server"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv"
import { findTool } from "../../src/mcp/Catalogue.ts"

type Data = Readonly<Record<string, unknown>>

/** Shapes that clients of the predecessor rely on, as paths of fields. */
const relied: Readonly<Record<string, ReadonlyArray<string>>> = {
  haproxy_health: [
    "status",
    "components.mcp.status",
    "components.haproxy.status",
    "components.haproxy.version",
    "components.haproxy.uptime_sec",
    "components.config_files.status",
    "components.config_files.files.map_file",
    "components.config_files.files.db_file",
    "components.container.status",
    "components.container.state"
  ],
  haproxy_domain_health: [
    "domain",
    "backend",
    "status",
    "servers.0.name",
    "servers.0.addr",
    "servers.0.status",
    "servers.0.check_status",
    "healthy_count",
    "total_count"
  ]
}

/** Fields that an answer has only where they say something. */
const sometimes: Readonly<Record<string, ReadonlyArray<string>>> = {
  haproxy_wait_drain: ["operation_id"],
  haproxy_issue_cert: ["operation_id"],
  haproxy_renew_cert: ["operation_id"],
  haproxy_renew_all_certs: ["operation_id"],
  haproxy_load_cert: ["operation_id"]
}

const validator = new AjvJsonSchemaValidator()
const validators = new Map<string, ReturnType<typeof validator.getValidator>>()

const validatorOf = (name: string) => {
  const known = validators.get(name)
  if (known !== undefined) return known
  const tool = findTool(name)
  assert.isDefined(tool, name)
  const { properties, ...document } = tool!.answerSchema as { readonly properties: Data }
  const absent = ["error", "change_id", "plan", ...sometimes[name] ?? []]
  const required = Object.keys(properties).filter((field) => !absent.includes(field))
  const made = validator.getValidator({ ...document, properties, required } as JsonSchemaType)
  validators.set(name, made)
  return made
}

const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((inside, key) => (inside as Data | undefined)?.[key], value)

/** Fails unless the answer of a dry run has its shape: what every one answers, and of the tool's own fields some. */
export const assertDryShape = (tool: string, answer: unknown): void => {
  const document = findTool(tool)!.answerSchema as unknown as JsonSchemaType
  const required = ["summary", "changed", "warnings", "plan"]
  const own = Object.keys((document as { readonly properties: Data }).properties)
  const { errorMessage, valid } = validator.getValidator({
    ...document,
    required: required.filter((field) => own.includes(field))
  })(answer)
  assert.isTrue(valid, `${tool}: ${errorMessage}\n${JSON.stringify(answer)}`)
}

/** Fails unless the answer of a successful call has the tool's shape. */
export const assertShape = (tool: string, answer: unknown): void => {
  const { errorMessage, valid } = validatorOf(tool)(answer)
  assert.isTrue(valid, `${tool}: ${errorMessage}\n${JSON.stringify(answer)}`)
  // What the runtime toolset changes is in no desired state, so it has no change of it.
  const recorded = findTool(tool)?.answerSchema.properties["change_id"] !== undefined
  if (recorded && at(answer, "changed") === true) {
    assert.isString(at(answer, "change_id"), `${tool} changed, without change_id`)
  }
  for (const path of relied[tool] ?? []) {
    assert.notStrictEqual(at(answer, path), undefined, `${tool} answers without ${path}`)
  }
}
