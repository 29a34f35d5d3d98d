/** Sentences of acme.sh, of several versions, and what becomes of them. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { Output } from "../../src/acme/Output.ts"
import { acmeProgram, newAcmeProgram } from "../support/Pebble.ts"

const server = "https://ca.example/dir"

const heard = (lines: ReadonlyArray<string>, names = ["a.test"]) => {
  const output = new Output(names)
  const phases = lines.flatMap((line) => output.read(line).phase ?? [])
  return { phases, failure: (wait: number | null = null) => output.failure("dns_x", server, wait) }
}

const problem = (type: string, detail = "canary-detail") =>
  `Error creating new order. Le_OrderFinalize not found. {"type":"urn:ietf:params:acme:error:${type}","detail":"${detail}"}`

describe("the way of a run", () => {
  const newer = [
    "Using CA: https://ca.example/dir",
    "Getting webroot for domain='a.test'",
    "Adding TXT value: abc for domain: _acme-challenge.a.test",
    "The TXT record has been successfully added.",
    "Sleeping for 0 seconds to wait for the the TXT records to take effect",
    "Verifying: a.test",
    "Pending. The CA is processing your order, please wait. (1/30)",
    "Success",
    "Verification finished, beginning signing.",
    "Downloading cert.",
    "Cert success."
  ]
  const older = [
    "[Sat Nov 21 06:51:51 UTC 2026] Using CA: https://ca.example/dir",
    "Getting webroot for domain='a.test'",
    "Adding txt value: abc for domain: _acme-challenge.a.test",
    "The txt record is added: Success.",
    "Let's check each DNS record now. Sleep 20 seconds first.",
    "Verifying: a.test",
    "\u001b[1;32mSuccess\u001b[0m",
    "Verify finished, start to sign.",
    "Downloading cert.",
    "\u001b[1;32mCert success.\u001b[0m"
  ]
  it.each([["3.1", newer], ["3.0", older]] as const)("of %s only goes forward, to its end", (_, lines) => {
    const { phases } = heard(lines)
    const steps = phases.map(({ done }) => done)
    assert.deepStrictEqual(steps, steps.toSorted((a, b) => a - b))
    assert.deepStrictEqual(phases.at(-1), { done: 7, total: 7, message: "The certificate is there." })
    assert.strictEqual(new Set(steps).size, 7)
  })
})

describe("why a run failed", () => {
  const cases: ReadonlyArray<readonly [line: string, message: RegExp, retryable: boolean]> = [
    ["Cannot init API for: https://ca.example/dir.", /CA ca\.example cannot be reached/, true],
    ["Can not init api for: https://ca.example/dir.", /cannot be reached/, true],
    ["Cannot find DNS API hook for: dns_x", /no DNS hook dns_x/, false],
    ["Can not find dns api hook for: dns_x", /no DNS hook dns_x/, false],
    ["Error adding TXT record to domain: _acme-challenge.a.test", /could not add a TXT record/, true],
    ["Error add txt for domain:_acme-challenge.a.test", /could not add a TXT record/, true],
    ["a.test: Invalid status. Verification error details: canary", /could not verify a\.test/, true],
    ["a.test:Verify error:canary", /could not verify a\.test/, true],
    ["other.test: Invalid status. Verification error details: canary", /could not verify one of the names/, true],
    ["Timed out waiting for DNS.", /did not appear in public DNS/, true],
    [problem("rateLimited"), /rate limit/, true],
    [problem("rejectedIdentifier"), /does not give certificates for one/, false],
    [problem("caa"), /CAA record/, false],
    [problem("invalidProfile"), /does not have the profile/, false],
    [problem("serverInternal"), /internal error/, true],
    [problem("canary"), /refused the order/, false],
    ["Account registration error: {\"type\":\"urn:ietf:params:acme:error:externalAccountRequired\"}", /binding/, false],
    ["Error registering account: canary", /refused the account/, false],
    ["Signing failed. Finalize code was not 200.", /did not sign/, false],
    ["something that nobody knows: canary", /reason that is not known/, true]
  ]
  it.each(cases)("%s", (line, message, retryable) => {
    const failure = heard([line]).failure()
    assert.match(failure.message, message)
    assert.strictEqual(failure.retryable, retryable)
    assert.notInclude(JSON.stringify(failure), "canary")
  })

  it("a rate limit says how long, where the CA does", () => {
    assert.match(heard([problem("rateLimited")]).failure(3_500).message, /rate limit is reached.* 59 minutes/)
    assert.match(
      heard(["The retryafter=86400 value is too large (> 600), will not retry anymore."]).failure().message,
      /1440/
    )
  })

  it("curl's reason is told in words", () => {
    const code = (number: number) =>
      `Please refer to https://curl.haxx.se/libcurl/c/libcurl-errors.html for error code: ${number}`
    assert.match(heard([code(60), "Cannot init API for: x."]).failure().hint, /ACME_CA_BUNDLE/)
    assert.match(heard([code(6), "Cannot init API for: x."]).failure().message, /name cannot be looked up/)
  })
})

it("the sentences that matter are still those of acme.sh", async () => {
  const sentences = [
    "Using CA: ",
    "Registering account",
    "Getting webroot for domain",
    "Adding TXT value: ",
    "The TXT record has been successfully added.",
    "Let's check each DNS record now",
    "Verifying: ",
    "Verification finished, beginning signing.",
    "Downloading cert.",
    "Cert success.",
    "Cannot init API for",
    "libcurl-errors.html for error code: ",
    "value is too large (> 600)",
    "Cannot find DNS API hook for: ",
    "Error adding TXT record to domain: ",
    "Timed out waiting for DNS.",
    ": Invalid status",
    "Account registration error: ",
    "Error registering account: ",
    "Error creating new order.",
    "Signing failed"
  ]
  for (const file of [acmeProgram, await newAcmeProgram()]) {
    const text = readFileSync(file, "utf8")
    assert.deepStrictEqual(sentences.filter((sentence) => !text.includes(sentence)), [], file)
  }
})
