/** Bearer tokens from a setting and from a file that changes. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigInvalid } from "../../src/domain/Errors.ts"
import { makeTokens, parseTokens, type TokenOptions, type TokenStore } from "../../src/mcp/Auth.ts"

/** The name that a token goes by in logs. */
const nameOf = (found: ReturnType<TokenStore["find"]>) => typeof found === "string" ? found : found.principal.name

const folders = mkdtempSync(join(tmpdir(), "haproxy-mcp-auth-"))
afterAll(() => rmSync(folders, { recursive: true, force: true }))
const folder = () => mkdtempSync(join(folders, "of-"))

const made = (options: Partial<TokenOptions>): TokenStore => {
  const tokens = makeTokens({ token: null, file: null, fileOptional: false, ...options })
  if (tokens instanceof ConfigInvalid) throw tokens
  return tokens
}

const until = async (condition: () => boolean) => {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not become so")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe("tokens", () => {
  it("reads every form of a token file", () => {
    assert.deepStrictEqual(parseTokens("MCP_TOKEN=abc\n"), ["abc"])
    assert.deepStrictEqual(parseTokens("abc"), ["abc"])
    assert.deepStrictEqual(parseTokens("\ufeffabc\r\n"), ["abc"])
    assert.deepStrictEqual(parseTokens("export MCP_TOKEN = \"a=b#c\"\n"), ["a=b#c"])
    assert.deepStrictEqual(parseTokens("# old\nMCP_TOKEN='one'\nMCP_TOKEN_NEXT=two\nthree\n"), ["one", "two", "three"])
    assert.deepStrictEqual(parseTokens("OTHER=x\nMCP_TOKEN=\nMCP_TOKEN=has space\n\n"), [])
    assert.deepStrictEqual(parseTokens("QUJDREVGRw==\n"), ["QUJDREVGRw=="])
  })

  it("knows the token of the setting and no other", () => {
    const tokens = made({ token: Redacted.make("from-setting") })
    assert.strictEqual(nameOf(tokens.find("from-setting")), "token-1")
    for (const wrong of ["", "from-settin", "from-settings", "FROM-SETTING"]) {
      assert.strictEqual(tokens.find(wrong), "wrong")
    }
    assert.strictEqual(tokens.count(), 1)
  })

  it("follows its file: new tokens, and revocation by change or removal", async () => {
    const file = join(folder(), "token.env")
    writeFileSync(file, "MCP_TOKEN=one\n")
    const tokens = made({ token: Redacted.make("zero"), file })
    assert.strictEqual(nameOf(tokens.find("one")), "token-2")
    writeFileSync(`${file}.new`, "MCP_TOKEN=two\nMCP_TOKEN=three\n")
    renameSync(`${file}.new`, file)
    await until(() => tokens.find("two") !== "wrong")
    assert.strictEqual(tokens.find("one"), "wrong")
    assert.strictEqual(nameOf(tokens.find("three")), "token-3")
    rmSync(file)
    await until(() => tokens.find("two") === "wrong")
    assert.strictEqual(nameOf(tokens.find("zero")), "token-1")
    writeFileSync(file, "four")
    await until(() => tokens.find("four") !== "wrong")
  })

  it("refuses a file that gives no token, and tells nothing of what is in it", () => {
    const file = join(folder(), "token.env")
    const refused = (options: Partial<TokenOptions>) => {
      const tokens = makeTokens({ token: null, file, fileOptional: false, ...options })
      assert.instanceOf(tokens, ConfigInvalid)
      return tokens as ConfigInvalid
    }
    assert.include(refused({}).message, "ENOENT")
    writeFileSync(file, "SECRET_OTHER=hunter2\n")
    const error = refused({})
    assert.include(error.message, "holds no token")
    assert.notInclude(JSON.stringify(error), "hunter2")
    // The default place may be empty-handed only by not being there.
    refused({ fileOptional: true })
    assert.include(refused({ file: folder() }).message, "EISDIR")
    assert.strictEqual(made({ file: join(folder(), "none"), fileOptional: true }).count(), 0)
  })
})
