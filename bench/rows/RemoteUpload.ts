/**
 * What one upload to the remote home costs, from the commit of one more domain to its generation being durable there (over
 * loopback, through a real sshd): what the program ships, which is the commit's changeset once the database is larger than 256 KiB,
 * against a whole copy, taken, checked and written as a generation.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Edit, Route } from "../../src/domain/Change.ts"
import type { Capture } from "../../src/domain/Generation.ts"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { newChangeId } from "../../src/program/ChangeId.ts"
import { GenerationLog } from "../../src/remote/GenerationLog.ts"
import { Ssh } from "../../src/remote/Ssh.ts"
import { Store } from "../../src/store/Store.ts"
import { startSshd } from "../../test/support/Sshd.ts"
import { freshName, limits, populate } from "../Population.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, pool, quantile, ratioOf } from "../Samples.ts"

/** Milliseconds that an upload may take at the largest size (p50). */
const limit = 50

const sizes = [
  { domains: 100, text: "100 domains", samples: 15 },
  { domains: 1_000, text: "1k domains", samples: 15 },
  { domains: 10_000, text: "10k domains", samples: 10 },
  { domains: 100_000, text: "100k domains", samples: 6 }
] as const

/** Commits one more domain. */
const addOne = Effect.fnUntraced(function*(store: Store["Service"]) {
  const name = freshName() as RouteName
  const after: Route = { name, pool: 1 as PoolNumber, implicit: false, seq: yield* store.nextSeq }
  const edits: ReadonlyArray<Edit> = [{ kind: "route", name, before: null, after }]
  yield* store.commit(Effect.andThen(
    store.apply(edits),
    store.record({
      changeId: newChangeId(),
      actor: { via: "program", who: "local", requestId: "-" },
      tool: "haproxy_add_domain",
      summary: `${name} is routed to pool_1, shared with another one`,
      edits,
      outcome: "applied"
    })
  ))
})

const measure = Effect.fnUntraced(
  function*(bench: Bench, ssh: Ssh["Service"], { domains, samples, text }: (typeof sizes)[number]) {
    const folder = join(bench.folder, `remote-upload-${domains}`)
    mkdirSync(folder)
    const file = join(folder, "local.db")
    yield* populate(file, domains, 80)
    const context = yield* Layer.build(Store.layer({ file, pools: limits, replicate: true }))
    const store = Context.get(context, Store)
    const log = new GenerationLog({ disk: ssh.disk, path: join(folder, "remote.db") })
    log.adopt(yield* log.read)
    const bytes = { shipped: 0, whole: 0 }
    let shippedKind: Capture["kind"] = "full"
    /** Milliseconds from the commit to the durable generation. */
    const upload = (side: keyof typeof bytes, capture: Effect.Effect<Capture | null, unknown>) => () =>
      Effect.runPromise(Effect.gen(function*() {
        yield* addOne(store)
        const began = performance.now()
        const found = yield* capture
        if (found === null) return yield* Effect.die(new Error("there is nothing to upload"))
        const { kind } = yield* log.publish(found)
        const took = performance.now() - began
        if (kind !== "published") return yield* Effect.die(new Error(`the upload is ${kind}`))
        yield* store.acknowledge(found.state.commits)
        if (side === "shipped") shippedKind = found.kind
        bytes[side] = found.bytes.byteLength
        return took
      }))
    const sides = {
      shipped: upload("shipped", Effect.suspend(() => store.capture(log.head?.manifest ?? null))),
      whole: upload("whole", store.fullCopy)
    }
    return yield* Effect.promise(async () => {
      bench.say(`upload at ${text}: measuring`)
      await sides.whole()
      await interleave({ rounds: 1, samples: 3 }, sides)
      const rounds = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 4 : samples }, sides)
      const [shipped, whole] = [pool(rounds, "shipped"), pool(rounds, "whole")]
      const measurement: Measurement = {
        name: text,
        subject: duration(shippedKind === "delta" ? "its changeset" : "a whole copy (small)", shipped),
        against: duration("a whole copy", whole),
        ratio: ratioOf(
          rounds.map((round) => quantile(round.shipped, 0.5) / quantile(round.whole, 0.5))
        ),
        details: {
          "p95": quantile(shipped, 0.95),
          "whole copy p95": quantile(whole, 0.95),
          "bytes": bytes.shipped,
          "bytes of a whole copy": bytes.whole
        }
      }
      if (domains < 100_000) return [measurement]
      const held: Measurement = {
        name: `${text}, p50`,
        subject: measurement.subject,
        against: { what: "limit", value: limit, unit: "ms" },
        ratio: ratioOf(rounds.map((round) => quantile(round.shipped, 0.5) / limit)),
        target: { atMost: 1 }
      }
      return [measurement, held]
    })
  },
  Effect.scoped
)

export const remoteUpload: Row = {
  name: "remote-upload",
  title: "one more domain made durable on another host over SSH, by its changeset, against a whole copy",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("upload: preparing")
    const sshd = yield* startSshd()
    const ssh = Context.get(
      yield* Layer.build(
        Layer.provide(Ssh.layer({ firstWait: 10_000, ...sshd.options }), Logger.layer([]))
      ),
      Ssh
    )
    const found = yield* Effect.forEach(
      sizes.filter(({ domains }) => !bench.quick || domains !== 1_000),
      (size) => measure(bench, ssh, size)
    )
    return found.flat()
  })
}
