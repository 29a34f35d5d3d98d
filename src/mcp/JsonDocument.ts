/**
 * JSON Schema documents as MCP clients and model providers accept them: the root is a plain closed object, no type
 * is an array, and nothing is referenced. Computed once per tool, from the schema that decodes.
 */
import * as Schema from "effect/Schema"
import { errorSketch } from "./ErrorDocument.ts"

/** A JSON Schema, as JSON. */
export type JsonDocument = {
  readonly type: "object"
  readonly properties: { readonly [name: string]: JsonNode }
  readonly required?: ReadonlyArray<string>
  /** Left out of what is published of answers: a client that kept an older catalogue takes a new field. */
  readonly additionalProperties?: false
}

/** A part of a JSON Schema. */
export type JsonNode = { readonly [key: string]: unknown }

/** Without the bounds that `noise` names. */
const withoutBounds = (node: unknown, noise: (value: unknown) => boolean): unknown => {
  if (Array.isArray(node)) return node.map((item) => withoutBounds(item, noise))
  if (typeof node !== "object" || node === null) return node
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node)) {
    // A field of that name has a schema, not a number.
    if ((key === "minimum" || key === "maximum") && typeof value === "number" && noise(value)) continue
    kept[key] = withoutBounds(value, noise)
  }
  return kept
}

/** Bounds that only say "a safe integer". */
const isSafeBound = (value: unknown) => value === Number.MIN_SAFE_INTEGER || value === Number.MAX_SAFE_INTEGER

const document = (schema: Schema.Constraint, noise: (value: unknown) => boolean): JsonDocument => {
  const made = Schema.toJsonSchemaDocument(schema, { onExcessProperty: "error" })
  if (Object.keys(made.definitions).length > 0) throw new Error("a tool's schema may not use identifiers")
  return withoutBounds(made.schema, noise) as JsonDocument
}

/** The document of a tool's arguments. */
export const inputDocument = (schema: Schema.Constraint): JsonDocument => {
  // A struct without fields takes anything, and its document says so; arguments never do.
  const { properties, required } = document(schema, isSafeBound)
  return {
    type: "object",
    properties: properties ?? {},
    ...(required === undefined || required.length === 0 ? {} : { required }),
    additionalProperties: false
  }
}

/**
 * The whole document of a tool's answer, row by row: what the answer is encoded by and tests hold it to. Nothing is
 * required at the root, because `error` may stand there instead of the data. Bounds of numbers are left out.
 */
export const answerDocument = (schema: Schema.Constraint): JsonDocument => {
  const { additionalProperties, properties, type } = document(schema, () => true)
  return {
    type,
    properties: { ...properties, error: errorSketch },
    ...(additionalProperties === undefined ? {} : { additionalProperties })
  }
}

/** Fields that mean the same and have the same type in every answer: the server's instructions explain them once. */
export const commonFields: ReadonlySet<string> = new Set([
  "summary",
  "changed",
  "change_id",
  "revision",
  "warnings",
  "plan",
  "total",
  "next_cursor",
  "error"
])

const isNode = (value: unknown): value is JsonNode =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The node without the null that it may be instead. */
const present = (node: JsonNode): JsonNode => {
  const choices = Array.isArray(node["anyOf"])
    ? node["anyOf"].filter((one) => isNode(one) && one["type"] !== "null")
    : []
  return choices.length === 1 ? { ...choices[0] as JsonNode, nullable: true } : node
}

/** The names of what is inside: `slot, name, servers [addr, weight]`; nothing for a simple value. */
const inside = (node: JsonNode): string => {
  const { items, properties } = present(node)
  if (isNode(items)) return inside(items)
  if (!isNode(properties)) return ""
  return Object.entries(properties).map(([name, child]) => {
    const own = isNode(child) ? inside(child) : ""
    return own === "" ? name : `${name} [${own}]`
  }).join(", ")
}

const sketch = (name: string, node: JsonNode): JsonNode => {
  // Named only: they stand in nearly every tool. What `error` is, clients validate.
  if (commonFields.has(name) && name !== "error") return {}
  const { type, enum: words, nullable } = present(node)
  const { description } = node
  // Where there are names, they say it; a simple value's own name does, too.
  const text = name === "error" ? "" : inside(node) || (type === "object" || type === "array" ? description : "")
  return {
    // What may be null has no type of its own: a list of types is refused by some clients.
    ...(nullable === true || typeof type !== "string" ? {} : { type }),
    ...(nullable === true || words === undefined ? {} : { enum: words }),
    ...(typeof text !== "string" || text === "" ? {} : { description: text })
  }
}

/**
 * The document that is published of it. A model reads the whole catalogue before it does anything, so this says the
 * fields of the answer, their types and in a few words what is inside; the names of rows, and no schema of them. Every
 * answer and every `{error}` is valid by it: the 1.x client of the official SDK validates error results too.
 */
export const outputDocument = ({ properties, type }: JsonDocument): JsonDocument => ({
  type,
  properties: Object.fromEntries(Object.entries(properties).map(([name, node]) => [name, sketch(name, node)]))
})
