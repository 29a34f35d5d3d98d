/** Which credentials a run gets, from where, and that none of them is ever part of a message. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type CredentialsOptions, load, parse } from "../../src/acme/Credentials.ts"

const hook =
  "CF_Token=\"${CF_Token:-$(_readaccountconf_mutable CF_Token)}\"; CF_Key; CF_Email; CF_Zone_ID; PATH; LD_PRELOAD"

const withHome = <A, E>(
  use: (home: string, options: CredentialsOptions) => Effect.Effect<A, E>
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-mcp-credentials-"))),
    (home) => use(home, { home, file: join(home, "file.ini"), dns: "dns_cf", env: {} }),
    (home) => Effect.sync(() => rmSync(home, { recursive: true, force: true }))
  )

const write = (home: string, name: string, text: string, mode = 0o600) => {
  const path = join(home, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
}

describe("a file of credentials", () => {
  it("has NAME=value lines in the forms that people write", () => {
    assert.deepStrictEqual(
      parse(
        "\ufeff# comment\n; comment\n[section]\n\nA=1\r\nexport B=two\nC = 'with space # and more'\n"
          + "D=\"quoted\" # why\nE=plain # why\nF=a=b==\nEMPTY=\ndns_cloudflare_email = ops@example.com\n"
          + "dns_cloudflare_api_key=k\n"
      ),
      {
        A: "1",
        B: "two",
        C: "with space # and more",
        D: "quoted",
        E: "plain",
        F: "a=b==",
        CF_Email: "ops@example.com",
        CF_Key: "k"
      }
    )
  })

  it.each(["just text", "A-B=1", "A='open", "A=\"$(id)\"", "A=\"`id`\"", "=x", "A=a\u0007b"])(
    "with the line %s is refused by the number of that line",
    (line) => assert.strictEqual(parse(`X=1\n${line}\n`), 2)
  )
})

describe("credentials", () => {
  it.effect("the file wins over the environment, that over what acme.sh saved; only the hook's own names pass", () =>
    withHome((home, options) =>
      Effect.gen(function*() {
        write(
          home,
          "file.ini",
          "CF_Token=of-file\nACME_EAB_KID=kid\nACME_EAB_HMAC_KEY=hmac\nLD_PRELOAD=/x\nOTHER_x=1\n"
        )
        write(
          home,
          "account.conf",
          "SAVED_CF_Key='saved-key'\nSAVED_CF_Token='saved'\nCF_Email='old@example.com'\nLOG_FILE='/tmp/x'\n"
            + "SAVED_CF_Zone_ID='a'; touch /tmp/x\nUSER_PATH='/x'\n"
        )
        const env = { CF_Token: "of-env", CF_Zone_ID: "zone", AWS_Secret: "no", PATH: "/bin", LD_PRELOAD: "/y" }
        const credentials = yield* load({ ...options, env }, hook)
        assert.deepStrictEqual(Redacted.value(credentials.hook), { CF_Zone_ID: "zone", CF_Token: "of-file" })
        assert.deepStrictEqual(Redacted.value(credentials.saved), [
          "SAVED_CF_Key='saved-key'",
          "CF_Email='old@example.com'"
        ])
        assert.strictEqual(credentials.binding.kid, "kid")
        assert.strictEqual(Redacted.value(credentials.binding.hmacKey!), "hmac")
        assert.notMatch(JSON.stringify(credentials), /of-file|saved-key|hmac"/)
      })
    ))

  it.effect("what acme.sh saved is enough, without a file", () =>
    withHome((home, options) =>
      Effect.gen(function*() {
        write(home, "account.conf", "SAVED_CF_Key='k'\nSAVED_CF_Email='ops@example.com'\n")
        assert.lengthOf(Redacted.value((yield* load(options, hook)).saved), 2)
      })
    ))

  it.effect("refused: a file for others to read, one with a wrong line, one for another hook, none at all", () =>
    withHome((home, options) =>
      Effect.gen(function*() {
        const canary = "canary-5ecret"
        const refused = (text: string, mode?: number) => {
          write(home, "file.ini", text, mode)
          return Effect.map(Effect.flip(load(options, hook)), (error) => {
            assert.notInclude(JSON.stringify(error), canary)
            return error.message
          })
        }
        assert.match(yield* refused(`CF_Token=${canary}\n`, 0o640), /may be read by others \(mode 0640\)/)
        assert.match(yield* refused(`CF_Token=${canary}\n`, 0o604), /may be read by others/)
        assert.match(yield* refused(`CF_Token=ok\n${canary}\n`), /^Line 2 of /)
        assert.match(
          yield* refused(`HETZNER_Token=${canary}\n`),
          /nothing that the DNS hook dns_cf knows \(it has HETZNER_Token\)/
        )
        assert.match(yield* refused(`CF_Key=${canary}\n`), /has no credentials: CF_Token, or CF_Key with CF_Email/)
        rmSync(options.file)
        const none = yield* Effect.flip(load(options, hook))
        assert.match(none.message, /has no credentials/)
        assert.strictEqual(none.code, "CONFIG_INVALID")
      })
    ))

  it.effect("a hook that is not found gets what the file has, but for names that steer the shell", () =>
    withHome((home, options) =>
      Effect.gen(function*() {
        write(home, "file.ini", "OWN_Token=1\nPATH=/x\nDEBUG=3\nBASH_ENV=/x\nLOG_FILE=/x\nHTTPS_INSECURE=1\n")
        const credentials = yield* load({ ...options, dns: "dns_own", env: { OWN_x: "1" } }, null)
        assert.deepStrictEqual(Redacted.value(credentials.hook), { OWN_Token: "1" })
      })
    ))
})
