/**
 * What a tool is: a name, words for a model, annotations, two schemas and the one program that it calls.
 *
 * Guarantees: input is decoded strictly before the program runs, output is encoded by its schema after it, and the
 * published documents are computed once, when somebody asks for them (that takes a millisecond or two per tool). A tool holds no logic of its own; errors, metrics and logs are CallTool's.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type ControlError, Forbidden } from "../domain/Errors.ts"
import { isWithin, type Scope } from "../domain/Principal.ts"
import { parseRouteName } from "../domain/RouteName.ts"
import type { Answer } from "../program/Answer.ts"
import { Caller } from "../program/Caller.ts"
import { rehearse } from "../program/DryRun.ts"
import type { ProgramServices } from "../program/Services.ts"
import { decodeArguments } from "./Arguments.ts"
import { answerDocument, inputDocument, type JsonDocument, outputDocument } from "./JsonDocument.ts"
import { type PlainTest, plainTest } from "./PlainValue.ts"

/** The four hints of MCP's ToolAnnotations (2025-03-26 and later). All are always given. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  readonly openWorldHint: boolean
}

/** Reads; changes nothing. */
export const reads: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false
}

/** Adds or sets a desired state; a repetition changes nothing more. */
export const sets: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false
}

/** Takes something away or out of traffic; a repetition changes nothing more. */
export const removes: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false
}

/** Fields of an object schema without services and without transformations that fail at run time. */
export type Fields = { readonly [name: string]: Schema.Codec<unknown, unknown> }

/** The answer of a tool as JSON, before it is made safe for the wire. */
export type Encoded = { readonly [name: string]: unknown }

/**
 * What a caller that is limited to some domains may do with a tool.
 *
 * - `everything`: nothing, since it shows or changes what belongs to all domains;
 * - a list of parameters that name domains: it may call it for its own. What a write would touch beside them is checked
 *   again when it is decided (program/Reach.ts);
 * - `filtered`: the program itself keeps to the caller's domains, or speaks of none.
 */
export type Reach = "everything" | "filtered" | ReadonlyArray<string>

/** A tool as the transports, the admin socket and the documentation see it. */
export interface Tool {
  readonly name: string
  readonly title: string
  /** At most 400 characters: what, when, what comes back, which tool next. */
  readonly description: string
  readonly annotations: ToolAnnotations
  /** The right that a caller needs. */
  readonly scope: Scope
  readonly reach: Reach
  /** The tool by whose rights this one is judged, where that is another one (Readings.ts). */
  readonly by?: Pick<Tool, "name" | "scope" | "reach" | "annotations">
  /** JSON Schema of the arguments: a plain object, `additionalProperties: false`. */
  readonly inputSchema: JsonDocument
  /** JSON Schema of `structuredContent`, valid for answers and for `{error}` alike: what is published, in short. */
  readonly outputSchema: JsonDocument
  /** The same in full, with every field of every row. */
  readonly answerSchema: JsonDocument
  /** It may wait longer than a normal call, up to 45 s, and reports progress when asked. */
  readonly long: boolean
  /** It takes `dry_run`, and answers what it would do. */
  readonly plans: boolean
  /** Its answer may be of any size: it is for a program, not for a model. */
  readonly bulk: boolean
  /** Decodes, calls the program, encodes. */
  readonly run: (args: unknown) => Effect.Effect<Encoded, ControlError, ProgramServices>
}

const beyond = (field: string, name: string, domains: ReadonlyArray<string>) =>
  new Forbidden({
    message: `${field} ${name} is beyond what this caller is limited to`,
    field,
    hint: `It may only have to do with ${domains.join(", ") || "no domain"}; ask the operator if the task needs more.`
  })

/** Refuses arguments that name other domains than the caller's. What is no name at all the program refuses. */
const keepWithin = (reach: Reach, input: Readonly<Record<string, unknown>>): Effect.Effect<void, Forbidden> =>
  typeof reach === "string" ? Effect.void : Effect.flatMap(Caller, ({ principal }) => {
    if (principal.domains === null) return Effect.void
    for (const field of reach) {
      const value = input[field]
      const name = typeof value === "string" ? Result.getOrNull(parseRouteName(value)) : null
      if (name !== null && !isWithin(principal, name)) return Effect.fail(beyond(field, name, principal.domains))
    }
    return Effect.void
  })

/** Do these arguments ask for a dry run? */
export const isDryRun = (args: unknown): boolean =>
  typeof args === "object" && args !== null && (args as Readonly<Record<string, unknown>>)["dry_run"] === true

const isForced = (input: Readonly<Record<string, unknown>>): boolean => input["force"] === true

/** Runs for a caller who says that a guardrail may be passed. */
const forced = <A, E, R>(isForced: boolean, run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isForced
    ? Effect.flatMap(Caller, (caller) => Effect.provideService(run, Caller, { ...caller, force: true }))
    : run

/** The same input without these fields. */
const without = <I extends Readonly<Record<string, unknown>>>(input: I, names: ReadonlyArray<string>): I =>
  names.some((name) => Object.hasOwn(input, name))
    ? Object.fromEntries(Object.entries(input).filter(([name]) => !names.includes(name))) as I
    : input

/** The same fields, none of which must be there. */
const asOptional = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      field.ast.context?.isOptional === true ? field : Schema.optionalKey(field)
    ])
  )

/**
 * Defines a tool. One with a `plan` among its answer's fields takes `dry_run`. Without a scope it is for `admin` only;
 * without a reach, not for callers with limited domains.
 */
export const tool = <const I extends Fields, const O extends Fields>(definition: {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly annotations: ToolAnnotations
  readonly scope?: Scope
  readonly reach?: Reach
  readonly input: I
  /** Parameters that may also come as JSON text, as older clients send lists. */
  readonly jsonText?: ReadonlyArray<keyof I & string>
  readonly output: O
  readonly long?: boolean
  readonly bulk?: boolean
  /** A guardrail may stop it: its `force` is for the guardrail, and not the program's own. */
  readonly guarded?: true
  readonly program: (
    input: Schema.Struct.Type<I>
  ) => Effect.Effect<Schema.Struct.Type<O>, ControlError, ProgramServices>
}): Tool => {
  const output = Schema.Struct(definition.output)
  let inputSchema: JsonDocument | undefined
  let outputSchema: JsonDocument | undefined
  let answerSchema: JsonDocument | undefined
  const decode = decodeArguments(definition.input, definition.jsonText ?? [])
  const bySchema = Schema.encodeUnknownEffect(output) as (answer: unknown) => Effect.Effect<Encoded, Schema.SchemaError>
  let isPlain: PlainTest | null | undefined
  // Nearly every answer is the JSON that its schema asks for already: seeing that costs a quarter of encoding it.
  const encode = (answer: unknown): Effect.Effect<Encoded> =>
    (isPlain === undefined ? isPlain = plainTest(output) : isPlain)?.(answer) === true
      ? Effect.succeed(answer as Encoded)
      : Effect.orDie(bySchema(answer))
  const reach = definition.reach ?? "everything"
  const plans = "plan" in definition.output
  const guarded = definition.guarded === true
  const notOwn = [...(plans ? ["dry_run"] : []), ...(guarded ? ["force"] : [])]
  const ownOf = (input: Schema.Struct.Type<I>) => without(input, notOwn)
  // A dry run answers what is known before anything is done: any field may be missing.
  let partly: ((answer: unknown) => Effect.Effect<Encoded, Schema.SchemaError>) | undefined
  const encodePart = (answer: unknown): Effect.Effect<Encoded> => {
    partly ??= Schema.encodeUnknownEffect(Schema.Struct(asOptional(definition.output))) as typeof bySchema
    return Effect.orDie(partly(answer))
  }
  const runDry = (input: Schema.Struct.Type<I>) =>
    Effect.flatMap(
      rehearse(definition.program(input) as unknown as Effect.Effect<Answer, ControlError, ProgramServices>),
      encodePart
    )
  return {
    name: definition.name,
    title: definition.title,
    description: definition.description,
    annotations: definition.annotations,
    scope: definition.scope ?? "admin",
    reach,
    get inputSchema() {
      return inputSchema ??= inputDocument(Schema.Struct(definition.input))
    },
    get outputSchema() {
      return outputSchema ??= outputDocument(this.answerSchema)
    },
    get answerSchema() {
      return answerSchema ??= answerDocument(output)
    },
    long: definition.long ?? false,
    bulk: definition.bulk ?? false,
    plans,
    run: (args) =>
      Effect.flatMap(
        decode(args),
        (input) =>
          Effect.andThen(
            keepWithin(reach, input),
            forced(
              guarded && isForced(input),
              plans && isDryRun(input) ? runDry(ownOf(input)) : Effect.flatMap(definition.program(ownOf(input)), encode)
            )
          )
      )
  }
}
