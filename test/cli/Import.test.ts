/**
 * `haproxy-mcp import` and `export` as processes, with and without a running `serve`, over a real HAProxy: good and bad
 * files, and every one of the three processes going away in the middle.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { agreement } from "../support/Agreement.ts"
import { type Ended, type Running, runNode, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"
import { type Env, type ServerProcess, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 20, slots: 2, poolsFile: true }
const limit = 120_000

interface Place {
  readonly haproxy: RealHaproxy
  readonly env: Env
  readonly file: (name: string, text: string) => string
  readonly run: (...args: ReadonlyArray<string>) => Promise<Ended>
  readonly start: (...args: ReadonlyArray<string>) => Running
}

const place = Effect.gen(function*() {
  const haproxy = yield* startHaproxy({ ...shape, sections: [`defaults ${poolsDefaults} from base`, ""] })
  const env = settingsOf(haproxy.site, shape)
  const made: Place = {
    haproxy,
    env,
    file: (name, text) => {
      const path = join(haproxy.site.dir, name)
      writeFileSync(path, text)
      return path
    },
    run: (...args) => runNode(program, args, { env, limit }),
    start: (...args) => startNode(program, args, { env, limit })
  }
  return made
})

/** `count` domains of ten pools, one in ten of them registrable. */
const csv = (count: number): string => {
  const lines = ["domain,shares_with,servers"]
  for (let n = 0; n < count; n++) {
    lines.push(
      n < 10
        ? `owner-${n}.example.net,,127.0.0.1:${8_000 + n}`
        : n % 10 === 0
        ? `customer-${n}.com,owner-${n % 10}.example.net,`
        : `www.customer-${n}.com,owner-${n % 10}.example.net,`
    )
  }
  return `${lines.join("\n")}\n`
}

const total = async (server: ServerProcess): Promise<number> =>
  (await server.client().good("haproxy_list_domains", { limit: 1 }))["total"] as number

/** All of `count` domains or none, and all three say the same. */
const wholeOrNothing = Effect.fnUntraced(function*({ haproxy }: Place, server: ServerProcess, count: number) {
  yield* Effect.promise(() => server.ready())
  const there = yield* Effect.promise(() => total(server))
  assert.include([0, count], there)
  assert.strictEqual((yield* Effect.promise(() => server.stop())).code, 0)
  yield* agreement(haproxy.site, shape)
  return there
})

describe("a file", () => {
  it.live(
    "is checked, imported, exported and imported elsewhere, through serve and without",
    () =>
      Effect.gen(function*() {
        const here = yield* place
        const server = yield* startServer({ env: here.env })
        yield* Effect.promise(async () => {
          await server.ready()
          // One row in a hundred is bad.
          const bad = csv(300).split("\n").map((line, index) =>
            index % 100 === 50 ? line.replace("customer-", "cust_") : line
          )
          const file = here.file("bad.csv", bad.join("\n"))
          const refused = await here.run("import", file)
          assert.strictEqual(refused.code, 1, refused.stdout)
          assert.include(refused.stderr, "Nothing was imported: 3 rows of the file are refused")
          for (const line of [51, 151, 251]) assert.include(refused.stderr, `  line ${line}: domain "`)
          assert.include(refused.stderr, "contains an underscore. Host names have letters")
          assert.strictEqual(await total(server), 0)

          const dry = await here.run("import", "--skip-bad", "--dry-run", file)
          assert.strictEqual(dry.code, 0, dry.stderr)
          assert.include(dry.stdout, "Would import 297 domains in 10 new pools")
          assert.strictEqual(await total(server), 0)

          const imported = await here.run("import", "--skip-bad", "--json", file)
          assert.strictEqual(imported.code, 0, imported.stderr)
          assert.deepInclude(JSON.parse(imported.stdout), { outcome: "imported", added: 297, bad: 3, changed: true })
          assert.include(imported.stderr, "3 bad rows\n  line 51: ")
          assert.strictEqual(await total(server), 297)

          const again = await here.run("import", "--skip-bad", file)
          assert.include(again.stdout, "All 297 domains are as the file says already; 3 bad rows left out")

          for (const name of ["all.csv", "all.json"]) {
            const output = join(here.haproxy.site.dir, name)
            assert.strictEqual((await here.run("export", "--output", output)).code, 0)
            const same = await here.run("import", output)
            assert.include(same.stdout, "All 297 domains are as the file says already\n", same.stderr)
            const kept = await here.run("export", "--output", output)
            assert.deepStrictEqual([kept.code, kept.stderr.includes("is there already")], [1, true])
            assert.strictEqual((await here.run("export", "--output", output, "--force")).code, 0)
          }
          assert.strictEqual((await server.stop()).code, 0)
        })
        // Nobody serves any more: the same database, by the command itself.
        const dump = yield* agreement(here.haproxy.site, shape)
        const out = yield* Effect.promise(() => here.run("export"))
        assert.strictEqual(out.stdout, readFileSync(join(here.haproxy.site.dir, "all.csv"), "utf8"), out.stderr)

        const other = yield* place
        yield* Effect.promise(async () => {
          const copy = other.start("import", "-")
          copy.write(out.stdout)
          copy.closeInput()
          const ended = await copy.ended
          assert.strictEqual(ended.code, 0, ended.stderr)
          assert.include(ended.stdout, "Imported 297 domains in 10 new pools")
        })
        assert.strictEqual(yield* agreement(other.haproxy.site, shape), dump)
      }).pipe(Effect.scoped),
    limit
  )

  it.live("of another kind, or cut off, is refused with what it is, and nobody is asked", () =>
    Effect.gen(function*() {
      const { env, file, haproxy, run } = yield* place
      const text = csv(50)
      const files = [
        [file("page.csv", "<html>no such page</html>"), "is HTML"],
        [file("a.map", "a.com pool_1\nb.com pool_1\n"), "does not begin with a header"],
        [file("cut.csv", `${text.slice(0, -10)}\n"half`), "quoted field unterminated, on line 52"],
        [file("cut.json", "[{\"domain\": \"a.com\"},\n {\"domain\": \"b."), "ends within the list, on line 2"],
        [file("empty", ""), "is empty"],
        [join(haproxy.site.dir, "nothing"), "cannot be read (ENOENT)"],
        [haproxy.site.dir, "is a folder"]
      ] as const
      yield* Effect.promise(async () => {
        for (const [path, what] of files) {
          const { code, stderr, stdout } = await run("import", path)
          assert.deepStrictEqual([code, stdout], [1, ""], path)
          assert.include(stderr, what)
        }
      })
      assert.isFalse(existsSync(env["HAPROXY_DB_FILE"]!))
    }).pipe(Effect.scoped), limit)
})

/** Enough for many maps' chunks; `npm run bench` imports 100,000. */
const many = 30_000

describe(`${many} rows`, () => {
  it.live("are imported and live, then exported", () =>
    Effect.gen(function*() {
      const here = yield* place
      const server = yield* startServer({ env: here.env })
      yield* Effect.promise(async () => {
        await server.ready()
        const file = here.file("many.csv", csv(many))
        const began = performance.now()
        const { code, stderr, stdout } = await here.run("import", file)
        const seconds = (performance.now() - began) / 1_000
        assert.strictEqual(code, 0, stderr)
        assert.include(stdout, `Imported ${many} domains in 10 new pools; 0 were there already`)
        // Without a terminal, a line for each step.
        for (const step of ["checked", "compared", "wrote", "making it live"]) assert.include(stderr, step)
        assert.match(
          await Effect.runPromise(
            here.haproxy.command("get map " + here.haproxy.site.runtimeDomainsMap + ` www.customer-${many - 1}.com`)
          ),
          /pool_10/
        )
        const after = performance.now()
        const exported = await here.run("export")
        assert.lengthOf(exported.stdout.split("\n"), many + 2)
        console.log(
          `import: ${many} rows in ${seconds.toFixed(1)} s, exported in ${
            ((performance.now() - after) / 1_000).toFixed(1)
          } s`
        )
        assert.isBelow(seconds, 60)
      })
      yield* wholeOrNothing(here, server, many)
    }).pipe(Effect.scoped), limit)
})

describe("in the middle of an import", () => {
  const count = 6_000
  /** What the command says on its way, and what has happened by then. */
  const moments = ["checked", "wrote", "making it live"]

  it.live.each(moments)(
    "serve is killed at \"%s\": all or nothing, and the command says that it does not know",
    (moment) =>
      Effect.gen(function*() {
        const here = yield* place
        const server = yield* startServer({ env: here.env })
        yield* Effect.promise(async () => {
          await server.ready()
          const importing = here.start("import", here.file("many.csv", csv(count)))
          await importing.until(moment)
          await server.kill()
          const { code, stderr } = await importing.ended
          assert.strictEqual(code, 1)
          assert.include(stderr, "went away during the call")
        })
        const next = yield* startServer({ env: here.env })
        const there = yield* wholeOrNothing(here, next, count)
        if (moment === "checked") assert.strictEqual(there, 0)
        if (moment === "making it live") assert.strictEqual(there, count)
      }).pipe(Effect.scoped),
    limit
  )

  it.live.each(moments)("the command is killed at \"%s\": all or nothing", (moment) =>
    Effect.gen(function*() {
      const here = yield* place
      const server = yield* startServer({ env: here.env })
      yield* Effect.promise(async () => {
        await server.ready()
        const importing = here.start("import", here.file("many.csv", csv(count)))
        await importing.until(moment)
        importing.signal("SIGKILL")
        await importing.ended
        // The next write waits for the one that is under way.
        await server.client().good("haproxy_remove_domain", { domain: "nobody.example.com" })
      })
      const there = yield* wholeOrNothing(here, server, count)
      if (moment !== "checked") assert.strictEqual(there, count)
    }).pipe(Effect.scoped), limit)

  it.live("HAProxy is restarted: the import waits for it and succeeds", () =>
    Effect.gen(function*() {
      const here = yield* place
      const server = yield* startServer({ env: here.env })
      yield* Effect.promise(() => server.ready())
      const importing = here.start("import", here.file("many.csv", csv(count)))
      yield* Effect.promise(() => importing.until("wrote"))
      yield* here.haproxy.restart
      const { code, stderr } = yield* Effect.promise(() => importing.ended)
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(yield* wholeOrNothing(here, server, count), count)
    }).pipe(Effect.scoped), limit)

  it.live("HAProxy goes and stays away: nothing was imported, and that is said in time", () =>
    Effect.gen(function*() {
      const here = yield* place
      const server = yield* startServer({ env: here.env })
      yield* Effect.promise(() => server.ready())
      const importing = here.start("import", "--timeout", "5", here.file("many.csv", csv(count)))
      yield* Effect.promise(() => importing.until("wrote"))
      yield* here.haproxy.stop
      const { code, stderr } = yield* Effect.promise(() => importing.ended)
      assert.strictEqual(code, 1)
      assert.match(stderr, /HAProxy (?:cannot be reached|did not answer in time)/)
      yield* here.haproxy.start
      assert.strictEqual(yield* wholeOrNothing(here, server, count), 0)
    }).pipe(Effect.scoped), limit)
})
