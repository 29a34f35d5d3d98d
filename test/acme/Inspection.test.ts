/** What doctor is told of acme.sh. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync } from "node:fs"
import { delimiter } from "node:path"
import { Acme, type AcmeOptions } from "../../src/acme/Acme.ts"
import { acmeHome, acmeProgram } from "../support/Pebble.ts"

const stateOf = (options: AcmeOptions) =>
  Effect.flatMap(Acme, (acme) => acme.state).pipe(Effect.provide(Acme.layer(options)))

/** Nobody is asked. */
const ca = { directory: "https://localhost:1/dir", caBundle: import.meta.filename, dns: "http://127.0.0.1:1" }

describe("the state of acme.sh", () => {
  it.live("all in place", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(ca)
      assert.deepStrictEqual(yield* stateOf(home.options), {
        program: { path: acmeProgram, version: "3.1.1" },
        problem: null,
        warnings: []
      })
    }))

  it.live("each thing that is missing is the problem", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(ca)
      const problem = (changes: Partial<AcmeOptions>) =>
        Effect.map(stateOf({ ...home.options, ...changes }), (state) => state.problem ?? "none")
      assert.match(yield* problem({ acmeCommand: ["/no/acme.sh"] }), /apt install acme\.sh/)
      assert.match(yield* problem({ acmeDns: "dns_none" }), /no DNS hook dns_none/)
      assert.match(yield* problem({ acmeDns: "dns_cf" }), /dns_cf has no credentials/)
      assert.match(yield* problem({ acmeCaBundle: "/no/bundle" }), /ACME_CA_BUNDLE/)
      assert.match(yield* problem({ acmeProfile: "short" }), /cannot ask for a profile/)
      for (const tool of ["sh", "grep"]) home.write(`tools/${tool}`, `#!/bin/sh\nexec /bin/${tool} "$@"\n`, 0o755)
      assert.match(yield* problem({ env: { PATH: `${home.folder}/tools` } }), /needs curl and openssl/)
      const file = home.write("credentials.ini", "TEST_Token=x\n")
      chmodSync(file, 0o644)
      assert.match(yield* problem({}), /may be read by others/)
    }))

  it.live("a cron job of acme.sh, and what it has saved to do, are warned of by name alone", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(ca)
      home.write(
        "bin/crontab",
        "#!/bin/sh\n[ \"$1\" = -l ] && echo '0 0 * * * \"/root/.acme.sh\"/acme.sh --cron'\n",
        0o755
      )
      home.write("saved.test_ecc/saved.test.conf", "Le_ReloadCmd='canary'\n")
      home.write("copied.test/copied.test.conf", "Le_RealKeyPath='/canary'\n")
      home.write("plain.test/plain.test.conf", "Le_ReloadCmd=''\nLe_RealKeyPath=''\n")
      const { env } = home.options
      const { warnings } = yield* stateOf({
        ...home.options,
        env: { ...env, PATH: `${home.folder}/bin${delimiter}${env!["PATH"]}` }
      })
      assert.lengthOf(warnings, 2)
      assert.include(warnings[0]!, "this user's crontab")
      assert.include(warnings[1]!, "copied.test, saved.test;")
      assert.notInclude(warnings.join(), "canary")
    }))

  it.live("a CA that nobody knows by that name stops the start", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(ca, { acmeServer: "letsencript" })
      const failed = yield* Effect.flip(stateOf(home.options))
      assert.include(failed.validValues!, "letsencrypt")
    }))
})
