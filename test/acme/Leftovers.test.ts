/** What a control plane that was killed leaves: a run that goes on without it. The next one ends and removes it. */
import { assert, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readdirSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { Acme } from "../../src/acme/Acme.ts"
import * as RunFolder from "../../src/acme/RunFolder.ts"
import { acmeHome, startPebble } from "../support/Pebble.ts"
import { becomes } from "../support/Poll.ts"
import { startCommand } from "../support/Process.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs.
vi.setConfig({ testTimeout: 180_000 })

const root = join(import.meta.dirname, "..", "..")

const source = (options: unknown) => `
  import * as Effect from "effect/Effect"
  import { Acme } from "${join(import.meta.dirname, "../../src/acme/Acme.ts")}"
  const options = ${JSON.stringify(options)}
  await Effect.runPromise(
    Effect.flatMap(Acme, (acme) => acme.issue(["left.test"], () => Effect.void)).pipe(
      Effect.provide(Acme.layer(options))
    )
  )
`

it.live("a run of a killed control plane is ended and removed at the next start; others are left alone", () =>
  Effect.gen(function*() {
    const ca = yield* startPebble({ badNonces: 0 })
    const home = yield* acmeHome(ca)
    home.set("dns-hangs", true)
    const victim = startCommand(process.execPath, ["--input-type=module", "-e", source(home.options)], { cwd: root })
    yield* Effect.promise(() => becomes("the hook waits", () => home.has("dns-called"), 50_000))
    const parent = join(home.folder, "haproxy-mcp-runs")
    const [name] = readdirSync(parent)
    const run = join(parent, name!)
    assert.strictEqual(RunFolder.sweep(home.folder), 0, "its owner lives")
    victim.signal("SIGKILL")
    yield* Effect.promise(() => victim.ended)
    yield* Effect.promise(() => becomes("acme.sh goes on", () => RunFolder.processes(run).length >= 3))

    const mine = RunFolder.make(home.folder)
    const foreign = join(parent, "0123456789abcdef-1-1-1")
    mkdirSync(foreign)

    yield* Layer.build(Acme.layer(home.options))
    assert.deepStrictEqual(RunFolder.processes(run), [])
    assert.deepStrictEqual([existsSync(run), existsSync(mine), existsSync(foreign)], [false, true, true])

    const longAgo = new Date(Date.now() - 6 * 3_600_000)
    utimesSync(foreign, longAgo, longAgo)
    assert.strictEqual(RunFolder.sweep(home.folder), 1, "of another container, older than any run")
    assert.isFalse(existsSync(foreign))
  }))
