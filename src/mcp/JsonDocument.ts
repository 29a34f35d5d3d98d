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
  readonly additionalProperties: false
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
 * The document of a tool's answer. The 1.x client of the official SDK validates error results against it too, so
 * nothing is required at the root and `error` stands beside the data. `summary` comes first. Bounds of numbers are left
 * out: a catalogue is read whole by a model, and nobody writes these.
 */
export const outputDocument = (schema: Schema.Constraint): JsonDocument => {
  const { additionalProperties, properties, type } = document(schema, () => true)
  return { type, properties: { ...properties, error: errorSketch }, additionalProperties }
}
