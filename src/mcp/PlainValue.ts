/**
 * Tests whether a value is, as it stands, what its schema would encode it to: then the schema need not be asked, which
 * costs about four times as much for a page of ten domains (14 µs against 4).
 *
 * Guarantees: a test says yes only where the schema would succeed and answer an equal value with its keys in the same
 * order. Where it says no, nothing is known, and the schema decides. It knows what answers are made of (structs, arrays,
 * unions of simple values, checks); a schema with anything else in it, a transformation above all, has no test.
 */
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

/** Says yes only when encoding would change nothing. */
export type PlainTest = (value: unknown) => boolean

const noOptions: SchemaAST.ParseOptions = {}

const passes = (value: unknown, ast: SchemaAST.AST, checks: ReadonlyArray<SchemaAST.Check<unknown>>): boolean =>
  checks.every((check) =>
    check._tag === "Filter"
      ? check.run(value, ast, noOptions) === undefined
      : passes(value, ast, check.checks)
  )

const scalarTest = (ast: SchemaAST.AST): PlainTest | null => {
  switch (ast._tag) {
    case "String":
      return (value) => typeof value === "string"
    case "Number":
      return (value) => typeof value === "number"
    case "Boolean":
      return (value) => typeof value === "boolean"
    case "Null":
      return (value) => value === null
    case "Literal":
      return (value) => value === ast.literal
    default:
      return null
  }
}

/** Of simple values only: of two structs, another one might fit first and leave fields out. */
const unionTest = (ast: SchemaAST.Union): PlainTest | null => {
  const tests = (ast.options?.mode ?? "anyOf") === "anyOf" && ast.encodingChecks === undefined
    ? ast.types.map((type) => SchemaAST.isUnion(type) ? testOf(type) : simple(type, scalarTest(type)))
    : [null]
  const known = tests.filter((test) => test !== null)
  return known.length === tests.length ? (value) => known.some((test) => test(value)) : null
}

const arrayTest = (ast: SchemaAST.Arrays): PlainTest | null => {
  const [rest, ...others] = ast.rest
  if (rest === undefined || others.length + ast.elements.length > 0 || ast.encodingChecks !== undefined) return null
  const test = testOf(rest)
  return test === null ? null : (value) => {
    if (!Array.isArray(value)) return false
    for (let index = 0; index < value.length; index++) if (!test(value[index])) return false
    return true
  }
}

/** A struct's keys come in the order of its fields, as encoding would leave them, and there are no others. */
const structTest = (ast: SchemaAST.Objects): PlainTest | null => {
  if (ast.indexSignatures.length > 0 || ast.encodingChecks !== undefined) return null
  const fields: Array<{ readonly name: PropertyKey; readonly optional: boolean; readonly test: PlainTest }> = []
  for (const { name, type } of ast.propertySignatures) {
    const test = testOf(type)
    if (test === null) return null
    fields.push({ name, test, optional: SchemaAST.isOptional(type) })
  }
  // A struct without fields takes anything.
  return fields.length === 0 ? null : (value) => {
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false
    let at = 0
    for (const key in value) {
      while (at < fields.length && fields[at]!.name !== key) if (!fields[at++]!.optional) return false
      if (at === fields.length || !fields[at++]!.test((value as Record<string, unknown>)[key])) return false
    }
    for (; at < fields.length; at++) if (!fields[at]!.optional) return false
    return true
  }
}

/** The test with the checks of its schema; none when the schema transforms. */
const simple = (ast: SchemaAST.AST, test: PlainTest | null): PlainTest | null => {
  if (test === null || ast.encoding !== undefined) return null
  const { checks } = ast
  return checks === undefined ? test : (value) => test(value) && passes(value, ast, checks)
}

const testOf = (ast: SchemaAST.AST): PlainTest | null =>
  simple(
    ast,
    SchemaAST.isObjects(ast)
      ? structTest(ast)
      : SchemaAST.isArrays(ast)
      ? arrayTest(ast)
      : SchemaAST.isUnion(ast)
      ? unionTest(ast)
      : scalarTest(ast)
  )

/** The test of a schema, or null when only the schema itself can tell. */
export const plainTest = (schema: Schema.Top): PlainTest | null => testOf(schema.ast)
