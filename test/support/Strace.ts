/** strace at hand: the machine's own, else Debian's, in the cache folder. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import { fetchPackages } from "../../scripts/debian/Packages.ts"

const works = (command: string) =>
  spawnSync(command, ["--seccomp-bpf", "-f", "-o", "/dev/null", "true"], { stdio: "ignore", timeout: 10_000 }).status
    === 0

/** A command that runs like strace (5.3 or later) and may trace processes here; null where there is none. */
export const strace = async (): Promise<string | null> => {
  if (works("strace")) return "strace"
  const into = join(cacheFolder(), "debian", "strace")
  const request = { name: "strace", suites: ["trixie"], packages: ["strace"], programs: ["usr/bin/strace"], into }
  const found = await fetchPackages(request).then(({ folder }) => join(folder, "bin", "strace"), () => null)
  return found !== null && works(found) ? found : null
}
