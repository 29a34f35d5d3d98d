/** Which copy holds which, against a model: a tree of contents, in which ancestry is known. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { holds, lifeAt, livesBeyond, maxLives, type Position, relation, withLife } from "../../src/domain/Lineage.ts"

interface Node {
  readonly position: Position
  readonly parent: Node | null
  /** Has its own life gone on from here? Then only another one can. */
  isTip: boolean
}

const first = (lineage: string): Node => ({
  parent: null,
  isTip: true,
  position: {
    lineage,
    life: `${lineage}0`,
    commits: 0,
    revision: 0,
    schema: 3,
    lives: [{ life: `${lineage}0`, first: 0 }]
  }
})

const commit = (parent: Node, life: string): Node => {
  const { lineage, revision, schema } = parent.position
  const commits = parent.position.commits + 1
  return {
    parent,
    isTip: true,
    position: { lineage, life, commits, revision, schema, lives: withLife(parent.position.lives, life, commits) }
  }
}

const isAncestor = (a: Node, b: Node | null): boolean => b !== null && (a === b || isAncestor(a, b.parent))

/** Oldest first. */
const chainOf = (node: Node | null): ReadonlyArray<Node> => node === null ? [] : [...chainOf(node.parent), node]

const Step = Schema.Struct({
  from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
  newLife: Schema.Boolean
})

describe("two copies", () => {
  it.effect.prop(
    "stand to each other as their histories do",
    [Arbitrary.schema(Schema.Array(Step).check(Schema.isMaxLength(30)))],
    ([steps]) =>
      Effect.sync(() => {
        const nodes = [first("a"), first("b")]
        for (const [index, { from, newLife }] of steps.entries()) {
          const parent = nodes[from % nodes.length]!
          const goesOn = parent.isTip && !newLife
          if (goesOn) parent.isTip = false
          nodes.push(commit(parent, goesOn ? parent.position.life : `life ${index}`))
        }
        for (const a of nodes) {
          for (const b of nodes) {
            const found = relation(a.position, b.position)
            assert.strictEqual(
              found,
              a.position.lineage !== b.position.lineage
                ? "other lineage"
                : a === b
                ? "equal"
                : isAncestor(b, a)
                ? "local ahead"
                : isAncestor(a, b)
                ? "remote ahead"
                : "diverged"
            )
            assert.strictEqual(holds(a.position, b.position), isAncestor(b, a))
            const only = chainOf(a).filter((node) => !isAncestor(node, b)).map(({ position }) => position.life)
            assert.deepStrictEqual(livesBeyond(a.position, b.position), [...new Set(only)])
          }
        }
      })
  )

  it("are told to be at odds, not ahead, where the list of lives does not reach", () => {
    const old = commit(first("a"), "old").position
    const lives = Array.from({ length: maxLives }, (_, index) => ({ life: `life ${index}`, first: index + 2 }))
    const full: Position = { ...old, lives, commits: maxLives + 1, life: lives.at(-1)!.life }
    assert.isNull(lifeAt(full.lives, 1))
    assert.strictEqual(relation(old, full), "diverged")
    const next = withLife(lives, "next", maxLives + 2)
    assert.strictEqual(next.length, maxLives)
    assert.strictEqual(relation(full, { ...full, lives: next, commits: maxLives + 2, life: "next" }), "remote ahead")
  })
})
