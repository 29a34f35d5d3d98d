/**
 * The verb that says whether HAProxy accepts its configuration and whether it has all that the control plane needs.
 * It only looks. What cannot be looked at (a file that this process may not read) is left out, not guessed.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ControlError } from "../domain/Errors.ts"
import { parseSlotName, type PoolLimits, poolName } from "../domain/Pool.ts"
import { poolsDefaults } from "../domain/PoolsConfig.ts"
import type { ConfigFile } from "../haproxy/HostControl.ts"
import { HostControl } from "../haproxy/HostControl.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Servers from "../haproxy/ServerCommands.ts"
import { Certificates } from "./certificates/Certificates.ts"
import type { CheckConfigAnswer, Need } from "./ConfigurationShapes.ts"
import { Limits } from "./Limits.ts"
import { LongestCall } from "./Operations.ts"
import { PoolAllocator } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

/** Messages of an answer. */
const mostMessages = 30
/** Milliseconds that HAProxy gets to list its maps and servers. */
const lookTime = 3_000

const need = (what: string, ok: boolean, hint = ""): Need => ({ what, ok, hint })
const missing = (what: string, ok: boolean, hint: string): Need => need(what, ok, ok ? "" : hint)

const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** Pools and slots as HAProxy has them, against those that the settings name. */
const poolNeeds = (rows: ReadonlyArray<Servers.ServerStateRow>, limits: PoolLimits): ReadonlyArray<Need> => {
  const slots = new Map<number, number>()
  for (const row of rows) {
    const name = parseSlotName(row.server)
    if (name === null || poolName(name.pool) !== row.backend) continue
    if (name.pool > limits.pools || name.slot > limits.slots) continue
    slots.set(name.pool, (slots.get(name.pool) ?? 0) + 1)
  }
  const short = [...slots.values()].filter((count) => count < limits.slots).length
  const absent = limits.pools - slots.size
  return [
    missing(
      `Pools pool_1 to pool_${limits.pools} with ${limits.slots} slots each`,
      absent === 0 && short === 0,
      `HAProxy lacks ${absent} of these pools, and ${short} more lack slots. Declare them (\`haproxy-mcp config\` prints `
        + "them) and reload, or set HAPROXY_POOL_COUNT and HAPROXY_MAX_SLOTS to what HAProxy has."
    )
  ]
}

/** What HAProxy's memory shows. */
const runtimeNeeds = Effect.gen(function*() {
  const runtime = yield* RuntimeApi
  const files = yield* MapFiles
  const { pools: limits } = yield* Limits
  const sync = yield* (yield* PoolAllocator).sync
  const link = yield* runtime.link
  const reach = "A Runtime API socket with `level admin`"
  const looked = yield* Effect.result(runtime.exchange([Maps.list, Servers.showState()], { timeout: lookTime }))
  if (link._tag === "Down" || Result.isFailure(looked)) {
    const why = link._tag === "Down" ? link.reason : Result.isFailure(looked) ? looked.failure.reason : ""
    return [need(reach, false, `${why}. Check HAPROXY_RUNTIME_MODE and the socket, and that HAProxy runs.`)]
  }
  const [maps, rows] = looked.success
  const loaded = (path: string): Need => {
    const name = fileName(path)
    const there = Result.isSuccess(maps) && maps.success.some((map) => fileName(map.path) === name)
    return missing(
      `The map ${path} is loaded`,
      sync.inSync || there,
      "HAProxy has no map of this name: let haproxy.cfg route by it (`haproxy-mcp config` prints how) and reload."
    )
  }
  return [
    need(reach, true),
    loaded(files.paths.domains),
    loaded(files.paths.wildcards),
    ...(Result.isSuccess(rows)
      ? poolNeeds(rows.success, limits)
      : [need("The servers of the pools", false, `HAProxy does not list them: ${rows.failure.text}`)]),
    missing(
      "HAProxy runs the desired state",
      sync.inSync && sync.problems.length === 0,
      [
        sync.reason,
        ...sync.problems
      ].filter((text) => text !== "").join("; ")
    )
  ]
})

/** HTTPS. Whoever serves HTTP alone needs nothing here: that is a note, and no open need. */
const certificateNeeds = Effect.gen(function*() {
  const certificates = yield* Certificates
  const { problems, reason, status } = yield* certificates.state
  const what = `HTTPS with the certificates of ${certificates.folder}`
  const why = [...new Set([reason, ...problems])].filter((text) => text !== "").join("; ")
  switch (status) {
    case "unknown":
      return []
    case "off":
      return [need(what, true, `There is none: ${why}. Only HTTPS needs it; \`haproxy-mcp config\` prints the lines.`)]
    default:
      return [missing(what, status === "ok", why)]
  }
})

/** What the text of the configuration shows, as far as it can be read. */
const textNeeds = (
  all: ReadonlyArray<ConfigFile>,
  paths: { readonly domains: string; readonly wildcards: string; readonly pools: string | null }
): ReadonlyArray<Need> => {
  const { pools } = paths
  const isPools = ({ path }: ConfigFile) => pools !== null && (path === pools || fileName(path) === fileName(pools))
  const poolsLoaded = all.some(isPools)
  const readable = all.filter((file) => file.text !== null && !isPools(file))
  // Comments say nothing to HAProxy.
  const text = readable.map((file) => file.text!.replace(/^\s*#.*$/gm, "")).join("\n")
  const needs: Array<Need> = []
  if (readable.length > 0) {
    for (const path of [paths.domains, paths.wildcards]) {
      const name = fileName(path).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
      const look = new RegExp(`map(_[a-z]+)*\\([^)]*${name}`, "g")
      const kinds = [...text.matchAll(look)].map(([found]) => found.slice(0, found.indexOf("(")))
      const slow = kinds.find((kind) => /_(?:end|dom|sub|beg|reg)/.test(kind))
      needs.push(need(
        `haproxy.cfg looks hosts up in ${fileName(path)}`,
        kinds.length > 0,
        kinds.length === 0
          ? "No frontend uses this map. `haproxy-mcp config` prints the lines."
          : slow === undefined
          ? ""
          : `${slow} scans the whole map at every request; \`haproxy-mcp config\` prints the look-ups by map_str.`
      ))
    }
    const nowhere = [...text.matchAll(/^\s*server\s+(pool_\d+_\d+)\s+(?:0\.0\.0\.0|\*|\[?::\]?)(?=[:\s])/gm)]
    needs.push(missing(
      "Empty slots point at 192.0.2.1:1",
      nowhere.length === 0,
      `${nowhere.length} slots, such as ${
        nowhere[0]?.[1] ?? "none"
      }, are declared with an address that means "wherever `
        + "the client wanted to go\". Write 192.0.2.1:1 disabled instead."
    ))
    needs.push(missing(
      "A reload cuts no kept connection",
      /^\s*option\s+idle-close-on-response(?:\s|$)/m.test(text),
      "Put `option idle-close-on-response` into defaults or frontend; without it the old worker closes idle connections, "
        + "perhaps while a request is on its way."
    ))
    if (pools !== null) {
      needs.push(missing(
        `haproxy.cfg has the section \`defaults ${poolsDefaults}\``,
        new RegExp(`^\\s*defaults\\s+${poolsDefaults}(?:\\s|$)`, "m").test(text),
        "pools.cfg and pools made at run time take their settings from it. `haproxy-mcp config` prints one."
      ))
    }
  }
  needs.push(missing(
    "HAProxy, started alone, serves at once",
    pools !== null && poolsLoaded,
    pools === null
      ? "Its slots start as placeholders: after a restart, and for a moment after a reload, every site answers 503 until the "
        + "control plane has filled them. "
        + "Set HAPROXY_POOLS_FILE and load that file as a second -f in place of the static pools."
      : `HAProxy is not started with \`-f ${pools}\`, so it starts without the current servers.`
  ))
  return needs
}

/** See the module's head. */
export const checkConfig: Effect.Effect<CheckConfigAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const host = yield* HostControl
  const files = yield* MapFiles
  const checked = yield* Effect.result(host.check(yield* LongestCall))
  // A check that takes too long says nothing about the configuration; one that cannot be made is a finding.
  if (Result.isFailure(checked) && checked.failure.code === "TIMEOUT") return yield* checked.failure
  const way = yield* Effect.result(host.way)
  const configured = yield* host.configFiles
  const whyNot = (failure: { readonly message: string; readonly hint: string }) => `${failure.message}. ${failure.hint}`
  const needs: ReadonlyArray<Need> = [
    need(
      "`haproxy -c` can be run",
      Result.isSuccess(checked),
      Result.isSuccess(checked) ? "" : whyNot(checked.failure)
    ),
    need("HAProxy can be told to reload", Result.isSuccess(way), Result.isSuccess(way) ? "" : whyNot(way.failure)),
    ...(yield* runtimeNeeds),
    ...(yield* certificateNeeds),
    ...(configured === null ? [] : textNeeds(configured, files.paths))
  ]
  const valid = Result.isSuccess(checked) ? checked.success.valid : null
  const rank = { alert: 0, warning: 1, notice: 2 } as const
  const all = Result.isSuccess(checked)
    ? [...checked.success.messages].sort((a, b) => rank[a.level] - rank[b.level])
    : []
  const open = needs.filter(({ ok }) => !ok)
  const verdict = valid === null
    ? "The configuration could not be checked"
    : valid
    ? "HAProxy accepts its configuration"
    : `HAProxy refuses its configuration: ${all[0]?.text ?? "it gave no reason"}`
  return {
    summary: `${verdict}; ${
      open.length === 0
        ? "nothing that the control plane needs is missing"
        : `${open.length} of ${needs.length} needs are open: ${open.slice(0, 3).map(({ what }) => what).join("; ")}`
    }`,
    valid,
    messages: all.slice(0, mostMessages),
    messages_left_out: Math.max(0, all.length - mostMessages),
    needs
  }
})
