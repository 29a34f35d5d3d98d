/**
 * Decoding of a tool's arguments: strict, with every refusal as INVALID_INPUT that names the field, the rule and,
 * for an unknown field, the nearest one that exists. `null` for an optional parameter means that it is absent,
 * because several clients fill optional parameters so.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidInput } from "../domain/Errors.ts"
import { nearest } from "../domain/Nearest.ts"
import type { Fields } from "./Tool.ts"

/** Characters that a parameter may have as JSON text: 10 servers need less than 1,000. */
const jsonTextLimit = 10 * 1024

const unknownField = "is not a parameter"

interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    switch (issue._tag) {
      case "UnexpectedKey":
        return unknownField
      case "MissingKey":
        return "is missing"
      default:
        return SchemaIssue.defaultLeafHook(issue)
    }
  }
})

/** The issues in the words of this module: "must be …", where the schema's are "Expected …". */
const issuesOf = (error: Schema.SchemaError): ReadonlyArray<Issue> =>
  format(error.issue).issues.map(({ message, path }) => ({
    path: (path ?? []) as ReadonlyArray<PropertyKey>,
    message: message.replace(/^Expected /, "must be ")
  }))

/** `servers[0].ip`. */
const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    ""
  )

/** A field's name as a message may show it: short, one line, printable. */
const shown = (text: string): string => text.replace(/[^\u0020-\u007e]/g, "?").slice(0, 80)

const refusal = (issues: ReadonlyArray<Issue>, names: ReadonlyArray<string>): InvalidInput => {
  // An unknown field explains a missing one, so it comes first; everything else in the order of the schema.
  const first = issues.find((issue) => issue.message === unknownField) ?? issues[0]!
  const field = shown(pathText(first.path))
  const others = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ""
  const message = `${field === "" ? "The arguments" : field} ${first.message}${others}`
  if (first.message !== unknownField) {
    return new InvalidInput({
      message,
      hint: "Correct it as the tool's input schema says.",
      ...(field === "" ? {} : { field })
    })
  }
  const near = first.path.length === 1 ? nearest(String(first.path[0]), names, 3) : []
  return new InvalidInput({
    message,
    field,
    hint: near.length > 0
      ? `Did you mean ${near.join(" or ")}?`
      : "Leave it out: only the tool's own parameters are taken.",
    ...(first.path.length === 1 && names.length > 0 ? { validValues: names } : {})
  })
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A parameter that came as JSON text, parsed; others as they are. */
const parseText = (field: string, value: unknown): Result.Result<unknown, InvalidInput> => {
  if (typeof value !== "string") return Result.succeed(value)
  if (value.length > jsonTextLimit) {
    return Result.fail(
      new InvalidInput({ message: `${field} is longer than 10 KB`, field, hint: "Send fewer at a time." })
    )
  }
  try {
    return Result.succeed(JSON.parse(value))
  } catch {
    return Result.fail(
      new InvalidInput({
        message: `${field} is text that is not JSON`,
        field,
        hint: "Send a JSON array, or the same array as JSON text."
      })
    )
  }
}

/** Makes the decoder of a tool's parameters. */
export const decodeArguments = <const I extends Fields>(fields: I, jsonText: ReadonlyArray<string>) => {
  const schema = Schema.Struct(fields)
  const decode = Schema.decodeUnknownResult(schema as Schema.Codec<Schema.Struct.Type<I>, unknown>, {
    onExcessProperty: "error",
    errors: "all"
  })
  const names = Object.keys(fields)
  const optional = names.filter((name) => fields[name]!.ast.context?.isOptional === true)
  return (args: unknown): Effect.Effect<Schema.Struct.Type<I>, InvalidInput> => {
    const given = args ?? {}
    if (!isRecord(given)) return Effect.fail(refusal([{ path: [], message: "must be an object" }], names))
    const values: Record<string, unknown> = { ...given }
    for (const name of optional) if (values[name] === null) delete values[name]
    for (const name of jsonText) {
      if (!Object.hasOwn(values, name)) continue
      const parsed = parseText(name, values[name])
      if (Result.isFailure(parsed)) return Effect.fail(parsed.failure)
      values[name] = parsed.success
    }
    if (names.length === 0) {
      // A struct without fields takes anything.
      const [extra] = Object.keys(values)
      if (extra !== undefined) return Effect.fail(refusal([{ path: [extra], message: unknownField }], names))
    }
    const decoded = decode(values)
    return Result.isSuccess(decoded)
      ? Effect.succeed(decoded.success)
      : Effect.fail(refusal(issuesOf(decoded.failure), names))
  }
}
