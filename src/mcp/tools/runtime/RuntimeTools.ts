/** The toolset `runtime`: what HAProxy's Runtime API can do beside domains, servers of our pools and certificates. */
import type { Tool } from "../../Tool.ts"

/** In the order in which clients list them. */
export const runtimeTools: ReadonlyArray<Tool> = []
