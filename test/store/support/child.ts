/**
 * A process of its own with a store, for tests about processes and disks: `child.ts <verb> <file>`. What it learns it
 * prints, a line each, written through at once.
 */
import * as Effect from "effect/Effect"
import { readSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"
import { Store } from "../../../src/store/Store.ts"
import { add, write } from "./Fixture.ts"

const [verb = "", file = "", argument = ""] = process.argv.slice(2)

const say = (...words: ReadonlyArray<string | number>) => void writeSync(1, `${words.join(" ")}\n`)

/** Waits, blocking, for the parent to write a line or to close. */
const wait = () => void readSync(0, Buffer.alloc(64))

/** How a commit of one more domain ends. */
const attempt = (store: Store["Service"], text: string) =>
  store.commit(add(store, text, { changeId: text })).pipe(
    Effect.as("committed"),
    Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`))
  )

const there = (store: Store["Service"], text: string) =>
  store.change(text).pipe(
    Effect.map((change) => change === null ? "absent" : "present"),
    Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`))
  )

const verbs: Record<string, (store: Store["Service"]) => Effect.Effect<void, unknown>> = {
  /** Holds the file until told to go. */
  hold: () =>
    Effect.sync(() => {
      say("open", process.pid)
      wait()
    }),
  /** Commits until it is killed, and says so after each. */
  write: (store) =>
    Effect.gen(function*() {
      const from = yield* store.revision
      for (let index = from + 1;; index++) {
        yield* store.commit(write(store, [], { changeId: `c${index}` }))
        say("acknowledged", index)
      }
    }),
  /** Two commits, each when told to: the disk may be broken in between. */
  steps: (store) =>
    Effect.gen(function*() {
      yield* store.commit(add(store, "before.example.com", { changeId: "before" }))
      for (const text of ["one.example.com", "two.example.com"]) {
        say("ready for", text)
        wait()
        say(yield* attempt(store, text))
        say(yield* there(store, text))
      }
      say("at the end", yield* there(store, "one.example.com"), "revision", yield* store.revision)
    }),
  /** Fills a small disk, then makes room. */
  fill: (store) =>
    Effect.gen(function*() {
      const spare = join(dirname(file), "spare")
      writeFileSync(spare, Buffer.alloc(256 * 1024))
      let done = 0
      let refusal: string | null = null
      while (refusal === null && done < 5000) {
        const changeId = `fill-${done}-${"x".repeat(Number(argument))}`
        refusal = yield* store.commit(write(store, [], { changeId })).pipe(
          Effect.as(null),
          Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`))
        )
        if (refusal === null) done += 1
        else say("refused", refusal, "|", yield* there(store, changeId))
      }
      say("committed", done, "revision", yield* store.revision)
      rmSync(spare)
      say("with room", yield* attempt(store, "room.example.com"))
      say("with room", yield* there(store, "room.example.com"), "revision", yield* store.revision)
    })
}

const program = Effect.flatMap(Store, (store) => verbs[verb]!(store)).pipe(
  Effect.provide(Store.layer({ file, pools: { pools: 20, slots: 4 } })),
  Effect.catch((error) => Effect.sync(() => say("failed", JSON.stringify(error))))
)

await Effect.runPromise(program)
