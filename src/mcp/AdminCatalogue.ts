/**
 * What only the owner of this machine may ask, through the admin socket: the verbs of the command line that are no
 * tools of MCP (whole imports and exports, the change log, the audit chain, foreign entries, copies of the database). The same shape as a tool, so they are
 * decoded, timed, logged and counted like one; no MCP client can list or call them.
 */
import { auditRecordsVerb, verifyAuditVerb } from "./admin/audit.ts"
import { copyDatabaseVerb } from "./admin/backup.ts"
import { listChangesVerb, revertVerb, showChangeVerb } from "./admin/changes.ts"
import { exportVerb, importVerb } from "./admin/domains.ts"
import { adoptForeignVerb, listForeignVerb } from "./admin/foreign.ts"
import { remoteVerbs } from "./admin/remote.ts"
import { listTokensVerb, newTokenVerb, revokeTokenVerb } from "./admin/tokens.ts"
import type { Catalogue } from "./CallTool.ts"
import type { Tool } from "./Tool.ts"

/** See the module's head. */
export const adminVerbs: ReadonlyArray<Tool> = [
  importVerb,
  exportVerb,
  listChangesVerb,
  showChangeVerb,
  revertVerb,
  verifyAuditVerb,
  auditRecordsVerb,
  listForeignVerb,
  adoptForeignVerb,
  copyDatabaseVerb,
  newTokenVerb,
  listTokensVerb,
  revokeTokenVerb,
  ...remoteVerbs
]

const byName: ReadonlyMap<string, Tool> = new Map(adminVerbs.map((verb) => [verb.name, verb]))

/** The verbs by name. */
export const adminCatalogue: Catalogue = { find: (name) => byName.get(name), names: [...byName.keys()] }
