/**
 * The resources of MCP: what they are called, which tool or reading each one is, and who may read them.
 *
 * Guarantees: a resource is listed, completed and read by exactly those who may call the tool that it mirrors
 * (Visible.ts); domains are never listed one by one, however many there are: they are found by completion. What does not
 * exist, or not for the caller, is the protocol's own "resource not found", with the reason in its message; HAProxy or a
 * database that is away is a server error with the same `{error}` that a tool answers.
 */
import * as sdk from "@modelcontextprotocol/server"
import type { Principal } from "../domain/Principal.ts"
import { decisive, readings } from "./Readings.ts"
import type { ToolResult } from "./ToolResult.ts"
import { refusalOf, type RulesShape } from "./Visible.ts"

/** JSON-RPC's first code for errors of a server's own (jsonrpc.org/specification, 5.1); MCP leaves it to servers. */
const serverError = -32_000

/** The longest address that can name anything here: every sign of a name of 253 may be written in three. */
const longestUri = 900

interface Kind {
  /** Name for programs. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** The tool or reading behind it. */
  readonly call: string
  /** The part of the address that varies; null: it is one resource. */
  readonly variable: "domain" | "pool" | "revision" | null
  readonly uri: string
}

const mimeType = "application/json"

/** All kinds of resources, in the order in which they are listed. */
export const kinds: ReadonlyArray<Kind> = [
  {
    name: "status",
    title: "Status",
    description:
      "The control plane, HAProxy, files, database and certificates at a glance: the answer of haproxy_health.",
    call: "haproxy_health",
    variable: null,
    uri: "haproxy://status"
  },
  {
    name: "domain",
    title: "Domain",
    description:
      "A domain or wildcard: its pool and its servers, desired and observed, as haproxy_list_servers answers.",
    call: "haproxy_list_servers",
    variable: "domain",
    uri: "haproxy://domains/{domain}"
  },
  {
    name: "pool",
    title: "Pool",
    description: "A pool (HAProxy backend pool_N): its owner, the domains that lead there, and its servers.",
    call: readings.pool.name,
    variable: "pool",
    uri: "haproxy://pools/{pool}"
  },
  {
    name: "change",
    title: "Changes of a revision",
    description: "What one commit of the desired state changed: who, when, by which tool, every row before and after.",
    call: readings.revision.name,
    variable: "revision",
    uri: "haproxy://changes/{revision}"
  }
]

/** A resource that an address names. Whether it exists only reading it tells. */
export interface Named {
  readonly kind: Kind
  readonly args: Readonly<Record<string, string>>
}

/** What an address names; null: nothing here. */
export const named = (uri: string): Named | null => {
  if (uri.length > longestUri) return null
  for (const kind of kinds) {
    if (kind.variable === null) {
      if (uri === kind.uri) return { kind, args: {} }
      continue
    }
    const before = kind.uri.slice(0, kind.uri.indexOf("{"))
    const rest = uri.slice(before.length)
    if (!uri.startsWith(before) || rest === "" || /[/?#]/.test(rest)) continue
    try {
      return { kind, args: { [kind.variable]: decodeURIComponent(rest) } }
    } catch {
      return null
    }
  }
  return null
}

/** May the caller read resources of this kind? */
export const mayRead = ({ call }: Kind, caller: Principal, rules: RulesShape): boolean => {
  const by = decisive(call)
  return by !== undefined && refusalOf(by, caller, rules) === null
}

const readable = (caller: Principal, rules: RulesShape) => kinds.filter((kind) => mayRead(kind, caller, rules))

const noPages = (cursor: string | undefined) => {
  if (cursor === undefined) return
  throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, "cursor is not one of this list, which has one page")
}

/** What `resources/list` answers. */
export const listResources = (caller: Principal, rules: RulesShape, cursor?: string): sdk.ListResourcesResult => {
  noPages(cursor)
  return {
    resources: readable(caller, rules).flatMap(({ description, name, title, uri, variable }) =>
      variable === null ? [{ uri, name, title, description, mimeType }] : []
    )
  }
}

/** What `resources/templates/list` answers. */
export const listTemplates = (
  caller: Principal,
  rules: RulesShape,
  cursor?: string
): sdk.ListResourceTemplatesResult => {
  noPages(cursor)
  return {
    resourceTemplates: readable(caller, rules).flatMap(({ description, name, title, uri, variable }) =>
      variable === null ? [] : [{ uriTemplate: uri, name, title, description, mimeType }]
    )
  }
}

/** An address as a message may show it. */
const shown = (uri: string): string => uri.replace(/[^\u0021-\u007e]/g, "?").slice(0, 120)

const notFound = (uri: string, why: string) =>
  new sdk.ResourceNotFoundError(uri.slice(0, longestUri), `Resource not found: ${shown(uri)}. ${why}`)

const unknown = (uri: string) => notFound(uri, `There are ${kinds.map((kind) => kind.uri).join(", ")}.`)

/** What of an error body is told. */
interface Told {
  readonly code?: string
  readonly message?: string
  readonly hint?: string
}

/** The error of a reading, as the protocol has it. */
const readingFailed = (uri: string, { code, structuredContent }: ToolResult) => {
  const error = (structuredContent["error"] ?? {}) as Told
  return code === "NOT_FOUND" || code === "INVALID_INPUT" || code === "FORBIDDEN"
    ? notFound(uri, `${error.message ?? ""}. ${error.hint ?? ""}`.trim())
    : new sdk.ProtocolError(serverError, `${shown(uri)} cannot be read now: ${error.message ?? code}`, { error })
}

/** What `resources/read` answers; `call` runs a tool or a reading for the caller. */
export const readResource = async (
  uri: string,
  call: (name: string, args: Readonly<Record<string, string>>) => Promise<ToolResult>
): Promise<sdk.ReadResourceResult> => {
  const found = named(uri)
  if (found === null) throw unknown(uri)
  const result = await call(found.kind.call, found.args)
  if (result.isError) throw readingFailed(uri, result)
  return { contents: [{ uri, mimeType, text: result.text }] }
}
