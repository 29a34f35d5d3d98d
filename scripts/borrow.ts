/**
 * Programs that tests, benchmarks and the demo call by name, and that a small machine may lack: `openssl` and `curl`,
 * which acme.sh runs too. What is missing is fetched from Debian into the cache, and nothing is installed.
 *
 * `eval "$(node scripts/borrow.ts)"` puts them into the shell's PATH, behind what is there; as a module
 * {@link borrow} does the same for this process and its children.
 */
import { accessSync, constants, existsSync } from "node:fs"
import { delimiter, join } from "node:path"
import { ensureProgram } from "./debian/Catalogue.ts"
import { FetchFailure } from "./debian/FetchFailure.ts"

const wanted = ["openssl", "curl"] as const

/** Where Debian's OpenSSL looks for its settings; `openssl req` does not go without them. */
const machineSettings = "/usr/lib/ssl/openssl.cnf"

const isInPath = (name: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** The environment that {@link borrow} sets: empty when nothing is missing. Fails with `FetchFailure`. */
export const borrowed = async (
  fetching: (name: string) => void = () => {}
): Promise<Readonly<Record<string, string>>> => {
  const folders: Array<string> = []
  const environment: Record<string, string> = {}
  for (const name of wanted) {
    if (isInPath(name)) continue
    fetching(name)
    const { folder } = await ensureProgram(name).catch((cause: unknown) => {
      if (!(cause instanceof FetchFailure)) throw cause
      throw new FetchFailure(cause.reason, `${name} could not be fetched: ${cause.message}`, cause.hint, { cause })
    })
    folders.push(join(folder, "bin"))
    if (name === "openssl" && !existsSync(machineSettings) && process.env["OPENSSL_CONF"] === undefined) {
      environment["OPENSSL_CONF"] = join(folder, "root", "etc", "ssl", "openssl.cnf")
    }
  }
  if (folders.length > 0) environment["PATH"] = [process.env["PATH"], ...folders].filter(Boolean).join(delimiter)
  return environment
}

/** Makes the programs runnable by name, for this process and its children. Fails with `FetchFailure`. */
export const borrow = async (fetching?: (name: string) => void): Promise<void> => {
  Object.assign(process.env, await borrowed(fetching))
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

if (import.meta.main) {
  try {
    const environment = await borrowed((name) =>
      process.stderr.write(`haproxy-mcp: this machine has no ${name}; fetching one from Debian into .cache\n`)
    )
    for (const [name, value] of Object.entries(environment)) process.stdout.write(`export ${name}=${quoted(value)}\n`)
  } catch (cause) {
    if (!(cause instanceof FetchFailure)) throw cause
    process.stderr.write(`haproxy-mcp: ${cause.message}\n${cause.hint}\n`)
    process.exitCode = 1
  }
}
