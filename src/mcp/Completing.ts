/**
 * `completion/complete`: names that begin as what was typed, for the variables of resources and the arguments of
 * prompts. A caller is offered what it may see; one that may see nothing of a kind is offered nothing.
 */
import * as sdk from "@modelcontextprotocol/server"
import type { Principal } from "../domain/Principal.ts"
import { promptNamed } from "./Prompts.ts"
import { decisive, type Reading, readings } from "./Readings.ts"
import { kinds } from "./Resources.ts"
import type { ToolResult } from "./ToolResult.ts"
import { refusalOf, type RulesShape } from "./Visible.ts"

const byVariable: Readonly<Record<string, Reading>> = {
  domain: readings.completeDomains,
  pool: readings.completePools,
  revision: readings.completeRevisions
}

const invalid = (message: string) => new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, message)

const shown = (text: string): string => text.replace(/[^\u0020-\u007e]/g, "?").slice(0, 80)

/** The variables of what a reference means. */
const variablesOf = (ref: sdk.CompleteRequest["params"]["ref"]): ReadonlyArray<string> => {
  if (ref.type === "ref/prompt") {
    const prompt = promptNamed(ref.name)
    if (prompt === undefined) throw invalid(`There is no prompt ${shown(ref.name)}`)
    return prompt.arguments.map(({ name }) => name)
  }
  const kind = kinds.find(({ uri }) => uri === ref.uri)
  if (kind === undefined) throw invalid(`There is no resource template ${shown(ref.uri)}`)
  return kind.variable === null ? [] : [kind.variable]
}

/** Answers a request; `call` runs a reading for the caller. */
export const complete = async (
  { argument, ref }: sdk.CompleteRequest["params"],
  caller: Principal,
  rules: RulesShape,
  call: (name: string, args: Readonly<Record<string, string>>) => Promise<ToolResult>
): Promise<sdk.CompleteResult> => {
  const variables = variablesOf(ref)
  if (!variables.includes(argument.name)) {
    throw invalid(`There is no argument ${shown(argument.name)}; there is ${variables.join(", ") || "none"}`)
  }
  const reading = byVariable[argument.name]!
  const nothing = { completion: { values: [], total: 0, hasMore: false } }
  const by = decisive(reading.name)
  if (by === undefined || refusalOf(by, caller, rules) !== null) return nothing
  const result = await call(reading.name, { prefix: argument.value })
  // Somebody is typing: that HAProxy or the database is away they learn when they are done.
  if (result.isError) return nothing
  const { more, values } = result.structuredContent as { readonly values: Array<string>; readonly more: boolean }
  return { completion: { values, hasMore: more, ...(more ? {} : { total: values.length }) } }
}
