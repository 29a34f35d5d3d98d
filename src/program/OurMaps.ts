/** Under which paths HAProxy knows our two maps now, for verbs that look at maps or must keep off ours. */
import * as Effect from "effect/Effect"
import * as Maps from "../haproxy/MapCommands.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import { PoolAllocator } from "./PoolAllocator.ts"
import { ask } from "./Proxies.ts"

const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** Null: HAProxy has no such map. */
export interface OurMaps {
  readonly domains: string | null
  readonly wildcards: string | null
}

/**
 * As the last comparison found them. Before the first one, or while they do not agree, every map of the same file name
 * may be ours: `maybe` holds those paths, and nobody writes to them.
 */
export const ourMaps = Effect.gen(function*() {
  const node = yield* (yield* PoolAllocator).observed
  if (node !== null) {
    const maps: OurMaps = { domains: node.maps.domains.path, wildcards: node.maps.wildcards.path }
    return { maps, maybe: new Set([node.maps.domains.path, node.maps.wildcards.path]) as ReadonlySet<string> }
  }
  const { paths } = yield* MapFiles
  const all = (yield* ask(Maps.list)).map(({ path }) => path)
  const named = (path: string) => all.filter((one) => one === path || fileName(one) === fileName(path))
  const pick = (path: string) => all.find((one) => one === path) ?? (named(path).length === 1 ? named(path)[0]! : null)
  const maps: OurMaps = { domains: pick(paths.domains), wildcards: pick(paths.wildcards) }
  return { maps, maybe: new Set([...named(paths.domains), ...named(paths.wildcards)]) as ReadonlySet<string> }
})
