/** Maps: duplicates, versions, swaps. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Maps from "../../../src/haproxy/MapCommands.ts"
import { findMapPaths } from "../../../src/haproxy/MapPaths.ts"
import { replaceMap } from "../../../src/haproxy/MapSwap.ts"
import { accepted, refusedText, run, withApi } from "./Harness.ts"
import type { MakeTarget } from "./Target.ts"

export const mapContract = (make: MakeTarget): void => {
  describe("maps", () => {
    it.live("lists, shows and looks up", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["b.test pool_2", "a.test pool_1", "odd.test two words"] })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const maps = yield* run(api, Maps.list)
            const domains = maps.find((map) => map.path === target.domainsMap)!
            assert.deepInclude(domains, { currentVersion: 0, nextVersion: 0, entries: 3 })
            assert.strictEqual(maps.find((map) => map.path === target.wildcardsMap)?.entries, 0)
            const expected = [
              { key: "b.test", value: "pool_2" },
              { key: "a.test", value: "pool_1" },
              { key: "odd.test", value: "two words" }
            ]
            assert.deepStrictEqual(yield* run(api, Maps.show(target.domainsMap)), expected)
            assert.deepStrictEqual(yield* run(api, Maps.show(target.wildcardsMap)), [])
            assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "a.test")), "pool_1")
            assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "odd.test")), "two words")
            assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "A.test")), null)
            assert.deepStrictEqual(
              yield* findMapPaths(
                maps,
                { domains: "/ours/domains.map", wildcards: "/ours/wildcards.map", runtimeMapFile: null },
                { pools: 4, slots: 3 },
                (path) => run(api, Maps.show(path))
              ),
              { domains: target.domainsMap, wildcards: target.wildcardsMap }
            )
          }))
      }))

    it.live("adds without looking, sets all, deletes all or one at a time", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        const map = target.domainsMap
        const oneByOne = target.line[0] > 3 || target.line[1] >= 4
        yield* withApi(target.transports.tcp, (api) =>
          Effect.gen(function*() {
            for (let i = 0; i < 3; i++) yield* run(api, Maps.add(map, "a.test", "pool_1"))
            assert.lengthOf(yield* run(api, Maps.show(map)), 3)
            assert.strictEqual(yield* run(api, Maps.set(map, "a.test", "pool_2")), "set")
            assert.deepStrictEqual(
              (yield* run(api, Maps.show(map))).map((entry) => entry.value),
              ["pool_2", "pool_2", "pool_2"]
            )
            let deletions = 0
            while ((yield* run(api, Maps.del(map, "a.test"))) === "deleted") deletions++
            assert.strictEqual(deletions, oneByOne ? 3 : 1)
            assert.strictEqual(yield* run(api, Maps.get(map, "a.test")), null)
            assert.strictEqual(yield* run(api, Maps.set(map, "a.test", "pool_1")), "not found")
            assert.deepStrictEqual(yield* run(api, Maps.show(map)), [])
          }))
      }))

    it.live("refuses what it does not know", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const nowhere = "/no/such.map"
            const verdicts = yield* api.exchange([
              Maps.show(nowhere),
              Maps.get(nowhere, "a.test"),
              Maps.add(nowhere, "a.test", "pool_1"),
              Maps.set(nowhere, "a.test", "pool_1"),
              Maps.del(nowhere, "a.test"),
              Maps.prepare(nowhere),
              Maps.commit(nowhere, 1),
              Maps.addVersion(nowhere, 1, ["a.test pool_1"]),
              Maps.clear(nowhere)
            ])
            for (const verdict of verdicts) assert.match(refusedText(verdict), /^Unknown map identifier/)
            const [early] = yield* api.exchange([Maps.commit(target.domainsMap, 5)])
            assert.match(refusedText(early), /^Version number out of range/)
            // One refusal in the middle hides none of its neighbours.
            const mixed = yield* api.exchange([
              Maps.add(target.domainsMap, "a.test", "pool_1"),
              Maps.add(nowhere, "b.test", "pool_1"),
              Maps.get(target.domainsMap, "a.test")
            ])
            accepted(mixed[0])
            refusedText(mixed[1])
            assert.strictEqual(accepted(mixed[2]), "pool_1")
          }))
      }))

    it.live("shows a new version only when it is committed", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["old.test pool_1"] })
        const map = target.domainsMap
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const version = yield* run(api, Maps.prepare(map))
            assert.strictEqual(version, 1)
            const [added, seen, list] = yield* api.exchange([
              Maps.addVersion(map, version, ["a.test pool_1", "b.test pool_2"]),
              Maps.show(map),
              Maps.list
            ])
            accepted(added)
            assert.deepStrictEqual(accepted(seen), [{ key: "old.test", value: "pool_1" }])
            // The count is that of all versions together.
            assert.deepInclude(accepted(list).find((one) => one.path === map), {
              currentVersion: 0,
              nextVersion: 1,
              entries: 3
            })
            yield* run(api, Maps.commit(map, version))
            assert.deepStrictEqual(yield* run(api, Maps.show(map)), [
              { key: "a.test", value: "pool_1" },
              { key: "b.test", value: "pool_2" }
            ])
            assert.deepInclude((yield* run(api, Maps.list)).find((one) => one.path === map), {
              currentVersion: 1,
              entries: 2
            })
            const [again] = yield* api.exchange([Maps.commit(map, version)])
            assert.match(refusedText(again), /^Version number out of range/)
          }))
      }))

    it.live("replaces a whole map", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["old.test pool_1"] })
        const entries = (count: number) =>
          Array.from({ length: count }, (_, i) => ({ key: `h${i}.test`, value: `pool_${i % 4 + 1}` }))
        for (const transport of Object.values(target.transports)) {
          yield* withApi(transport, (api) =>
            Effect.gen(function*() {
              for (const count of [20_000, 1, 0, 3]) {
                yield* replaceMap(api, target.domainsMap, entries(count))
                const [list, seen] = yield* api.exchange([Maps.list, Maps.show(target.domainsMap)])
                assert.strictEqual(accepted(list).find((one) => one.path === target.domainsMap)?.entries, count)
                assert.deepStrictEqual(accepted(seen), entries(count))
              }
            }))
        }
      }), 30_000)

    it.live("keeps the old content when the count is off", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["old.test pool_1"] })
        const map = target.domainsMap
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            // Somebody else adds to the prepared version: what HAProxy holds is not what we sent.
            let meddled = false
            const meddling: typeof api = {
              ...api,
              exchange: (commands, options) =>
                Effect.suspend(() => {
                  if (meddled || commands[0]?.payload === undefined) return api.exchange(commands, options)
                  meddled = true
                  return Effect.andThen(
                    Effect.orDie(target.command(`add map @1 ${map} x.test pool_1`)),
                    api.exchange(commands, options)
                  )
                })
            }
            const failure = yield* Effect.flip(replaceMap(meddling, map, [{ key: "new.test", value: "pool_2" }]))
            assert.strictEqual(failure._tag, "HaproxyRefused")
            assert.isTrue(meddled)
            assert.deepStrictEqual(yield* run(api, Maps.show(map)), [{ key: "old.test", value: "pool_1" }])
            // What was given up is dropped up to 3.3, and only counted from 3.4.
            const left = (yield* run(api, Maps.list)).find((one) => one.path === map)!
            assert.deepInclude(left, { currentVersion: 0, nextVersion: 1 })
            assert.strictEqual(left.entries, target.line[0] > 3 || target.line[1] >= 4 ? 3 : 1)
            // And the next swap is none the worse for it.
            yield* replaceMap(api, map, [{ key: "new.test", value: "pool_2" }])
            assert.deepStrictEqual(yield* run(api, Maps.show(map)), [{ key: "new.test", value: "pool_2" }])
            assert.strictEqual((yield* run(api, Maps.list)).find((one) => one.path === map)?.entries, 1)
          }))
      }))
  })
}
