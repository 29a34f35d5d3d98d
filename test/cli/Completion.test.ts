/** `haproxy-mcp completion`: the scripts are run by the shells themselves, where they are installed. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"

const limit = 60_000
const scriptOf = async (shell: string): Promise<string> => {
  const { code, stderr, stdout } = await runNode(program, ["completion", shell], { limit })
  assert.deepStrictEqual([code, stderr], [0, ""])
  return stdout
}

const has = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0

/** What bash offers at the end of a line, as its own completion machinery calls the function. */
const offered = (script: string, line: string): ReadonlyArray<string> => {
  const dir = mkdtempSync(join(tmpdir(), "haproxy-mcp-completion-"))
  try {
    const file = join(dir, "script")
    writeFileSync(file, script)
    const words = line.split(" ")
    const { status, stderr, stdout } = spawnSync("bash", [
      "--norc",
      "-c",
      `
      . ${file}
      spec=$(complete -p haproxy-mcp) || exit 9
      function=$(sed -E 's/.*-F ([^ ]+).*/\\1/' <<< "$spec")
      COMP_LINE=${JSON.stringify(line)}; COMP_POINT=\${#COMP_LINE}
      COMP_WORDS=(${words.map((word) => JSON.stringify(word)).join(" ")}); COMP_CWORD=${words.length - 1}
      COMPREPLY=()
      compopt() { :; }
      "$function" haproxy-mcp "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
      printf '%s\\n' "\${COMPREPLY[@]}"`
    ], { encoding: "utf8", cwd: dir })
    assert.strictEqual(status, 0, stderr)
    return stdout.split("\n").map((word) => word.trim()).filter((word) => word !== "").sort()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

describe("completion", () => {
  it("in bash: commands, their commands, flags, words of a setting, files", async () => {
    const script = await scriptOf("bash")
    const at = (line: string) => offered(script, line)
    const commands = at("haproxy-mcp ")
    for (const name of ["serve", "stdio", "config", "status", "doctor", "token", "completion"]) {
      assert.include(commands, name)
    }
    assert.deepStrictEqual(at("haproxy-mcp do"), ["doctor"])
    assert.deepStrictEqual(at("haproxy-mcp token "), ["list", "new", "retire", "revoke"])
    assert.deepStrictEqual(at("haproxy-mcp certs "), ["delete", "info", "issue", "list", "load", "renew", "renew-all"])
    assert.include(at("haproxy-mcp certs renew --"), "--force")
    assert.deepStrictEqual(at("haproxy-mcp completion "), ["bash", "fish", "zsh"])
    assert.deepStrictEqual(at("haproxy-mcp serve --haproxy-runtime-s"), ["--haproxy-runtime-socket"])
    assert.deepStrictEqual(at("haproxy-mcp serve --mcp-transport "), ["http", "stdio"])
    assert.notInclude(at("haproxy-mcp serve --mcp-tok"), "--mcp-token")
    assert.include(at("haproxy-mcp serve --haproxy-db-file scr"), "script")
  })

  it.skipIf(!has("zsh"))("in zsh is a script that zsh takes", async () => {
    const { status, stderr } = spawnSync("zsh", ["-n"], { input: await scriptOf("zsh"), encoding: "utf8" })
    assert.strictEqual(status, 0, stderr)
  })

  it.skipIf(!has("fish"))("in fish offers the commands", async () => {
    const { status, stderr, stdout } = spawnSync("fish", ["--no-config"], {
      input: `${await scriptOf("fish")}\ncomplete -C "haproxy-mcp do"\n`,
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stderr)
    assert.include(stdout, "doctor")
  })

  it("in zsh and fish names every command and setting; `--completions` gives the same script", async () => {
    const [zsh, fish] = await Promise.all([scriptOf("zsh"), scriptOf("fish")])
    assert.match(zsh, /^#compdef haproxy-mcp\n/)
    for (const script of [zsh, fish]) {
      for (const word of ["doctor", "retire", "haproxy-runtime-socket"]) assert.include(script, word)
    }
    const { stdout } = await runNode(program, ["--completions", "zsh"], { limit })
    assert.strictEqual(stdout, zsh)
  })

  it("of no known shell ends with 2", async () => {
    assert.strictEqual((await runNode(program, ["completion", "tcsh"], { limit })).code, 2)
  })
})
