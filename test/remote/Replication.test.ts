/** The database and the log together: what a store commits is what another host makes of the log. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Disk } from "../../src/domain/Disk.ts"
import { relation } from "../../src/domain/Lineage.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { GenerationLog } from "../../src/remote/GenerationLog.ts"
import { examineFile, install } from "../../src/store/Install.ts"
import { materialise } from "../../src/store/Replica.ts"
import type { Store } from "../../src/store/Store.ts"
import { add, route, routeEdit, withStore, write } from "../store/support/Fixture.ts"
import { sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"
import { full, opened } from "./support/Commits.ts"

const replicate = { replicate: true }

/** As the program does it: what is captured after the log's head is published, and then need not be remembered. */
const publish = Effect.fnUntraced(function*(store: Store["Service"], log: GenerationLog) {
  const capture = yield* store.capture(log.head?.manifest ?? null)
  assert.isNotNull(capture)
  const answer = yield* log.publish(capture!)
  assert.strictEqual(answer.kind, "published")
  yield* store.acknowledge(capture!.state.commits)
  return capture!.kind
})

const cases = (name: string, disk: () => Disk, skipped: boolean) =>
  describe.skipIf(skipped)(`a log on the disk ${name}`, () => {
    let root = ""
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "haproxy-mcp-replication-"))
      chmodSync(root, 0o755)
    })
    afterAll(() => rm(root, { recursive: true, force: true }))

    it(
      "holds all that a store committed, through whole copies, deltas and a checkpoint",
      () =>
        Effect.runPromise(Effect.gen(function*() {
          const [file, other, remote] = ["local.db", "other.db", "remote.db"].map((each) => join(root, each)) as [
            string,
            string,
            string
          ]
          const log = yield* Effect.promise(() => opened(disk(), remote))
          const kinds: Array<string> = []
          const before = yield* withStore(file, (store) =>
            Effect.gen(function*() {
              yield* store.commit(add(store, "a.example.org"))
              kinds.push(yield* publish(store, log))
              yield* store.commit(write(
                store,
                Array.from({ length: 4000 }, (_, i) => routeEdit(null, route(`c${i}.example.com`, 1, 1000 + i)))
              ))
              kinds.push(yield* publish(store, log))
              for (const name of ["b", "c", "d"]) {
                yield* store.commit(add(store, `${name}.example.org`))
                if (name !== "b") kinds.push(yield* publish(store, log))
                if (name === "c") assert.isTrue(yield* log.checkpoint(yield* store.fullCopy))
              }
              yield* log.expose
              return [yield* store.snapshot, yield* store.position] as const
            }), replicate)
          assert.deepStrictEqual(kinds, ["full", "full", "delta", "delta"])
          const { bad, found } = yield* log.read
          assert.deepStrictEqual(bad, [])
          const made = materialise(found!.fetched)
          if (made.kind !== "ours") return assert.fail(JSON.stringify(made))
          assert.isNull(yield* install(other, made.bytes))
          const after = yield* withStore(other, (store) =>
            Effect.gen(function*() {
              const seen = [yield* store.snapshot, yield* store.position] as const
              yield* store.commit(add(store, "e.example.org"))
              assert.strictEqual(yield* publish(store, yield* Effect.promise(() => opened(disk(), remote))), "delta")
              return seen
            }), replicate)
          assert.deepStrictEqual(after[1], before[1])
          const sorted = ({ owners, revision, routes, servers }: typeof before[0]) => [
            revision,
            [...routes].sort((a, b) => a.seq - b.seq),
            servers,
            [...owners].sort(([a], [b]) => a - b)
          ]
          assert.deepStrictEqual(sorted(after[0]), sorted(before[0]))
          const [mine, theirs] = [yield* examineFile(file), yield* examineFile(other)]
          if (mine.kind !== "ours" || theirs.kind !== "ours") return assert.fail("not ours")
          assert.strictEqual(relation(mine.position, theirs.position), "remote ahead")
          // Its first writer has been overtaken.
          assert.strictEqual(yield* log.check, "fenced")
          // What is at the path is a database that can be opened as it is.
          const exposed = yield* examineFile(remote)
          assert.strictEqual(exposed.kind, "ours")
        })),
      60_000
    )

    it("gives each number to one of three writers", async () => {
      const remote = join(root, "raced.db")
      for (let round = 1; round <= 25; round++) {
        const logs = await Promise.all([1, 2, 3].map(() => opened(disk(), remote)))
        const answers = await Promise.all(logs.map((log, i) => Effect.runPromise(log.publish(full(round, `w${i}`)))))
        assert.deepStrictEqual(answers.map(({ kind }) => kind).sort(), ["fenced", "fenced", "published"])
      }
    }, 60_000)
  })

cases("of this machine", () => localDisk, false)

describe.skipIf(sshdReason !== null)("over SFTP", () => {
  let link: SshLink
  let end: () => Promise<void>
  beforeAll(async () => {
    const { end: stop, sshd } = await openSshd()
    link = await openSsh(sshd.options)
    await link.until("Up")
    end = async () => {
      await link.end()
      await stop()
    }
  }, 60_000)
  afterAll(() => end())
  cases("of a host", () => link.ssh.disk, false)
})
