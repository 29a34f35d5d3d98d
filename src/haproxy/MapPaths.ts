/**
 * Under which path HAProxy knows our maps. It may load a file under another path than ours (a container mount), and
 * every command names the map by that path.
 *
 * The rule, for each map: the path that the operator set, else exactly our path, else the one map with the same file
 * name that leads to our pools, or is empty, or holds nothing but entries that stand in our file too (foreign ones,
 * where there is no domain yet). Anything else is an error, never a guess.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ConfigInvalid } from "../domain/Errors.ts"
import { ownPool, type PoolLimits } from "../domain/Pool.ts"
import { isWord } from "./Cli.ts"
import type { MapEntry, MapInfo } from "./MapCommands.ts"

/** What we know of our maps. */
export interface MapNames {
  /** Our path of domains.map. */
  readonly domains: string
  /** Our path of wildcards.map. */
  readonly wildcards: string
  /** HAPROXY_RUNTIME_MAP_FILE: domains.map as HAProxy knows it; wildcards.map lies beside it. */
  readonly runtimeMapFile: string | null
}

/** The maps as HAProxy knows them. */
export interface MapPaths {
  readonly domains: string
  readonly wildcards: string
}

const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)
const folder = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1)

/** A list in a sentence, cut where it gets long. */
const some = (paths: ReadonlyArray<string>): string =>
  paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "")

const fail = (message: string, hint: string) => Result.fail(new ConfigInvalid({ message, hint }))

/** Maps that could be ours by their file name alone; to be told apart by their entries. */
export const candidates = (maps: ReadonlyArray<MapInfo>, path: string): ReadonlyArray<MapInfo> =>
  maps.filter((map) => fileName(map.path) === fileName(path))

/**
 * One map's path as HAProxy knows it. `entriesOf` gives the entries of a candidate; it is asked only when nothing else
 * decides. `foreign`: the entries of our file that do not lead to our pools.
 */
export const findMapPath = (
  maps: ReadonlyArray<MapInfo>,
  path: string,
  configured: string | null,
  limits: PoolLimits,
  entriesOf: (path: string) => ReadonlyArray<MapEntry>,
  foreign: ReadonlyArray<MapEntry> = []
): Result.Result<string, ConfigInvalid> => {
  const known = (wanted: string) => maps.some((map) => map.path === wanted)
  const usable = (found: string) =>
    isWord(found)
      ? Result.succeed(found)
      : fail(
        `HAProxy knows a map as ${found.slice(0, 200)}, which cannot be written in a Runtime API command`,
        "Use a map path of letters, digits, dots, dashes, underscores and slashes."
      )
  const list = maps.length === 0 ? "it has no maps at all" : `its maps are ${some(maps.map((map) => map.path))}`
  if (configured !== null) {
    return known(configured) ? usable(configured) : fail(
      `HAProxy has no map ${configured}: ${list}`,
      "Set HAPROXY_RUNTIME_MAP_FILE to the path of domains.map as haproxy.cfg names it, with wildcards.map beside it."
    )
  }
  if (known(path)) return usable(path)
  const named = candidates(maps, path)
  const inFile = (entry: MapEntry) => foreign.some(({ key, value }) => key === entry.key && value === entry.value)
  const ours = named.filter((map) => {
    if (map.entries === 0) return true
    const entries = entriesOf(map.path)
    return entries.some((entry) => ownPool(entry.value, limits) !== null) || entries.every(inFile)
  })
  if (ours.length === 1) return usable(ours[0]!.path)
  return ours.length === 0
    ? fail(
      named.length === 0
        ? `HAProxy does not use ${path}: ${list}`
        : `No entry of ${some(named.map((map) => map.path))} leads to one of our pools, so it may be another program's`,
      named.length === 0
        ? "Let haproxy.cfg route by this file (`haproxy-mcp config` prints how), then reload HAProxy."
        : "Set HAPROXY_RUNTIME_MAP_FILE to the path of domains.map as haproxy.cfg names it."
    )
    : fail(
      `HAProxy has several maps named ${fileName(path)}: ${some(ours.map((map) => map.path))}`,
      "Set HAPROXY_RUNTIME_MAP_FILE to the path of the right domains.map as haproxy.cfg names it."
    )
}

/**
 * Both maps' paths. `entriesOf` reads a map from HAProxy, `foreignIn` the foreign entries of one of our files; they are
 * run only for maps that need it.
 */
export const findMapPaths = <E, R>(
  maps: ReadonlyArray<MapInfo>,
  names: MapNames,
  limits: PoolLimits,
  entriesOf: (path: string) => Effect.Effect<ReadonlyArray<MapEntry>, E, R>,
  foreignIn: (map: keyof MapPaths) => Effect.Effect<ReadonlyArray<MapEntry>> = () => Effect.succeed([])
): Effect.Effect<MapPaths, E | ConfigInvalid, R> =>
  Effect.gen(function*() {
    const samples = new Map<string, ReadonlyArray<MapEntry>>()
    const find = Effect.fnUntraced(function*(map: keyof MapPaths, configured: string | null) {
      const path = names[map]
      const unsure = configured === null && !maps.some((one) => one.path === path)
        ? candidates(maps, path).filter((one) => one.entries > 0 && isWord(one.path))
        : []
      for (const candidate of unsure) samples.set(candidate.path, yield* entriesOf(candidate.path))
      return yield* Effect.fromResult(
        findMapPath(
          maps,
          path,
          configured,
          limits,
          (candidate) => samples.get(candidate) ?? [],
          unsure.length === 0 ? [] : yield* foreignIn(map)
        )
      )
    })
    const runtime = names.runtimeMapFile
    const domains = yield* find("domains", runtime)
    const wildcards = yield* find("wildcards", runtime === null ? null : folder(runtime) + fileName(names.wildcards))
    return { domains, wildcards }
  })
