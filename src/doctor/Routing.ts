/** What HAProxy routes by: frontends, maps and pools, compared with the settings and the map files. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { dirname, join } from "node:path"
import type { SettingsShape } from "../Config.ts"
import { parseSlotName } from "../domain/Pool.ts"
import type { HostControl } from "../haproxy/HostControl.ts"
import { lookupTypes, scans } from "../haproxy/LookupCommands.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import { findMapPaths, type MapPaths } from "../haproxy/MapPaths.ts"
import * as ServerCommands from "../haproxy/ServerCommands.ts"
import * as Stat from "../haproxy/StatCommands.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"
import type { Live } from "./Haproxy.ts"
import type { HaproxyDisk } from "./HaproxyDisk.ts"

const some = (names: ReadonlyArray<string>): string =>
  names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "")

const frontends = Effect.fnUntraced(function*({ runtime }: Live) {
  const [answer] = yield* Effect.orDie(runtime.exchange([Stat.show({ kinds: ["frontend"] })]))
  if (Result.isFailure(answer)) return [warning("Frontends", answer.failure.text, "Look into HAProxy's log.")]
  const closed = answer.success.filter(({ status }) => status !== "OPEN").map(({ proxy, status }) =>
    `${proxy} ${status}`
  )
  const http = answer.success.filter(({ mode }) => mode === "http").map(({ proxy }) => proxy)
  if (http.length === 0) {
    return [error("Frontends", "none speaks HTTP, so nothing is routed", "`haproxy-mcp config` prints one.")]
  }
  return closed.length > 0
    ? [
      warning("Frontends", `not open: ${some(closed)}`, "`enable frontend NAME` on the Runtime API, or reload HAProxy.")
    ]
    : [ok("Frontends", some(http))]
})

/** Lines of a map file that HAProxy loads as entries; null when it cannot be read. */
const entriesIn = ({ disk }: HaproxyDisk, file: string): Effect.Effect<number | null> =>
  Effect.promise(() =>
    disk.readFile(file).then(
      (text) =>
        text === null
          ? null
          : text.toString("latin1").split("\n").filter((line) => !line.startsWith("#") && line.trim() !== "").length,
      () => null
    )
  )

/** Looks before a difference between file and runtime counts: a write may be between the two. */
const looks = 5

const counts = Effect.fnUntraced(function*(
  { runtime }: Live,
  settings: SettingsShape,
  paths: MapPaths,
  there: HaproxyDisk
) {
  const files = [settings.haproxyMapFile, settings.wildcardsFile] as const
  let different: ReadonlyArray<string> = []
  for (let look = 0; look < looks; look++) {
    const inFiles = yield* Effect.all(files.map((file) => entriesIn(there, file)))
    const [answer] = yield* Effect.orDie(runtime.exchange([Maps.list]))
    if (Result.isFailure(answer)) return []
    const live = [paths.domains, paths.wildcards].map((path) =>
      answer.success.find((map) => map.path === path)?.entries ?? 0
    )
    different = files.flatMap((file, index) =>
      inFiles[index] === null || inFiles[index] === live[index]
        ? []
        : [`${file} has ${inFiles[index]}, HAProxy ${live[index]}`]
    )
    if (different.length === 0) return [ok("Map files", `as HAProxy has them: ${live[0]} and ${live[1]} entries`)]
    yield* Effect.sleep(50)
  }
  return [
    warning(
      "Map files",
      `numbers of entries differ: ${different.join("; ")}`,
      "Run `haproxy-mcp serve`: it compares both with the database and repairs them."
    )
  ]
})

const lookups = Effect.fnUntraced(function*({ runtime }: Live, paths: MapPaths) {
  const answers = yield* Effect.orDie(runtime.exchange([lookupTypes(paths.domains), lookupTypes(paths.wildcards)]))
  const slow = answers.flatMap((answer, index) =>
    Result.isSuccess(answer)
      ? answer.success.filter(scans).map((type) => `${index === 0 ? "domains.map" : "wildcards.map"} by map_${type}`)
      : []
  )
  return [
    slow.length > 0
      ? warning(
        "Look-ups",
        `${slow.join(", ")}: every request scans all entries`,
        "Use the look-ups that `haproxy-mcp config` prints (map_str on the host, then on its suffixes), and reload."
      )
      : ok("Look-ups", "by tree (map_str), fast at any size")
  ]
})

const maps = Effect.fnUntraced(function*(live: Live, settings: SettingsShape, there: HaproxyDisk) {
  const [answer] = yield* Effect.orDie(live.runtime.exchange([Maps.list]))
  if (Result.isFailure(answer)) return [warning("Maps", answer.failure.text, "Look into HAProxy's log.")]
  const found = yield* Effect.result(findMapPaths(
    answer.success,
    {
      domains: settings.haproxyMapFile,
      wildcards: settings.wildcardsFile,
      runtimeMapFile: settings.haproxyRuntimeMapFile
    },
    { pools: settings.haproxyPoolCount, slots: settings.haproxyMaxSlots },
    (path) =>
      Effect.map(
        Effect.orDie(live.runtime.exchange([Maps.show(path)])),
        ([entries]) => Result.getOrElse(entries, () => [])
      )
  ))
  if (Result.isFailure(found)) {
    return [error("Maps", found.failure.message, found.failure.hint)]
  }
  const { domains, wildcards } = found.success
  const where = domains === settings.haproxyMapFile ? "" : ` (ours: ${settings.haproxyMapFile})`
  const findings: ReadonlyArray<Found> = [ok("Maps", `${domains} and ${wildcards}${where}`)]
  return [
    ...findings,
    ...(yield* counts(live, settings, found.success, there)),
    ...(yield* lookups(live, found.success))
  ]
})

/** Slots above which `show servers state` is too long an answer for a look. */
const manySlots = 200_000

const pools = Effect.fnUntraced(function*({ runtime }: Live, settings: SettingsShape) {
  const { haproxyMaxSlots: slots, haproxyPoolCount: count } = settings
  if (slots * count > manySlots) return [ok("Pools", `${count} declared; too many to look at each`)]
  const [answer] = yield* Effect.orDie(runtime.exchange([ServerCommands.showState()]))
  if (Result.isFailure(answer)) return [warning("Pools", answer.failure.text, "Look into HAProxy's log.")]
  const rows = answer.success.flatMap((row) => {
    const slot = parseSlotName(row.server)
    return slot !== null && row.backend === `pool_${slot.pool}` ? [{ ...row, slot }] : []
  })
  const known = new Map<number, number>()
  for (const { slot } of rows) known.set(slot.pool, Math.max(known.get(slot.pool) ?? 0, slot.slot))
  const wanted = Array.from({ length: count }, (_, index) => index + 1)
  const missing = wanted.filter((pool) => !known.has(pool)).map((pool) => `pool_${pool}`)
  const narrow = wanted.filter((pool) => (known.get(pool) ?? slots) < slots).map((pool) => `pool_${pool}`)
  const beyond = Math.max(0, ...known.keys())
  const wide = Math.max(0, ...known.values())
  const declare = "Declare them in haproxy.cfg or pools.cfg (`haproxy-mcp config` prints them) and reload, or set "
  const findings: Array<Found> = []
  if (missing.length > 0) {
    findings.push(error(
      "Pools",
      `HAProxy lacks ${missing.length} of the ${count} pools of HAPROXY_POOL_COUNT: ${some(missing)}`,
      `${declare}HAPROXY_POOL_COUNT to what HAProxy has.`
    ))
  } else if (beyond > count) {
    findings.push(warning(
      "Pools",
      `HAProxy has pools up to pool_${beyond}, HAPROXY_POOL_COUNT says ${count}: the others are never used`,
      `Set HAPROXY_POOL_COUNT=${beyond}.`
    ))
  }
  if (narrow.length > 0) {
    findings.push(error(
      "Slots",
      `fewer than the ${slots} of HAPROXY_MAX_SLOTS in ${some(narrow)}`,
      `${declare}HAPROXY_MAX_SLOTS to what every pool has.`
    ))
  } else if (wide > slots) {
    findings.push(warning(
      "Slots",
      `HAProxy has up to ${wide} a pool, HAPROXY_MAX_SLOTS says ${slots}: the others are never used`,
      `Set HAPROXY_MAX_SLOTS=${wide}.`
    ))
  }
  const dangerous = rows.filter(({ ip }) => ip === "0.0.0.0" || ip === "::").map(({ server }) => server)
  if (dangerous.length > 0) {
    findings.push(error(
      "Placeholders",
      `${some(dangerous)} at 0.0.0.0, which is the address that the client connected to: HAProxy would call itself`,
      "Write `server pool_N_K 192.0.2.1:1 disabled` for empty slots in haproxy.cfg, and reload."
    ))
  }
  return findings.length > 0 ? findings : [ok("Pools", `${count} pools of ${slots} slots, as the settings say`)]
})

const coldStart = Effect.fnUntraced(function*(host: HostControl["Service"], settings: SettingsShape) {
  const file = settings.haproxyPoolsFile
  if (file === null) {
    return [
      warning(
        "Cold start",
        "the pools stand in haproxy.cfg as empty slots: a HAProxy that is started without the control plane answers 503 "
          + "for every site until the control plane has filled them",
        `Set HAPROXY_POOLS_FILE=${
          join(dirname(settings.haproxyMapFile), "pools.cfg")
        }, take the pools out of haproxy.cfg, `
          + "and start HAProxy with this file as a second -f (`haproxy-mcp config` prints both)."
      )
    ]
  }
  const files = (yield* host.configFiles)?.map(({ path }) => path) ?? null
  if (files === null || files.length === 0) {
    return [ok("Cold start", `the servers are kept in ${file}; whether HAProxy loads it cannot be seen from here`)]
  }
  return [
    files.includes(file)
      ? ok("Cold start", `HAProxy starts from ${file} and serves at once`)
      : warning(
        "Cold start",
        `HAProxy was started with ${some(files)}, not with ${file}: a restart of it serves nothing by itself`,
        `Start HAProxy with \`-f haproxy.cfg -f ${file}\`.`
      )
  ]
})

/** The checks of a HAProxy that answers. */
export const checks = (
  live: Live,
  host: HostControl["Service"],
  settings: SettingsShape,
  there: HaproxyDisk
): ReadonlyArray<Check> => [
  check("routing", "Frontends", frontends(live)),
  check("routing", "Maps", maps(live, settings, there), 4_000),
  check("routing", "Pools", pools(live, settings), 4_000),
  check("routing", "Cold start", coldStart(host, settings))
]
