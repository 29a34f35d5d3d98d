/**
 * One case: a HAProxy with HTTPS, and lives of a control plane on the same database and folder, each of which is killed
 * (or its acme.sh, or both) at some moment: at its start, while acme.sh runs, or while the folder changes. A prober asks
 * for every certificate that was there, all the time.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { watch } from "node:fs"
import { poolsDefaults } from "../../../src/domain/PoolsConfig.ts"
import { Dice } from "../../program/Verbs.model.ts"
import { realLines, startHaproxy } from "../../support/RealHaproxy.ts"
import { databaseOf, type Env, settingsOf } from "../../support/Settings.ts"
import type { Tally } from "../Campaign.ts"
import { Life, type Shipped } from "../Life.ts"
import { Gone } from "../Writers.ts"
import { foldersOf, killRuns, processesOf } from "./AcmeRuns.ts"
import { type Holdings, inDatabase, inFolder, inHaproxy, textOf } from "./Holdings.ts"
import { Prober } from "./Prober.ts"
import { type Ask, type Asked, type Wish, wishFor } from "./Wishes.ts"

/** Which acme.sh, and its CA. */
export interface Issuer {
  /** What the control plane is told of it. */
  readonly env: Env
  /** ACME_HOME. */
  readonly home: string
  /** PEM of the root below which it issues. */
  readonly root: string
  /** Milliseconds that all may take to be well again. */
  readonly patience: number
  readonly lives: number
}

const shape = { pools: 8, slots: 3, poolsFile: true }
const names = ["a", "b", "c"]
const clients = 2
/** A life that works is killed within so many times what two issues took that nobody disturbed. */
const longer = 1.4
/** Milliseconds: of a life that is killed at its start; of what follows a change of the folder. */
const startTime = 400
const changeTime = 4

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** The moment of the n-th change in a folder, and so many milliseconds more; never when there are fewer. */
const changeOf = (
  folder: string,
  nth: number,
  more: number
): { readonly moment: Promise<void>; readonly end: () => void } => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let seen = 0
  const watcher = watch(folder, () => {
    seen++
    if (seen === nth) void after(more).then(resolve)
  })
  return { moment: promise, end: () => watcher.close() }
}

export const chain = (program: Shipped, seed: number, issuer: Issuer): Effect.Effect<Tally> =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const binary = realLines[seed % realLines.length]!
    const sections = [`defaults ${poolsDefaults} from base`, ""]
    const haproxy = yield* startHaproxy({ ...shape, binary, tls: true, sections })
    const { site } = haproxy
    const env = settingsOf(site, {
      ...shape,
      env: { LOG_LEVEL: "INFO", HAPROXY_CERT_DIR: site.certDir, ...issuer.env }
    })
    const domains = names.map((name) => `${name}${seed}.example.com`)
    const tally: Record<string, number> = { [`on ${binary.line}`]: issuer.lives }
    const count = (what: string, times = 1) => tally[what] = (tally[what] ?? 0) + times
    const prober = yield* Effect.acquireRelease(
      Effect.sync(() => new Prober(site.httpsPort, issuer.root)),
      (one) => Effect.promise(() => one.stop())
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => killRuns(issuer.home)))
    const life = Effect.acquireRelease(
      Effect.sync(() => new Life(program, env)),
      (one) => Effect.promise(() => one.kill())
    )
    const served = (note: string) => {
      assert.deepStrictEqual(prober.failures, [], `a name without a valid certificate ${note}`)
    }

    /** Rows, files and HAProxy are the same, and nothing is left of what was killed. */
    const well = Effect.fnUntraced(function*(note: string) {
      const files = inFolder(site.certDir, note, true)
      const live = yield* Effect.promise(() => inHaproxy(site, note))
      const rows = yield* inDatabase(databaseOf(site), shape)
      assert.strictEqual(textOf(live), textOf(files), `HAProxy is not the folder ${note}`)
      assert.strictEqual(textOf(rows.active), textOf(files), `the rows are not the folder ${note}`)
      assert.deepStrictEqual(processesOf(issuer.home), [], `acme.sh still runs ${note}`)
      assert.deepStrictEqual(foldersOf(issuer.home), [], `a folder of a run is left ${note}`)
      return files
    })
    /** The same within the patience: after a start all is brought together in the background. */
    const becomesWell = Effect.fnUntraced(function*(note: string) {
      for (const end = performance.now() + issuer.patience;;) {
        const found: { readonly files: Holdings } | { readonly defect: unknown } = yield* well(note).pipe(
          Effect.map((files) => ({ files })),
          Effect.catchDefect((defect) => Effect.succeed({ defect }))
        )
        if ("files" in found) {
          for (const domain of domains) {
            if (found.files.has(domain)) prober.watch(domain)
            else prober.release(domain)
          }
          return found.files
        }
        if (performance.now() > end) return yield* Effect.die(found.defect)
        yield* Effect.promise(() => after(20))
      }
    })

    /** A wish, or nothing when the process went away before its answer. */
    const wish = async (
      ask: Ask,
      name: string,
      held: Holdings,
      alone: boolean,
      note: string
    ): Promise<Asked | null> => {
      const kinds: ReadonlyArray<Wish> = held.has(name) ? ["renew", "renew", "renew", "delete"] : ["issue"]
      const kind = alone ? dice.pick(kinds) : kinds[0]!
      try {
        const asked = await wishFor(ask, { wish: kind, name, prober, folder: site.certDir, note, alone })
        count(asked.code === "OK" ? kind : asked.code)
        return asked
      } catch (error) {
        if (!(error instanceof Gone)) throw error
        count("never answered")
        return null
      }
    }

    let within = 0
    yield* Effect.scoped(Effect.gen(function*() {
      const first = yield* life
      yield* Effect.promise(async () => {
        await first.ready()
        for (const domain of domains) {
          assert.strictEqual(await first.client()("haproxy_add_domain", { domain, ip: "10.0.0.1" }), "OK")
        }
        const note = `(seed ${seed}, before)`
        const began = performance.now()
        const asked = await Promise.all(
          domains.slice(0, clients).map((domain) => wish(first.asker(), domain, new Map(), true, note))
        )
        for (const one of asked) assert.strictEqual(one?.code, "OK", `${note}: ${one?.text}`)
        within = longer * (performance.now() - began)
      })
    }))
    for (let number = 1; number <= issuer.lives; number++) {
      const note = `(seed ${seed}, life ${number})`
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* life
        if (dice.next(6) === 0) {
          yield* Effect.promise(async () => {
            await after(dice.next(startTime))
            await one.kill()
          })
          count("killed at its start")
          return
        }
        assert.isTrue(yield* Effect.promise(() => one.ready()))
        const held = yield* becomesWell(`after its start ${note}`)
        const together = dice.next(5) === 0
        const chosen = dice.pick(domains)
        const others = domains.filter((domain) => domain !== chosen)
        const whom = dice.pick(["serve", "serve", "serve", "acme", "both"] as const)
        const atChange = dice.next(2) === 0
        const change = changeOf(site.certDir, 1 + dice.next(5), dice.next(changeTime))
        yield* Effect.promise(async () => {
          const asking = Promise.all(
            Array.from({ length: clients }, (_, index) => {
              const name = index === 0 || together ? chosen : dice.pick(others)
              return wish(one.asker(), name, held, !together, note)
            })
          )
          await Promise.race([asking, atChange ? change.moment : after(dice.next(1_000) / 1_000 * within)])
          change.end()
          const runs = whom === "serve" ? 0 : killRuns(issuer.home)
          if (whom !== "acme") {
            await one.kill()
            await asking
            count(runs > 0 ? "both killed" : "control plane killed")
            return
          }
          const ended = await asking
          if (runs > 0) count("acme.sh killed")
          for (const asked of ended) {
            assert.isTrue(
              asked === null || asked.code === "OK" || asked.code === "ACME_FAILED" && runs > 0,
              `${asked?.wish} failed ${note}: ${asked?.text}\n${one.errors()}`
            )
          }
        })
        served(note)
        if (whom !== "acme") return
        // It lives on, and what failed succeeds when it is asked for again.
        const now = yield* becomesWell(`after acme.sh was killed ${note}`)
        if (!now.has(chosen)) {
          const again = yield* Effect.promise(() => wish(one.asker(), chosen, now, true, note))
          assert.strictEqual(again?.code, "OK", `the same issue again ${note}: ${again?.text}\n${one.errors()}`)
        }
      }))
      // Nobody writes now: what HAProxy would load if it started is whole.
      inFolder(site.certDir, note, false)
      served(note)
    }
    yield* Effect.scoped(Effect.gen(function*() {
      const note = `at the end (seed ${seed})`
      const last = yield* life
      assert.isTrue(yield* Effect.promise(() => last.ready()))
      const held = yield* becomesWell(note)
      yield* Effect.promise(async () => {
        for (const domain of domains) {
          if (held.has(domain)) continue
          const asked = await wish(last.asker(), domain, held, true, note)
          assert.strictEqual(asked?.code, "OK", `${domain} ${note}: ${asked?.text}\n${last.errors()}`)
        }
      })
      yield* becomesWell(note)
      served(note)
    }))
    yield* Effect.promise(() => prober.stop())
    served(`at the end (seed ${seed})`)
    count("handshakes", prober.handshakes)
    // HAProxy alone, from the folder.
    yield* haproxy.restart
    for (const domain of domains) {
      const seen = yield* Effect.promise(() => prober.look(domain))
      assert.property(seen, "sha256", `${domain} after a restart without us (seed ${seed}): ${JSON.stringify(seen)}`)
    }
    return tally
  }).pipe(Effect.scoped)
