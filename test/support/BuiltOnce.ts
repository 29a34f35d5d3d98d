/**
 * The program as it is shipped (bundle and launcher), built once for a whole run of the tests, and one compile cache for
 * it and for the test files themselves: V8 compiles each module once in a run, not once in each of two thousand processes.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { buildProgram } from "../../scripts/build.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
// None that begins as a setting of ours does: a program refuses those that it does not know.
const [fileVariable, rootVariable] = ["TEST_PROGRAM", "TEST_PROGRAM_OF"]

/** The file to run with Node, where this run has one built of these very sources; a copy of the tree has its own. */
export const builtOnce = (): string | undefined =>
  process.env[rootVariable] === root ? process.env[fileVariable] : undefined

/** vitest runs it before the first test file, and what it answers after the last. */
export default async (): Promise<() => void> => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-tests-"))
  const program = await buildProgram(folder)
  process.env[fileVariable] = program
  process.env[rootVariable] = root
  // The launcher's cache belongs to this build; the user's own is left alone.
  process.env["NODE_COMPILE_CACHE"] = join(folder, "cache")
  execFileSync(process.execPath, [program, "--version"])
  return () => rmSync(folder, { recursive: true, force: true })
}
