/** Every tool, in the order in which clients list them. The one list: transports, admin socket and documentation. */
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
import { checkConfigTool, reloadTool, restoreStateTool, saveStateTool } from "./tools/configuration.ts"
import { addDomainTool, cleanupWildcardsTool, listDomainsTool, removeDomainTool } from "./tools/domains.ts"
import { domainHealthTool, healthTool } from "./tools/health.ts"
import { backendsTool, connectionsTool, listFrontendsTool, serverHealthTool, statsTool } from "./tools/monitoring.ts"
import { operationTool } from "./tools/operations.ts"
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

/** See the module's head. */
export const allTools: ReadonlyArray<Tool> = [
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
  operationTool
]

const byName: ReadonlyMap<string, Tool> = new Map(allTools.map((tool) => [tool.name, tool]))

/** The tool of a name. */
export const findTool = (name: string): Tool | undefined => byName.get(name)

/** Names of all tools. */
export const toolNames: ReadonlyArray<string> = [...byName.keys()]

/** What `tools/list` answers (MCP 2025-06-18 and later: title and outputSchema). Its documents are made when read. */
export const catalogue = allTools.map((tool) => ({
  name: tool.name,
  title: tool.title,
  description: tool.description,
  get inputSchema() {
    return tool.inputSchema
  },
  get outputSchema() {
    return tool.outputSchema
  },
  annotations: { title: tool.title, ...tool.annotations }
}))
