/**
 * One caller adds domains in this process, at 100 to 100,000 domains already there, against the floor: one durable
 * commit, one durable rename of the same files, the Runtime API's round trips. Each addition is taken back before the
 * next, so that the size stays; the taking back is not timed. Two kinds: a name that shares a pool, and a registrable
 * name with its wildcard and a pool and server of its own.
 */
import * as Effect from "effect/Effect"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { CommitFloor, type Rows } from "../floors/Commit.ts"
import { RenameFloor } from "../floors/DurableRename.ts"
import { RuntimeLinkFloor } from "../floors/RuntimeLink.ts"
import { type Plane, startPlane } from "../Plane.ts"
import { freshName, freshRegistrable, limits, ownerOf } from "../Population.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf, timed } from "../Samples.ts"
import { makeWorld, startOrigin, startTwin } from "../World.ts"

/** A free pool of the floor's HAProxy. */
const floorPool = limits.pools

type Kind = "share" | "own"

const inputOf = (kind: Kind, sample: number, port: number) =>
  kind === "share"
    ? { domain: freshName(), share_with: ownerOf(sample) }
    : { domain: freshRegistrable(), ip: "127.0.0.1", http_port: port }

/** Milliseconds of the parts of one addition, in every sample so far. */
interface Parts {
  readonly commit: Array<number>
  readonly runtime: Array<number>
  readonly files: Array<number>
}

const noParts = (): Parts => ({ commit: [], runtime: [], files: [] })

const partNames = ["commit", "runtime", "files"] as const

interface Floor {
  readonly sample: (kind: Kind) => Promise<number>
  readonly parts: Parts
}

const makeFloor = Effect.fnUntraced(function*(
  bench: Bench,
  site: Parameters<typeof startTwin>[1],
  database: string,
  originPort: number
) {
  const twin = yield* startTwin(bench, site)
  const copy = join(twin.site.dir, "floor.db")
  copyFileSync(database, copy)
  const commit = yield* Effect.acquireRelease(
    Effect.sync(() => new CommitFloor(copy)),
    (floor) => Effect.sync(() => floor.close())
  )
  const link = yield* Effect.acquireRelease(
    Effect.promise(() => RuntimeLinkFloor.connect(twin.site.runtimeSocket)),
    (floor) => Effect.sync(() => floor.close())
  )
  const writer = (name: string, files: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => new RenameFloor(join(twin.site.dir, name), files)),
      (floor) => Effect.sync(() => floor.close())
    )
  const files = {
    share: yield* writer("share", [site.domainsMap]),
    own: yield* writer("own", [site.domainsMap, site.wildcardsMap, site.poolsFile])
  }
  const { runtimeDomainsMap, runtimeWildcardsMap } = twin.site
  const parts = noParts()
  const floor: Floor = {
    parts,
    sample: async (kind) => {
      const name = kind === "share" ? freshName() : freshRegistrable()
      const rows: Rows = {
        names: kind === "share" ? [name] : [name, `*.${name}`],
        pool: kind === "share" ? 1 : floorPool,
        own: kind === "own"
      }
      const entries = rows.names.map((each) =>
        each.startsWith("*") ? [runtimeWildcardsMap, each.slice(1)] as const : [runtimeDomainsMap, each] as const
      )
      const began = performance.now()
      commit.add(rows)
      const committed = performance.now()
      if (rows.own) await link.fillSlot(rows.pool, originPort)
      await link.addEntries(entries, rows.pool)
      const live = performance.now()
      await files[kind].write()
      const ended = performance.now()
      parts.commit.push(committed - began)
      parts.runtime.push(live - committed)
      parts.files.push(ended - live)
      // As untimed and as complete as the subject's removal.
      commit.remove(rows)
      await link.removeEntries(entries)
      if (rows.own) await link.clearSlot(rows.pool)
      await files[kind].write()
      return ended - began
    }
  }
  return floor
})

const subject = (plane: Plane, kind: Kind, write: boolean, port: number, parts = noParts()) => {
  let sample = 0
  return async () => {
    plane.files.write = write
    for (const part of partNames) plane.spent[part] = 0
    const input = inputOf(kind, sample++, port)
    const took = await timed(() => plane.run(addDomain(input)))
    for (const part of partNames) parts[part].push(plane.spent[part])
    await plane.run(removeDomain({ domain: input.domain }))
    plane.files.write = true
    return took
  }
}

const label = (domains: number) => domains >= 1000 ? `${domains / 1000}k domains` : `${domains} domains`

/** A control plane with so many domains, and its floor. */
const prepare = Effect.fnUntraced(function*(bench: Bench, domains: number, originPort: number) {
  bench.say(`add in process at ${label(domains)}: preparing`)
  const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
  const { site } = world.haproxy
  // Before the control plane takes the file: afterwards it is locked.
  const copy = join(site.dir, "before.db")
  copyFileSync(world.database, copy)
  const plane = yield* startPlane(site, world.database, true)
  const parts = noParts()
  return {
    domains,
    parts,
    floor: yield* makeFloor(bench, site, copy, originPort),
    share: subject(plane, "share", true, originPort, parts),
    own: subject(plane, "own", true, originPort),
    /** A share whose files are not written. */
    bare: subject(plane, "share", false, originPort)
  }
})

type Prepared = Effect.Success<ReturnType<typeof prepare>>

/** One size against its floor. */
const measureSize = async (bench: Bench, size: Prepared): Promise<ReadonlyArray<Measurement>> => {
  const { domains, floor, own, parts, share } = size
  const floorOf = (kind: Kind) => () => floor.sample(kind)
  // Code that has run some hundred times is compiled; the first size pays for it.
  await interleave({ rounds: 1, samples: domains === 100 ? 100 : bench.quick ? 5 : 40 }, {
    share,
    own,
    floorShare: floorOf("share"),
    floorOwn: floorOf("own")
  })
  bench.say(`add in process at ${label(domains)}: measuring`)
  for (const part of partNames) parts[part].length = floor.parts[part].length = 0
  const shares = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 12 : 60 }, {
    subject: share,
    floor: floorOf("share")
  })
  const details = {
    commit: median(parts.commit),
    "of the floor": median(floor.parts.commit),
    "Runtime API": median(parts.runtime),
    "its floor": median(floor.parts.runtime),
    file: median(parts.files),
    "floor's file": median(floor.parts.files)
  }
  const owns = await interleave({ rounds: bench.quick ? 3 : 5, samples: bench.quick ? 5 : 25 }, {
    subject: own,
    floor: floorOf("own")
  })
  await bench.profiler.record(`add-in-process-${domains}`, async () => {
    for (let sample = 0; sample < 400; sample++) await share()
  })
  const measurement = (name: string, rounds: typeof shares): Measurement => ({
    name: `${name}, ${label(domains)}`,
    subject: duration("addDomain", pool(rounds, "subject")),
    against: duration("floor", pool(rounds, "floor")),
    ratio: ratioOf(rounds.map((round) => median(round.subject) / median(round.floor))),
    target: { atMost: 1.5 }
  })
  return [{ ...measurement("share", shares), details }, measurement("own pool", owns)]
}

/** The largest against the smallest, side by side, while no file is written by either. */
const measureFlat = async (bench: Bench, small: Prepared, large: Prepared): Promise<Measurement> => {
  bench.say("add in process without the file write")
  const rounds = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 15 : 60 }, {
    small: small.bare,
    large: large.bare
  })
  return {
    name: `share, no file write, ${label(large.domains)}`,
    subject: duration("addDomain", pool(rounds, "large")),
    against: duration(`at ${label(small.domains)}`, pool(rounds, "small")),
    ratio: ratioOf(rounds.map((round) => median(round.large) / median(round.small))),
    target: { atMost: 1.2 }
  }
}

export const addInProcess: Row = {
  name: "add-in-process",
  title: "Add a domain in process, one caller, against commit + Runtime API + durable rename",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const originPort = yield* startOrigin(bench)
    const small = yield* prepare(bench, 100, originPort)
    const measurements = [...yield* Effect.promise(() => measureSize(bench, small))]
    for (const domains of [1_000, 10_000]) {
      measurements.push(
        ...yield* Effect.scoped(Effect.gen(function*() {
          const size = yield* prepare(bench, domains, originPort)
          return yield* Effect.promise(() => measureSize(bench, size))
        }))
      )
    }
    const large = yield* prepare(bench, 100_000, originPort)
    measurements.push(...yield* Effect.promise(() => measureSize(bench, large)))
    measurements.push(yield* Effect.promise(() => measureFlat(bench, small, large)))
    return measurements
  })
}
