/** Which acme.sh is used, and when none is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hookFile, isAtLeast, make, missingTools } from "../../src/acme/Program.ts"

const withFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-mcp-program-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

const program = (folder: string, version: string, name = "acme.sh") => {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, name)
  writeFileSync(
    path,
    `#!/bin/sh\n# --cert-profile\necho https://github.com/acmesh-official/acme.sh\necho ${version}\n`,
    {
      mode: 0o755
    }
  )
  return path
}

const env = { PATH: "/usr/bin:/bin" }

describe("acme.sh", () => {
  it.effect("is that of ACME_HOME, then that of PATH; ACME_COMMAND wins", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const home = join(folder, "home")
        const inPath = program(join(folder, "bin"), "v3.1.0")
        const find = (command: ReadonlyArray<string> | null) =>
          make({ home, command, env: { PATH: `relative:${join(folder, "bin")}:/usr/bin:/bin` } })
        assert.deepStrictEqual(yield* find(null), {
          command: [inPath],
          path: inPath,
          version: "3.1.0",
          takesProfile: true
        })
        const inHome = program(home, "v3.0.6")
        assert.strictEqual((yield* find(null)).path, inHome)
        const named = program(folder, "v3.1.5", "other")
        assert.strictEqual((yield* find(["/bin/sh", named])).path, named)
      })
    ))

  it.effect("an update is noticed", () =>
    withFolder((home) =>
      Effect.gen(function*() {
        const path = program(home, "v3.1.0")
        const find = make({ home, command: null, env })
        assert.strictEqual((yield* find).version, "3.1.0")
        program(home, "v3.1.9")
        utimesSync(path, 1, 1)
        assert.strictEqual((yield* find).version, "3.1.9")
      })
    ))

  it.effect("that is missing, too old or something else is refused with the way to install it", () =>
    withFolder((home) =>
      Effect.gen(function*() {
        const none = yield* Effect.flip(make({ home, command: ["no-such-acme"], env }))
        assert.include(none.hint, "apt install acme.sh")
        const old = yield* Effect.flip(make({ home, command: [program(home, "v3.0.5")], env }))
        assert.include(old.message, "acme.sh 3.0.5 is too old")
        const other = yield* Effect.flip(make({ home, command: ["/bin/true"], env }))
        assert.include(other.message, "does not answer --version")
      })
    ))

  it("compares versions by their numbers", () => {
    const cases: ReadonlyArray<readonly [string, string, boolean]> = [
      ["3.0.6", "3.0.6", true],
      ["3.0.10", "3.0.6", true],
      ["3.1.0", "3.0.6", true],
      ["3.0.5", "3.0.6", false],
      ["2.9.9", "3.0.6", false]
    ]
    for (const [version, wanted, is] of cases) assert.strictEqual(isAtLeast(version, wanted), is, version)
  })

  it.effect("its hooks are found beside it and in ACME_HOME; what it needs is looked for in PATH", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const home = join(folder, "home")
        const found = yield* make({ home, command: [program(folder, "v3.1.1")], env })
        assert.isNull(hookFile(found, home, "dns_own"))
        const own = program(join(home, "dnsapi"), "", "dns_own.sh")
        assert.strictEqual(hookFile(found, home, "dns_own"), own)
        const beside = program(join(folder, "dnsapi"), "", "dns_own.sh")
        assert.strictEqual(hookFile(found, home, "dns_own"), beside)
        assert.deepStrictEqual(missingTools({ PATH: folder }), ["curl", "openssl"])
        program(folder, "", "curl")
        assert.deepStrictEqual(missingTools({ PATH: folder }), ["openssl"])
      })
    ))
})
