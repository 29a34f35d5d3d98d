/**
 * Every tool by its set, in the order in which clients list them. The one table: what is listed, what can be called, on
 * every transport, and the documentation.
 */
import { nearest } from "../domain/Nearest.ts"
import { type Toolset, toolsets } from "../domain/Toolset.ts"
import type { Tool } from "./Tool.ts"
import {
  certInfoTool,
  deleteCertTool,
  issueCertTool,
  listCertsTool,
  loadCertTool,
  renewAllCertsTool,
  renewCertTool
} from "./tools/certificates.ts"
import { changesTool, revertTool } from "./tools/changes.ts"
import { checkConfigTool, reloadTool, restoreStateTool, saveStateTool } from "./tools/configuration.ts"
import { addDomainTool, cleanupWildcardsTool, listDomainsTool, removeDomainTool } from "./tools/domains.ts"
import { explainTool } from "./tools/explain.ts"
import { domainHealthTool, healthTool } from "./tools/health.ts"
import { backendsTool, connectionsTool, listFrontendsTool, serverHealthTool, statsTool } from "./tools/monitoring.ts"
import { operationTool } from "./tools/operations.ts"
import { runtimeTools } from "./tools/runtime/RuntimeTools.ts"
import {
  addServersTool,
  addServerTool,
  listServersTool,
  removeServerTool,
  setDomainStateTool,
  setServerStateTool,
  setServerWeightTool,
  waitDrainTool
} from "./tools/servers.ts"

/** Domains, servers, certificates: what a control plane is for. */
export const defaultTools: ReadonlyArray<Tool> = [
  listDomainsTool,
  addDomainTool,
  removeDomainTool,
  cleanupWildcardsTool,
  listServersTool,
  addServerTool,
  addServersTool,
  removeServerTool,
  setServerStateTool,
  setServerWeightTool,
  setDomainStateTool,
  waitDrainTool,
  healthTool,
  domainHealthTool,
  explainTool,
  serverHealthTool,
  statsTool,
  backendsTool,
  listFrontendsTool,
  connectionsTool,
  checkConfigTool,
  reloadTool,
  saveStateTool,
  restoreStateTool,
  listCertsTool,
  certInfoTool,
  issueCertTool,
  renewCertTool,
  renewAllCertsTool,
  deleteCertTool,
  loadCertTool,
  operationTool,
  changesTool,
  revertTool
]

/** See the module's head. */
export const toolsBySet: { readonly [S in Toolset]: ReadonlyArray<Tool> } = {
  default: defaultTools,
  runtime: runtimeTools
}

/** The tools of all sets. */
export const allTools: ReadonlyArray<Tool> = toolsets.flatMap((set) => toolsBySet[set])

const byName: ReadonlyMap<string, Tool> = new Map(allTools.map((tool) => [tool.name, tool]))

/** The tool of a name, whether its set is on or not. */
export const findTool = (name: string): Tool | undefined => byName.get(name)

/** Names of all tools of all sets. */
export const toolNames: ReadonlyArray<string> = [...byName.keys()]

/** A tool as `tools/list` answers it. */
export const entryOf = (tool: Tool) => ({
  name: tool.name,
  title: tool.title,
  description: tool.description,
  get inputSchema() {
    return tool.inputSchema
  },
  get outputSchema() {
    return tool.outputSchema
  },
  annotations: tool.annotations
})

/** What one process offers. */
export interface Offer {
  /** The tool of a name; undefined also for one whose set is off. */
  readonly find: (name: string) => Tool | undefined
  readonly tools: ReadonlyArray<Tool>
  readonly names: ReadonlyArray<string>
  /** What `tools/list` answers (MCP 2025-06-18 and later: title and outputSchema). Its documents are made when read. */
  readonly catalogue: ReadonlyArray<ReturnType<typeof entryOf>>
  /** Where a name leads that is not offered: to the setting, or to names that are near. */
  readonly instead: (name: string) => string
}

const makeOffer = (sets: ReadonlySet<Toolset>): Offer => {
  const tools = toolsets.flatMap((set) => sets.has(set) ? toolsBySet[set] : [])
  const offered = new Map(tools.map((tool) => [tool.name, tool]))
  const names = [...offered.keys()]
  return {
    find: (name) => offered.get(name),
    tools,
    names,
    catalogue: tools.map(entryOf),
    instead: (name) => {
      const off = toolsets.find((set) => !sets.has(set) && toolsBySet[set].some((tool) => tool.name === name))
      if (off !== undefined) return `It belongs to the toolset ${off}: MCP_TOOLSETS=${off} turns it on.`
      const near = nearest(name, names, 3)
      return near.length > 0 ? `Did you mean ${near.join(" or ")}?` : "tools/list says which there are."
    }
  }
}

const offers = new WeakMap<ReadonlySet<Toolset>, Offer>()

/** What is offered with these sets on. The same for the same sets. */
export const offer = (sets: ReadonlySet<Toolset>): Offer => {
  let known = offers.get(sets)
  if (known === undefined) offers.set(sets, known = makeOffer(sets))
  return known
}

const ofDefault = offer(new Set<Toolset>(["default"]))

/** The published documents of the default set. */
export const catalogue = ofDefault.catalogue

/** Names of the default set's tools. */
export const defaultNames: ReadonlyArray<string> = ofDefault.names
