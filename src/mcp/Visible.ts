/**
 * Who may call which tool: the one table for `tools/list` and `tools/call`, for every transport and era.
 *
 * Default deny. A tool is there for a caller when the operator's rules leave it, the caller has its scope, and, for a
 * caller that is limited to some domains, the tool can be kept to them. What is not listed cannot be called, and the
 * other way round; both ask {@link refusalOf}. The rules bind MCP clients; the command line of the user that owns the
 * control plane is bound by nothing here.
 */
import * as Context from "effect/Context"
import { Busy, ConfigInvalid, Forbidden } from "../domain/Errors.ts"
import { nearest } from "../domain/Nearest.ts"
import { hasScope, type Principal, type Scope } from "../domain/Principal.ts"
import { allTools, defaultTools, toolNames } from "./Catalogue.ts"
import type { Reach, Tool } from "./Tool.ts"

/** What the operator leaves to MCP clients. Plain data: it travels over the admin socket. */
export interface RulesShape {
  /** Only tools that change nothing (MCP_READ_ONLY). */
  readonly readOnly: boolean
  /** A tool must be in each of these lists (MCP_TOOLS_ALLOW); an empty list allows none. */
  readonly allow: ReadonlyArray<ReadonlyArray<string>>
  /** Never these (MCP_TOOLS_DENY). */
  readonly deny: ReadonlyArray<string>
}

/** Nothing is taken away. */
export const unrestricted: RulesShape = { readOnly: false, allow: [], deny: [] }

/** The rules of this process; ToolRunner.ts sets them from the settings. */
export const Rules: Context.Reference<RulesShape> = Context.Reference("haproxy-mcp/mcp/Rules", {
  defaultValue: () => unrestricted
})

/** Both sets of rules together: a process that works through another one is bound by both. */
export const bothRules = (one: RulesShape, other: RulesShape): RulesShape => ({
  readOnly: one.readOnly || other.readOnly,
  allow: [...one.allow, ...other.allow],
  deny: [...one.deny, ...other.deny]
})

/** What of a tool decides. */
export interface Entitled {
  readonly name: string
  readonly scope: Scope
  readonly reach: Reach
  readonly annotations: { readonly readOnlyHint: boolean }
}

/** Does a name or a pattern of a list (`haproxy_list_*`) mean the tool? */
export const matches = (pattern: string, name: string): boolean => {
  const parts = pattern.split("*")
  if (parts.length === 1) return pattern === name
  let at = parts[0]!.length
  if (!name.startsWith(parts[0]!)) return false
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  const last = parts.at(-1)!
  return name.length - last.length >= at && name.endsWith(last)
}

const forbidden = (message: string, hint: string) => new Forbidden({ message, hint })

const askOperator = "Only the operator of this control plane can change that; do not try it another way."

/** `config, read`. */
const scopesText = ({ scopes }: Principal): string => scopes.length === 0 ? "none" : scopes.join(", ")

const ofRules = (tool: Entitled, rules: RulesShape): Forbidden | null => {
  if (rules.readOnly && !tool.annotations.readOnlyHint) {
    return forbidden(
      `${tool.name} is not available: this control plane is read-only for MCP clients (MCP_READ_ONLY)`,
      askOperator
    )
  }
  if (rules.deny.some((pattern) => matches(pattern, tool.name))) {
    return forbidden(`${tool.name} is switched off here (MCP_TOOLS_DENY)`, askOperator)
  }
  return rules.allow.every((list) => list.some((pattern) => matches(pattern, tool.name)))
    ? null
    : forbidden(`${tool.name} is not among the tools that are allowed here (MCP_TOOLS_ALLOW)`, askOperator)
}

/** A caller whose rights will be known with the database: to ask the operator would be wrong advice. */
const tooEarly = (tool: Entitled) =>
  new Busy({
    message:
      `${tool.name} needs the scope ${tool.scope}, and whether a token is needed is not known before the database `
      + "has been read",
    hint: "Nothing was changed. Repeat the call in a second; haproxy_health tells when the control plane is ready."
  })

/** Why the caller may not call the tool (now: {@link Busy}); null when it may. */
export const refusalOf = (tool: Entitled, caller: Principal, rules: RulesShape): Forbidden | Busy | null => {
  const bound = caller.kind !== "owner" && caller.kind !== "program"
  const ruled = bound ? ofRules(tool, rules) : null
  if (ruled !== null) return ruled
  if (!hasScope(caller, tool.scope)) {
    if (caller.undecided === true) return tooEarly(tool)
    return forbidden(
      `${tool.name} needs the scope ${tool.scope}; this caller has ${scopesText(caller)}`,
      `Ask the operator for a token with the scope ${tool.scope} if the task needs it.`
    )
  }
  if (caller.domains !== null && tool.reach === "everything") {
    return forbidden(
      `${tool.name} is about all domains; this caller is limited to ${caller.domains.join(", ") || "none"}`,
      "Use a tool that names a domain, or ask the operator for a token without that limit."
    )
  }
  return null
}

/**
 * The tools that a caller may call, in the order of the catalogue, out of those that the process offers. Clients keep the
 * list: what is refused for the moment only is in it.
 */
export const visible = (
  caller: Principal,
  rules: RulesShape,
  offered: ReadonlyArray<Tool> = defaultTools
): ReadonlyArray<Tool> =>
  offered.filter((tool) => {
    const refused = refusalOf(tool, caller, rules)
    return refused === null || refused._tag === "Busy"
  })

/** The settings behind the rules. */
export interface RuleSettings {
  readonly mcpReadOnly: boolean
  readonly mcpToolsAllow: ReadonlyArray<string> | null
  readonly mcpToolsDeny: ReadonlyArray<string>
}

/** A pattern that means no tool: with a wrong name a list would allow or deny something else than was meant. */
const meaningless = (setting: string, patterns: ReadonlyArray<string>): ConfigInvalid | null => {
  const wrong = patterns.find((pattern) => !toolNames.some((name) => matches(pattern, name)))
  if (wrong === undefined) return null
  const near = nearest(wrong, toolNames, 3)
  return new ConfigInvalid({
    message: `${setting} names ${wrong}, which is no tool`,
    field: setting,
    hint: near.length > 0 ? `Did you mean ${near.join(" or ")}?` : "The README lists the tools; * stands for any text."
  })
}

/** The rules that settings make, or what is wrong with them. */
export const rulesOf = (settings: RuleSettings): RulesShape | ConfigInvalid =>
  meaningless("MCP_TOOLS_ALLOW", settings.mcpToolsAllow ?? [])
    ?? meaningless("MCP_TOOLS_DENY", settings.mcpToolsDeny)
    ?? {
      readOnly: settings.mcpReadOnly,
      allow: settings.mcpToolsAllow === null ? [] : [settings.mcpToolsAllow],
      deny: settings.mcpToolsDeny
    }

/** Do the rules leave no tool at all? Then nobody can do anything, which is worth a word at start. */
export const leavesNothing = (rules: RulesShape): boolean => allTools.every((tool) => ofRules(tool, rules) !== null)
