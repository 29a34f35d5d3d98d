/** Every pair of a local and a remote copy, and what a start does with it. */
import { assert, describe, it } from "@effect/vitest"
import type { Position } from "../../src/domain/Lineage.ts"
import { chooseStart, type LocalCopy, type RemoteCopy, type StartChoice } from "../../src/domain/StartChoice.ts"

const position = (commits: number, life = "l1", lineage = "a", schema = 3): Position => ({
  lineage,
  life,
  commits,
  revision: commits,
  schema,
  lives: life === "l1" ? [{ life: "l1", first: 0 }] : [{ life: "l1", first: 0 }, { life, first: 6 }]
})

const ours = (at: Position, wasPublished = true): LocalCopy => ({ kind: "ours", position: at, wasPublished })

/** Went on alone after commit 5, which the remote held: nothing of it was acknowledged since. */
const unsent = (
  durable: { readonly by: string; readonly life?: string; readonly commits: number } | null
): LocalCopy => ({
  kind: "ours",
  position: position(8, "l4"),
  wasPublished: true,
  durable: durable === null
    ? null
    : { by: durable.by, state: { lineage: "a", life: durable.life ?? "l1", commits: durable.commits } }
})

const locals = {
  "none": { kind: "none" },
  "blank": ours(position(0, "l1", "new"), false),
  "equal": ours(position(5)),
  "ahead": ours(position(8)),
  "ahead, another life": ours(position(8, "l2")),
  "behind": ours(position(3)),
  "never published": ours(position(3, "l1", "b"), false),
  "other lineage": ours(position(9, "l1", "b")),
  "damaged": { kind: "damaged", why: "torn" },
  "foreign": { kind: "foreign", why: "of another program" },
  "newer": { kind: "newer", schema: 9 }
} satisfies Record<string, LocalCopy>

const remotes = {
  "unreachable": { kind: "unreachable", why: "it is down", hint: "Start it." },
  "empty": { kind: "empty" },
  "bare": { kind: "bare", position: position(5) },
  "verified": { kind: "verified", position: position(5), bad: [] },
  "of another life": { kind: "verified", position: position(7, "l3"), bad: [] },
  "newest bad": { kind: "verified", position: position(5), bad: [{ gen: 9, state: position(8) }] },
  "newest unreadable": { kind: "verified", position: position(5), bad: [{ gen: 9, state: null }] },
  "all bad": { kind: "all bad", newest: position(5) },
  "all unreadable": { kind: "all bad", newest: null },
  "newer": { kind: "newer", schema: 9 }
} satisfies Record<string, RemoteCopy>

const told = (choice: StartChoice): string =>
  choice.kind === "use local"
    ? `local${choice.publish ? " + publish" : ""}${choice.notice === null ? "" : " !"}`
    : choice.kind === "take remote"
    ? `remote${choice.notice === null ? "" : " !"}`
    : choice.kind === "start new"
    ? "new"
    : `${choice.code}${choice.serve ? " serve" : ""}${choice.retry ? " retry" : ""}`

type Row = readonly [keyof typeof locals, string]

const table: { readonly [remote in keyof typeof remotes]: ReadonlyArray<Row> } = {
  "unreachable": [
    ["none", "REMOTE_UNREACHABLE retry"],
    ["blank", "REMOTE_UNREACHABLE retry"],
    ["equal", "REMOTE_UNREACHABLE serve retry"],
    ["ahead", "REMOTE_UNREACHABLE serve retry"],
    ["ahead, another life", "REMOTE_UNREACHABLE serve retry"],
    ["behind", "REMOTE_UNREACHABLE serve retry"],
    ["never published", "REMOTE_UNREACHABLE serve retry"],
    ["other lineage", "REMOTE_UNREACHABLE serve retry"],
    ["damaged", "REMOTE_UNREACHABLE retry"],
    ["foreign", "REMOTE_UNREACHABLE retry"],
    ["newer", "REMOTE_UNREACHABLE retry"]
  ],
  "empty": [
    ["none", "new"],
    ["blank", "local + publish"],
    ["equal", "FENCED serve"],
    ["ahead", "FENCED serve"],
    ["ahead, another life", "FENCED serve"],
    ["behind", "FENCED serve"],
    ["never published", "local + publish !"],
    ["other lineage", "FENCED serve"],
    ["damaged", "STORAGE_FAILED"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "bare": [
    ["none", "remote !"],
    ["blank", "remote !"],
    ["equal", "local + publish"],
    ["ahead", "local + publish"],
    ["ahead, another life", "local + publish"],
    ["behind", "remote !"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "remote !"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "verified": [
    ["none", "remote"],
    ["blank", "remote"],
    ["equal", "local"],
    ["ahead", "local + publish"],
    ["ahead, another life", "local + publish"],
    ["behind", "remote"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "remote !"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "of another life": [
    ["none", "remote"],
    ["blank", "remote"],
    ["equal", "remote"],
    ["ahead", "FENCED serve"],
    ["ahead, another life", "FENCED serve"],
    ["behind", "remote"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "remote !"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "newest bad": [
    ["none", "remote !"],
    ["blank", "remote !"],
    ["equal", "local + publish !"],
    ["ahead", "local + publish !"],
    ["ahead, another life", "local + publish !"],
    ["behind", "remote !"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "remote !"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "newest unreadable": [
    ["none", "remote !"],
    ["blank", "remote !"],
    ["equal", "local + publish !"],
    ["ahead", "local + publish !"],
    ["ahead, another life", "local + publish !"],
    ["behind", "remote !"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "remote !"],
    ["foreign", "CONFIG_INVALID"],
    ["newer", "CONFIG_INVALID"]
  ],
  "all bad": [
    ["none", "STORAGE_FAILED"],
    ["blank", "STORAGE_FAILED"],
    ["equal", "local + publish !"],
    ["ahead", "local + publish !"],
    ["ahead, another life", "local + publish !"],
    ["behind", "FENCED serve"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "STORAGE_FAILED"],
    ["foreign", "STORAGE_FAILED"],
    ["newer", "CONFIG_INVALID"]
  ],
  "all unreadable": [
    ["none", "STORAGE_FAILED"],
    ["blank", "STORAGE_FAILED"],
    ["equal", "FENCED serve"],
    ["ahead", "FENCED serve"],
    ["ahead, another life", "FENCED serve"],
    ["behind", "FENCED serve"],
    ["never published", "FENCED serve"],
    ["other lineage", "FENCED serve"],
    ["damaged", "STORAGE_FAILED"],
    ["foreign", "STORAGE_FAILED"],
    ["newer", "CONFIG_INVALID"]
  ],
  "newer": Object.keys(locals).map((local): Row => [local as keyof typeof locals, "CONFIG_INVALID"])
}

describe("a start", () => {
  for (const remote of Object.keys(remotes) as ReadonlyArray<keyof typeof remotes>) {
    it(`with a remote that is ${remote}`, () => {
      const found = (Object.keys(locals) as ReadonlyArray<keyof typeof locals>).map((local) => [
        local,
        told(chooseStart(remotes[remote], locals[local]))
      ])
      assert.deepStrictEqual(found, table[remote].map((row) => [...row]))
    })
  }

  it("says what is lost, and what is not", () => {
    const notice = (local: LocalCopy, remote: RemoteCopy) => {
      const choice = chooseStart(remote, local)
      return choice.kind === "use local" || choice.kind === "take remote" ? choice.notice ?? "" : ""
    }
    assert.match(notice(locals.ahead, remotes["newest bad"]), /the local database holds all of it/)
    assert.match(notice(locals["ahead, another life"], remotes["newest bad"]), /may be missing/)
    assert.match(notice(locals.ahead, remotes["newest unreadable"]), /may be missing/)
    assert.match(notice(locals.none, remotes["newest bad"]), /may be missing/)
  })

  it("puts aside what never left and was never acknowledged, and only that", () => {
    const remote: RemoteCopy = remotes["of another life"]
    const mine = { by: "l4", commits: 5 }
    assert.strictEqual(told(chooseStart(remote, unsent(mine))), "remote !")
    const choice = chooseStart(remote, unsent(mine))
    assert.match(choice.kind === "take remote" ? choice.notice ?? "" : "", /never acknowledged.*put aside/)
    // Of a remote that holds all there is: nothing to put aside.
    assert.strictEqual(told(chooseStart(remotes.verified, unsent(mine))), "local + publish")
    const refused: ReadonlyArray<readonly [RemoteCopy, LocalCopy]> = [
      // Nobody knows what was acknowledged; or it was another life that was strict.
      [remote, unsent(null)],
      [remote, unsent({ by: "l1", commits: 5 })],
      // The remote has lost what was durable on it.
      [remote, unsent({ by: "l4", life: "l4", commits: 7 })],
      [{ ...remote, bad: [{ gen: 9, state: null }] } as RemoteCopy, unsent(mine)],
      [{ kind: "bare", position: position(7, "l3") }, unsent(mine)],
      [remotes.empty, unsent(mine)],
      [remotes["all bad"], { ...unsent(mine), position: position(4, "l4") } as LocalCopy]
    ]
    for (const [there, here] of refused) assert.strictEqual(told(chooseStart(there, here)), "FENCED serve")
  })

  it("publishes anew after a migration", () => {
    const choice = chooseStart({ kind: "verified", position: position(5, "l1", "a", 2), bad: [] }, locals.equal)
    assert.deepStrictEqual(choice, { kind: "use local", publish: true, notice: null })
  })

  it("gives each refusal its reason and its way out", () => {
    for (const remote of Object.values(remotes)) {
      for (const local of Object.values(locals)) {
        const choice = chooseStart(remote, local)
        if (choice.kind !== "read-only") continue
        assert.match(choice.reason, /^[A-Z].{20,}$/)
        assert.match(choice.hint, /^(?:[A-Z`]).{5,}\.$/)
      }
    }
  })
})
