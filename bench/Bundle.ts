/** The program as users run it: bundled, once per run. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { buildProgram } from "../scripts/build.ts"
import type { Bench } from "./Row.ts"

/** Builds it below the run's folder when it is not there yet; answers the file to run. */
export const bundle = async (bench: Bench): Promise<string> => {
  const folder = join(bench.folder, "dist")
  const program = join(folder, "haproxy-mcp.js")
  return existsSync(program) ? program : buildProgram(folder)
}
