/** The toolset `runtime`: what HAProxy's Runtime API can do beside domains, servers of our pools and certificates. */
import type { Tool } from "../../Tool.ts"
import { mapClearTool, mapDeleteTool, mapListTool, mapReplaceTool, mapSetTool, mapShowTool } from "./maps.ts"
import {
  countersClearTool,
  countersShowTool,
  errorsShowTool,
  processShowTool,
  runtimeEchoTool,
  runtimeHelpTool
} from "./process.ts"
import {
  backendShowTool,
  frontendSetTool,
  serverAddTool,
  serverDeleteTool,
  serverSetTool,
  topologyShowTool
} from "./servers.ts"
import { sessionKillTool, sessionListTool, sessionShowTool } from "./sessions.ts"
import { stickTableClearTool, stickTableListTool, stickTableSetTool, stickTableShowTool } from "./tables.ts"
import { crtListShowTool, sniListTool } from "./tls.ts"

/** In the order in which clients list them. */
export const runtimeTools: ReadonlyArray<Tool> = [
  topologyShowTool,
  backendShowTool,
  serverAddTool,
  serverDeleteTool,
  serverSetTool,
  frontendSetTool,
  sessionListTool,
  sessionShowTool,
  sessionKillTool,
  mapListTool,
  mapShowTool,
  mapSetTool,
  mapDeleteTool,
  mapClearTool,
  mapReplaceTool,
  stickTableListTool,
  stickTableShowTool,
  stickTableSetTool,
  stickTableClearTool,
  sniListTool,
  crtListShowTool,
  errorsShowTool,
  countersShowTool,
  countersClearTool,
  processShowTool,
  runtimeHelpTool,
  runtimeEchoTool
]
