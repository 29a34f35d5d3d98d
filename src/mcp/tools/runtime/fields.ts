/** Fields that the tools of the runtime toolset share, each described once and in few words. */
import * as Schema from "effect/Schema"
import { removes, sets, type ToolAnnotations } from "../../Tool.ts"
import * as Field from "../fields.ts"

/** Numbers of answers. */
export const int = (description: string) => Schema.Int.annotate({ description })
export const intOrNull = (description: string) => Schema.NullOr(Schema.Int).annotate({ description })

/** A parameter that may be left out. */
export const maybe = (description: string) => Schema.optionalKey(Field.text(description))

/** A whole number that may be left out. */
export const maybeWhole = (minimum: number, maximum: number, description: string, initial?: number) =>
  Schema.optionalKey(Field.whole(minimum, maximum, description, initial))

/** One of some words, that may be left out. */
export const maybeOneOf = <const W extends ReadonlyArray<string>>(words: W, description: string, initial?: W[number]) =>
  Schema.optionalKey(
    Schema.Literals(words).annotate({ description, ...(initial === undefined ? {} : { default: initial }) })
  )

export const search = maybe("Text to look for.")
export const page = {
  next_cursor: Field.textOrNull("Cursor of the next page; null on the last.")
}
export const total = int("Rows on all pages.")
export const scanned = int("Rows that were looked at.")
export const changed = Field.flag("False: it was so already.")

/** A repetition does it again. */
export const repeats: ToolAnnotations = { ...removes, idempotentHint: false }

export { removes, sets }
