/**
 * Every setting of this version, in one table of groups (src/config/tables). Decoding, `--help`, docs/settings.md and
 * the error messages all read this table, so they cannot disagree.
 */
import type { Setting } from "./Setting.ts"
import { certificates } from "./tables/Certificates.ts"
import { desired } from "./tables/Desired.ts"
import { generated } from "./tables/Generated.ts"
import { haproxy } from "./tables/Haproxy.ts"
import { haproxyHostControl } from "./tables/Host.ts"
import { mcpServer } from "./tables/McpServer.ts"
import { remote } from "./tables/Remote.ts"

export { defaultTokenFile } from "./tables/McpServer.ts"

/** The settings by the name of their field in `Settings`. */
export const table = {
  ...mcpServer,
  ...haproxy,
  ...haproxyHostControl,
  ...remote,
  ...desired,
  ...certificates,
  ...generated
} as const satisfies Record<string, Setting<unknown>>

/** The settings' own type, field by field. */
export type Values = {
  readonly [K in keyof typeof table]: (typeof table)[K] extends Setting<infer A, infer D> ? A | D : never
}

/** All rows, in the order of the documentation. */
export const rows: ReadonlyArray<Setting<unknown>> = Object.values(table)

/** `HAPROXY_HOST` as a flag of the CLI: `haproxy-host`. */
export const flagName = (name: string): string => name.toLowerCase().replaceAll("_", "-")

/** Settings of other versions: known, without an effect here, answered with one log line. */
export const notUsedYet: ReadonlyArray<string> = ["HAPROXY_POOL_MAX"]
