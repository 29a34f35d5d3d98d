import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { getHeapStatistics } from "node:v8"
import * as HeapTrimmer from "../src/HeapTrimmer.ts"
import { becomes } from "./support/Poll.ts"

const heap = () => getHeapStatistics().total_heap_size / 1024 / 1024

/** Grows the heap to some 300 MB that live for a moment. */
const grow = () => {
  const rows = Array.from({ length: 1_500_000 }, (_, index) => ({ name: `domain-${index}.example.com`, pool: index }))
  return { megabytes: heap(), last: rows.at(-1)!.pool }
}

describe("the heap trimmer", () => {
  it.live("gives back what large work left behind, once the process is quiet", () =>
    Effect.gen(function*() {
      const { megabytes } = grow()
      assert.isAbove(megabytes, 128)
      yield* Layer.build(HeapTrimmer.layer)
      yield* Effect.promise(() => becomes("the heap is small again", () => heap() < megabytes / 2))
    }))
})
