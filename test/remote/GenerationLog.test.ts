/** The generation log on disks that fail at every step, among writers that race, and after the power failed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RemoteUnreachable } from "../../src/domain/Errors.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { GenerationLog } from "../../src/remote/GenerationLog.ts"
import { commitsOf, delta, folder, full, newest, opened, path, Publisher } from "./support/Commits.ts"
import { type Fault, PowerDisk, random } from "./support/PowerDisk.ts"

const run = Effect.runPromise

describe("the log", () => {
  it("grows by whole copies and deltas, is read from the newest whole copy, and shows it at the path", async () => {
    const power = new PowerDisk()
    const log = await opened(power.link())
    assert.isNull(log.head)
    assert.strictEqual((await run(log.publish(full(1)))).kind, "published")
    await run(log.expose)
    assert.strictEqual(power.bytes(path)?.toString(), "=1\n")
    for (let commits = 2; commits <= 70; commits++) await run(log.publish(delta(commits - 1, commits)))
    assert.isTrue(log.isCheckpointDue && log.isPathBehind)
    assert.deepInclude(await newest(await opened(power.link())), { gen: 70, commits: 70, bad: [] })
    // In the middle of what is published; and one that is not published yet.
    assert.isTrue(await run(log.checkpoint(full(69))))
    assert.isFalse(await run(log.checkpoint(full(71))))
    await run(log.publish(delta(70, 75)))
    assert.isTrue(await run(log.checkpoint(full(73))))
    assert.isFalse(log.isCheckpointDue)
    await run(log.expose)
    assert.strictEqual(power.bytes(path)?.toString(), "=73\n")
    const before = power.reads
    const other = await opened(power.link())
    // The manifest, the checkpoint's, and the data of both.
    assert.isAtMost(power.reads - before, 4)
    assert.strictEqual(other.head?.gen, 71)
    assert.strictEqual(commitsOf((await run(log.fetch(30)))!), 30)
    assert.isNull(await run(log.fetch(72)))
    const { generations, total } = await run(log.list(2))
    assert.deepStrictEqual([total, generations.map(({ manifest }) => manifest?.commits)], [71, [75, 70]])
  })

  it("keeps what was at the path before it", async () => {
    const power = new PowerDisk()
    await power.link().writeNew(path, [Buffer.from("of the predecessor")], { mode: 0o600 })
    const log = await opened(power.link())
    assert.strictEqual((await run(log.bare(100)))?.toString(), "of the predecessor")
    await run(log.publish(full(1)))
    await run(log.expose)
    assert.strictEqual(power.bytes(`${path}.before`)?.toString(), "of the predecessor")
    assert.strictEqual(power.bytes(path)?.toString(), "=1\n")
  })

  it("fences whoever was overtaken, at the next check or publication, and for good", async () => {
    const power = new PowerDisk()
    const one = await opened(power.link())
    await run(one.publish(full(1)))
    const two = await opened(power.link())
    assert.strictEqual(await run(one.check), "current")
    await run(two.publish(full(2, "other")))
    const three = await opened(power.link())
    await run(three.publish(delta(2, 3, "third")))
    assert.strictEqual(await run(one.check), "fenced")
    assert.strictEqual((await run(one.publish(full(2)))).kind, "fenced")
    assert.strictEqual((await run(two.publish(full(3)))).kind, "fenced")
    await run(one.expose)
    assert.deepInclude(await newest(three), { gen: 3, commits: 3, bad: [] })
  })

  it("does not accept what is spoiled, and gives no number twice", async () => {
    const torn = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)
    const flipped = (bytes: Buffer) => {
      bytes[bytes.length - 2]! ^= 1
      return bytes
    }
    const empty = (bytes: Buffer) => Buffer.alloc(bytes.length)
    for (const change of [torn, flipped, empty]) {
      for (const part of ["data of 4", "manifest of 4", "data of 3", "manifest of 3", "data of 1", "checkpoint"]) {
        const power = new PowerDisk()
        const log = await opened(power.link())
        await run(log.publish(full(1)))
        for (const commits of [2, 3]) await run(log.publish(delta(commits - 1, commits)))
        if (part === "checkpoint") await run(log.checkpoint(full(3)))
        await run(log.publish(delta(3, 4)))
        const [what, , gen] = part.split(" ")
        const name = power.names.find((each) =>
          what === "checkpoint"
            ? /checkpoint-.*db$/.test(each)
            : new RegExp(`/0+${gen}${what === "data" ? "-.*(db|delta)" : ".json"}$`).test(each)
        )!
        power.spoil(name, change)
        const found = await newest(await opened(power.link()))
        const expected = { data: Number(gen) - 1, manifest: Number(gen) - 1, checkpoint: 4 }[what!]
        assert.strictEqual(found.commits ?? 0, expected, `${change.name} ${part}`)
        assert.strictEqual(found.bad.length, 4 - expected!)
        assert.strictEqual(found.next, 5)
        const heir = await opened(power.link())
        const answer = await run(heir.publish(full(10, "heir")))
        assert.strictEqual(answer.kind, "published")
        assert.deepInclude(await newest(await opened(power.link())), { gen: 5, commits: 10, bad: [] })
        // The one that wrote what is spoiled now is fenced, although it is the only one that ever won its number.
        assert.strictEqual((await run(log.publish(delta(4, 5)))).kind, "fenced")
      }
    }
  })
})

describe("writers that race", () => {
  const race = async (rounds: number, open: () => ReturnType<typeof opened>) => {
    let doubles = 0
    for (let round = 1; round <= rounds; round++) {
      const logs = await Promise.all([open(), open(), open()])
      const answers = await Promise.all(logs.map((log, index) => run(log.publish(full(round, `w${index}`)))))
      const winners = answers.filter(({ kind }) => kind === "published").length
      if (winners !== 1) doubles += 1
      else assert.deepStrictEqual(answers.map(({ kind }) => kind).sort(), ["fenced", "fenced", "published"])
    }
    return doubles
  }

  it("have one winner for each generation: 1,000 rounds in memory", async () => {
    const power = new PowerDisk()
    assert.strictEqual(
      await race(1000, async () => {
        const log = await opened(power.link())
        if ((log.head?.gen ?? 0) % 50 === 49) await run(log.prune)
        return log
      }),
      0
    )
    assert.isBelow(power.names.length, 500)
  })

  it("and on a real disk", async () => {
    const place = mkdtempSync(join(tmpdir(), "log-"))
    try {
      assert.strictEqual(await race(40, () => opened(localDisk, join(place, "remote.db"))), 0)
    } finally {
      rmSync(place, { recursive: true, force: true })
    }
  })

  it("would not, if the rename replaced", async () => {
    const power = new PowerDisk()
    power.renamesOver = true
    assert.isAbove(await race(20, () => opened(power.link())), 0)
  })
})

describe("a whole copy beside the chain that is cut off in the middle of a file", () => {
  it.each([0, 1])("leaves no manifest that is not whole (file %i)", async (cut) => {
    const power = new PowerDisk()
    const log = await opened(power.link())
    for (let commits = 1; commits <= 3; commits++) {
      await run(log.publish(commits === 1 ? full(1) : delta(commits - 1, commits)))
    }
    const reading = await run((await opened(power.link())).read)
    const disk = power.link()
    let files = -Infinity
    const torn = new GenerationLog({
      path,
      disk: {
        ...disk,
        writeNew: async (name, parts, options) => {
          if (files++ !== cut) return disk.writeNew(name, parts, options)
          await disk.writeNew(name, [Buffer.from(parts[0]!).subarray(0, 3)], options)
          throw new RemoteUnreachable({ message: "the link was lost", hint: "wait" })
        }
      }
    })
    torn.adopt(reading)
    await run(torn.publish(full(4)))
    files = 0
    assert.isTrue(Exit.isFailure(await run(Effect.exit(torn.checkpoint(full(4))))))
    assert.isAbove(files, cut)
    for (const name of power.names.filter((each) => each.endsWith(".json"))) {
      assert.isObject(JSON.parse(String(power.bytes(name))), name)
    }
    assert.deepInclude(await newest(await opened(power.link())), { gen: 4, commits: 4, bad: [] })
  })
})

describe("a fault at any step", () => {
  const faults: ReadonlyArray<Fault> = ["refused", "lost before", "lost after", "late", "dead"]

  /** A log of three generations; then one process with a fault, then others. */
  const prepared = async () => {
    const power = new PowerDisk()
    const first = new Publisher(await opened(power.link()))
    for (let i = 0; i < 3; i++) assert.isTrue(await first.write(i === 2))
    return power
  }

  it("loses nothing that was acknowledged, is not taken for another writer, and leaves a log that goes on", async () => {
    let unknown = 0
    for (const kind of faults) {
      for (const isDelta of [false, true]) {
        for (const releases of ["at once", "after a try", "at the end"]) {
          for (let at = 0; at < 16; at++) {
            const label = `${kind} ${at} ${isDelta} ${releases}`
            const power = await prepared()
            // Reading is not what is tested: the fault counts from the publication on.
            const reading = await run((await opened(power.link())).read)
            const faulty = power.link({ at, kind })
            const hurt = new GenerationLog({ disk: faulty, path })
            hurt.adopt(reading)
            const writer = new Publisher(hurt)
            await writer.write(isDelta)
            if (hurt.isUnsettled) unknown += 1
            if (releases === "at once") power.release()
            if (kind !== "dead") {
              assert.isTrue(await writer.write(isDelta, 4), label)
              if (releases === "after a try") power.release()
              assert.isTrue(await writer.write(isDelta, 4), label)
              assert.isFalse(writer.isFenced, label)
            }
            power.release()
            const heir = await opened(power.link())
            const found = await newest(heir)
            assert.isAtLeast(found.commits ?? 0, writer.acknowledged, label)
            assert.deepStrictEqual(found.bad, [], label)
            assert.isTrue(await new Publisher(heir, "heir").write(false), label)
            await run(heir.prune)
            assert.deepInclude(await newest(heir), { commits: found.commits! + 1, bad: [] }, label)
            assert.deepStrictEqual(power.names.filter((name) => name.endsWith(".tmp")), [], label)
          }
        }
      }
    }
    assert.isAbove(unknown, 20)
  })

  it("knows its own late rename from another writer's", async () => {
    const power = await prepared()
    const reading = await run((await opened(power.link())).read)
    // Data, manifest, then the rename.
    const log = new GenerationLog({ disk: power.link({ at: 2, kind: "late" }), path })
    log.adopt(reading)
    assert.strictEqual((await run(log.publish(full(4)))).kind, "unknown")
    assert.strictEqual(await run(log.check), "unsettled")
    assert.strictEqual((await run(log.settle)).kind, "none")
    assert.strictEqual(await run(log.check), "current")
    power.release()
    assert.strictEqual(await run(log.check), "unsettled")
    const answer = await run(log.publish(full(5)))
    assert.deepStrictEqual([answer.kind, log.head?.manifest.commits], ["earlier", 4])
    assert.strictEqual((await run(log.publish(delta(4, 5)))).kind, "published")
    assert.deepInclude(await newest(await opened(power.link())), { gen: 5, commits: 5, bad: [] })
  })
})

describe("pruning", () => {
  const hour = 3_600_000

  it("keeps the newest, what they build on, and the last whole copy of each hour of two days", async () => {
    const power = new PowerDisk()
    const log = await opened(power.link())
    let commits = 0
    // The writer's clock is not asked: here it stands still for three days.
    for (let hours = 0; hours < 72; hours++) {
      power.clock += hour
      await run(log.publish(full(++commits)))
      for (let i = 0; i < 3; i++) await run(log.publish(delta(commits, ++commits)))
      if (hours % 2 === 0) await run(log.checkpoint(full(commits)))
      await run(log.prune)
    }
    const { generations } = await run(log.list(1000))
    const manifests = generations.filter(({ manifest }) =>
      power.bytes(`${folder}/${String(manifest?.gen).padStart(10, "0")}.json`)
    )
    assert.isAtLeast(manifests.length, 10)
    assert.isAtMost(manifests.length, 20)
    const copies = power.names.filter((name) => /(kept-|checkpoint-)\d+.*json$/.test(name))
    assert.isAtLeast(copies.length, 45)
    assert.isAtMost(copies.length, 50)
    for (const name of copies) {
      const gen = Number(/(\d{10})[^/]*json$/.exec(name)![1])
      const fetched = await run(log.fetch(gen))
      assert.isNotNull(fetched, name)
      commitsOf(fetched!)
    }
    for (const { manifest } of generations) assert.isNotNull(await run(log.fetch(manifest!.gen)))
    assert.isBelow(power.names.length, 2 * (manifests.length + copies.length) + 5)
    assert.deepInclude(await newest(await opened(power.link())), { commits, bad: [] })
  })

  it("is seen by a writer of long ago, whose number is free again", async () => {
    const power = new PowerDisk()
    const nobody = await opened(power.link())
    const first = await opened(power.link())
    await run(first.publish(full(1)))
    const old = await opened(power.link())
    for (let commits = 2; commits <= 40; commits++) await run(first.publish(full(commits)))
    await run(first.prune)
    assert.notInclude(power.names, `${folder}/0000000001.json`)
    assert.strictEqual(await run(old.check), "fenced")
    for (const reopened of [nobody, old]) {
      assert.strictEqual((await run(reopened.publish(full(2, "zombie")))).kind, "fenced")
    }
    assert.deepInclude(await newest(await opened(power.link())), { commits: 40, bad: [] })
  })

  it("and reading do not read all of ten thousand generations", async () => {
    const power = new PowerDisk()
    const log = await opened(power.link())
    await run(log.publish(full(1)))
    for (let commits = 2; commits <= 10_000; commits++) {
      await run(log.publish(commits % 100 === 0 ? full(commits) : delta(commits - 1, commits)))
    }
    let before = power.reads
    assert.deepInclude(await newest(await opened(power.link())), { gen: 10_000, commits: 10_000 })
    assert.isBelow(power.reads - before, 20)
    before = power.reads
    const names = power.names.length
    for (let calls = 0; calls < 4; calls++) assert.isBelow((await run(log.prune)).removed, 600)
    assert.isBelow(power.reads - before, 100)
    assert.isBelow(power.names.length, names - 2000)
    assert.deepInclude(await newest(await opened(power.link())), { gen: 10_000, commits: 10_000, bad: [] })
  })
})

describe("a power cut", () => {
  /** Rounds of publications with a cut at a random step; answers how many acknowledged commits were gone after one. */
  const campaign = async (rounds: number, seed: number, skipsFolderSync: boolean) => {
    const below = random(seed)
    const power = new PowerDisk()
    power.skipsFolderSync = skipsFolderSync
    let gone = 0
    for (let round = 0; round < rounds; round++) {
      const log = await opened(power.link({ at: 8 + below(60), kind: "dead" })).catch(() => null)
      let acknowledged = 0
      if (log !== null) {
        const writer = new Publisher(log, `life ${round}`)
        for (let i = 0; i < 12; i++) {
          await writer.write(below(2) === 0)
          if (below(4) === 0) await run(Effect.ignore(log.checkpoint(full(writer.acknowledged, writer.life))))
          if (below(4) === 0) await run(Effect.ignore(log.expose))
          if (below(6) === 0) await run(Effect.ignore(log.prune))
        }
        acknowledged = writer.acknowledged
      }
      power.cut(below)
      const found = await newest(await opened(power.link()))
      if ((found.commits ?? 0) < acknowledged) gone += 1
      if (!skipsFolderSync) assert.deepStrictEqual(found.bad, [], `round ${round}`)
      const exposed = power.bytes(path)?.toString()
      if (exposed !== undefined) assert.match(exposed, /^=\d+\n$/)
    }
    return gone
  }

  it("takes nothing that was acknowledged, and leaves nothing torn", async () => {
    assert.strictEqual(await campaign(120, 1, false), 0)
  })

  it("takes nothing that somebody has read, though its writer died before the fsync of the folder", async () => {
    const power = new PowerDisk()
    const first = await opened(power.link())
    await run(first.publish(full(1)))
    const reading = await run(first.read)
    // Data, manifest, rename; then the fsync.
    const log = new GenerationLog({ disk: power.link({ at: 3, kind: "dead" }), path })
    log.adopt(reading)
    assert.strictEqual((await run(log.publish(full(2)))).kind, "unknown")
    assert.strictEqual((await newest(await opened(power.link()))).commits, 2)
    power.cut(() => 0)
    assert.deepInclude(await newest(await opened(power.link())), { commits: 2, bad: [] })
  })

  it("would, without the fsync of the folder", async () => {
    assert.isAbove(await campaign(50, 1, true), 0)
  })
})
