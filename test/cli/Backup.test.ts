/**
 * `haproxy-mcp backup` and `restore` as processes, over a real HAProxy: while writes go on, against a serve that runs and one
 * that is stopped, and HAProxy as the backup says in the end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { agreement } from "../support/Agreement.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 40, slots: 2 }
const limit = 60_000

describe("a backup of a control plane that serves", () => {
  it.live("is made while it writes, restored when it is stopped, and HAProxy follows", () =>
    Effect.gen(function*() {
      const { site } = yield* startHaproxy(shape)
      const env = settingsOf(site, shape)
      const run = (...args: ReadonlyArray<string>) => runNode(program, args, { env, limit })
      const json = async (...args: ReadonlyArray<string>) => {
        const { code, stderr, stdout } = await run(...args, "--json")
        assert.strictEqual(code, 0, stderr)
        return JSON.parse(stdout) as Readonly<Record<string, unknown>>
      }
      const database = env["HAPROXY_DB_FILE"]!
      const server = yield* startServer({ env })
      yield* Effect.promise(() => server.ready())
      const client = server.client()
      const added: Array<string> = []
      const add = (name: string) =>
        client.good("haproxy_add_domain", { domain: name, ip: "127.0.0.1" }).then(() => added.push(name))
      const made = yield* Effect.promise(async () => {
        await add("before.example.net")
        const [made] = await Promise.all([
          json("backup"),
          (async () => {
            for (let n = 0; n < 20; n++) await add(`d${n}.example.net`)
          })()
        ])
        return made
      })
      const file = made["file"] as string
      assert.strictEqual(dirname(file), join(dirname(database), "backups"))
      // `before` was acknowledged before the question; each of the others is in it, or came after it.
      const domains = made["domains"] as number
      assert.isAtLeast(domains, 1)
      assert.strictEqual(made["revision"], domains)
      // What the serving process wrote for us is gone.
      assert.deepStrictEqual(readdirSync(dirname(database)).filter((name) => name.includes(".copy-")), [])

      yield* Effect.promise(async () => {
        const refused = await run("restore", "--yes", file)
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, `Process ${server.pid} serves with the database`)
        assert.include(refused.stderr, "systemctl stop haproxy-mcp")
        assert.strictEqual((await server.stop()).code, 0)
        const unasked = await run("restore", file)
        assert.strictEqual(unasked.code, 1)
        assert.include(unasked.stderr, "repeat with --yes")
        assert.include(unasked.stdout, `revision ${domains}, `)
        assert.include(unasked.stdout, "revision 21, 21 domains")
        const { code, stderr, stdout } = await run("restore", "--yes", file)
        assert.strictEqual(code, 0, stderr)
        assert.include(stdout, "systemctl start haproxy-mcp")
        assert.include(stdout, `is kept as ${database}.replaced-`)
      })
      const again = yield* startServer({ env })
      yield* Effect.promise(() => again.ready())
      const listed = yield* Effect.promise(() => again.client().good("haproxy_list_domains", { limit: 500 }))
      assert.strictEqual(listed["total"], domains)
      assert.strictEqual((yield* Effect.promise(() => again.stop())).code, 0)
      // Database, map files and HAProxy say the same.
      yield* agreement(site, shape)

      // Nobody serves: the command itself takes the database, and only for the moment.
      const alone = yield* Effect.promise(() => json("backup", join(site.dir, "elsewhere"), "--keep", "1"))
      assert.strictEqual(alone["domains"], domains)
      assert.isTrue(readFileSync(`${String(alone["file"])}.sha256`, "utf8").startsWith(`${String(alone["sha256"])}  `))
      assert.isFalse(existsSync(`${database}.owner`))
    }).pipe(Effect.scoped), 120_000)
})
