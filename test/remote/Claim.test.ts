/** Taking the writing from one that is in the middle of it: one winner, nothing lost, and an end in bounded time. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Disk, DiskError } from "../../src/domain/Disk.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { GenerationLog } from "../../src/remote/GenerationLog.ts"
import { RemoteSync } from "../../src/remote/RemoteSync.ts"
import type { Ssh } from "../../src/remote/Ssh.ts"
import { sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd } from "../support/SshLink.ts"
import { delta, folder, full, newest, opened, path, Publisher } from "./support/Commits.ts"
import { type Fault, PowerDisk } from "./support/PowerDisk.ts"

const run = Effect.runPromise

/** Looks as a start does, which takes long, and claims. */
const claim = async (log: GenerationLog, meanwhile: () => Promise<unknown> = async () => {}) => {
  const reading = await run(log.read)
  await meanwhile()
  const claimed = await run(log.claim(reading))
  if (claimed !== null) log.adopt(claimed)
  return claimed
}

/** A writer that never pauses, until it is fenced. */
const busy = async (log: GenerationLog) => {
  const writer = new Publisher(log)
  while (!writer.isFenced) await writer.write(writer.commits % 7 !== 0)
  return writer
}

describe("a claim", () => {
  it("wins from one that took every number meanwhile, reads only what is new, and loses nothing", async () => {
    const power = new PowerDisk()
    const first = await opened(power.link())
    const old = new Publisher(first)
    for (let i = 0; i < 30; i++) await old.write(i > 0)
    const heir = new GenerationLog({ disk: power.link(), path })
    let reads = 0
    const claimed = await claim(heir, async () => {
      for (let i = 0; i < 20; i++) assert.isTrue(await old.write(true))
      reads = power.reads
    })
    // A manifest and the data of each new one; the claim's own.
    assert.isAtMost(power.reads - reads, 2 * 20 + 1)
    assert.strictEqual(claimed?.found?.fetched.state.commits, old.acknowledged)
    assert.strictEqual(heir.head?.manifest.commits, old.acknowledged)
    // Before the long work: the old one can neither write nor say that it may.
    assert.strictEqual(await run(first.check), "fenced")
    assert.isFalse(await old.write(true))
    assert.isTrue(old.isFenced)
    assert.strictEqual(await run(heir.check), "current")
    const next = new Publisher(heir, "heir")
    assert.isTrue(await next.write(true))
    assert.deepInclude(await newest(await opened(power.link())), { commits: next.acknowledged, bad: [] })
    const { generations } = await run(heir.list(3))
    assert.deepStrictEqual(generations.map(({ claim: found }) => found?.kind), [undefined, "claim", undefined])
    assert.deepStrictEqual(power.names.filter((name) => name.endsWith(".tmp")), [])
  })

  it("is no content: the one below goes on when nobody came after it, and contents that are kept are counted without it", async () => {
    const power = new PowerDisk()
    let commits = 0
    for (let start = 1; start <= 30; start++) {
      const log = new GenerationLog({ disk: power.link(), path })
      const claimed = await claim(log)
      // Every third one dies before it writes.
      if (start % 3 === 0) continue
      assert.deepStrictEqual(claimed?.bad, [])
      assert.strictEqual((await run(log.publish(full(++commits, `life ${start}`)))).kind, "published")
      await run(log.prune)
    }
    assert.deepInclude(await newest(await opened(power.link())), { commits, bad: [] })
    assert.isAtLeast(power.names.filter((name) => /\d{10}-.*\.db$/.test(name)).length, 10)
  })

  it("ends where every number is taken first, and changes nothing", async () => {
    const power = new PowerDisk()
    await run((await opened(power.link())).publish(full(1)))
    const names = power.names
    const disk: Disk = {
      ...power.link(),
      renameNew: (_, to) => Promise.reject(new DiskError({ code: "EEXIST", path: to, message: "taken" }))
    }
    assert.isNull(await claim(new GenerationLog({ disk, path })))
    assert.deepStrictEqual(power.names, names)
  })

  it("that got no number is a typed refusal, and who asked may ask again", async () => {
    const power = new PowerDisk()
    await run((await opened(power.link())).publish(full(1)))
    const link = power.link()
    let isTaken = true
    const disk: Disk = {
      ...link,
      renameNew: (from, to) =>
        isTaken
          ? Promise.reject(new DiskError({ code: "EEXIST", path: to, message: "taken" }))
          : link.renameNew(from, to)
    }
    const ssh = { disk, states: Stream.empty } as unknown as Ssh["Service"]
    const remote = Context.get(
      await run(Effect.scoped(Layer.build(RemoteSync.layer({ ssh, host: "edge", file: path })))),
      RemoteSync
    )
    const look = await run(remote.look)
    const refused = await run(Effect.flip(remote.claim(look)))
    assert.strictEqual(refused._tag, "Fenced")
    assert.match(refused.message, /took each number before this one could/)
    isTaken = false
    const found = await run(remote.claim(look))
    assert.deepStrictEqual([found.newest?.state.commits, found.reading.next], [1, 3])
  })

  it("fences the one that claimed before, whichever of them goes on first", async () => {
    for (const order of [[0, 1], [1, 0]]) {
      const power = new PowerDisk()
      await run((await opened(power.link())).publish(full(1)))
      const logs = [0, 1].map(() => new GenerationLog({ disk: power.link(), path }))
      for (const log of logs) await claim(log)
      const answers: Array<string> = []
      for (const index of order) answers[index] = (await run(logs[index]!.publish(full(2, `w${index}`)))).kind
      assert.deepStrictEqual(answers, ["fenced", "published"])
    }
  })

  it("whose answer was lost is known again, whenever it comes, and nothing is lost at a fault of any step", async () => {
    const faults: ReadonlyArray<Fault> = ["refused", "lost before", "lost after", "late", "dead"]
    let failed = 0
    for (const kind of faults) {
      for (const releases of ["at once", "before it writes", "at the end"]) {
        for (let at = 0; at < 14; at++) {
          const label = `${kind} ${at} ${releases}`
          const power = new PowerDisk()
          const old = new Publisher(await opened(power.link()))
          for (let i = 0; i < 3; i++) await old.write(i > 0)
          const log = new GenerationLog({ disk: power.link({ at, kind }), path })
          const tried = await claim(log).catch(() => null)
          if (tried === null) failed += 1
          if (releases === "at once") power.release()
          // It may be fenced already, or not: what it is told counts.
          await old.write(true)
          if (kind !== "dead") {
            if (tried === null) assert.isNotNull(await claim(log), label)
            if (releases === "before it writes") power.release()
            const heir = new Publisher(log, "heir")
            assert.isAtLeast(heir.commits, old.acknowledged, label)
            // A fault may be in its first steps.
            assert.isTrue(await heir.write(false, 4), label)
            power.release()
            assert.isTrue(await heir.write(true, 4), label)
            assert.strictEqual(await run(log.check), "current", label)
            assert.isFalse(await old.write(true), label)
            old.acknowledged = heir.acknowledged
          }
          power.release()
          const found = await newest(await opened(power.link()))
          assert.isAtLeast(found.commits ?? 0, old.acknowledged, label)
          assert.deepStrictEqual(found.bad, [], label)
        }
      }
    }
    assert.isAbove(failed, 40)
  })

  it("stays when the power fails: the old writer's next number is not free again", async () => {
    const power = new PowerDisk()
    const first = await opened(power.link())
    await run(first.publish(full(1)))
    await claim(new GenerationLog({ disk: power.link(), path }))
    power.cut(() => 0)
    assert.strictEqual((await run(first.publish(delta(1, 2)))).kind, "fenced")
    assert.include(power.names, `${folder}/0000000002.json`)
  })
})

/** Two take the writing from one that never pauses, one after the other, beside each other's work. */
const handOver = async (open: () => Promise<Disk>, at: string) => {
  const first = await opened(await open(), at)
  await run(first.publish(full(1)))
  let before = busy(first)
  let slowest = 0
  for (let turn = 0; turn < 2; turn++) {
    const log = new GenerationLog({ disk: await open(), path: at })
    const reading = await run(log.read)
    // Long enough for many numbers to be taken.
    for (let i = 0; i < 5; i++) await run(log.read)
    const began = performance.now()
    const claimed = await run(log.claim(reading))
    slowest = Math.max(slowest, performance.now() - began)
    assert.isNotNull(claimed)
    log.adopt(claimed!)
    const old = await before
    assert.strictEqual(log.head?.manifest.commits, old.acknowledged)
    before = busy(log)
  }
  const last = new GenerationLog({ disk: await open(), path: at })
  assert.isNotNull(await claim(last))
  await before
  assert.deepStrictEqual((await newest(last)).bad, [])
  return slowest
}

it("a claim wins from a writer without a pause on a real disk", async () => {
  const place = mkdtempSync(join(tmpdir(), "claim-"))
  try {
    assert.isBelow(await handOver(async () => localDisk, join(place, "remote.db")), 2_000)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}, 60_000)

it.runIf(sshdReason === null)("and over SFTP, each on a connection of its own", async () => {
  const { end, sshd } = await openSshd()
  const ends: Array<() => Promise<void>> = [end]
  const place = mkdtempSync(join(tmpdir(), "claim-"))
  try {
    const open = async () => {
      const link = await openSsh(sshd.options)
      ends.unshift(link.end)
      await link.until("Up")
      return link.ssh.disk
    }
    assert.isBelow(await handOver(open, join(place, "remote.db")), 2_000)
  } finally {
    for (const each of ends) await each()
    rmSync(place, { recursive: true, force: true })
  }
}, 60_000)
