/** Scripts that a test runs as processes of their own, many times: each as one file, which starts three times faster. */
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../../scripts/build.ts"
import { program } from "./Program.ts"

/** The file to run with Node; it is there as long as this run of the tests. */
export const bundledScript = (script: URL): Promise<string> => {
  const path = fileURLToPath(script)
  return bundle(path, join(dirname(program), "scripts", `${basename(path, ".ts")}-${process.pid}`))
}
