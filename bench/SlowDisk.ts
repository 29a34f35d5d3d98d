/**
 * A disk whose every fsync and fdatasync takes 3 ms, where the real one is faster: the calls of one process are
 * delayed in the kernel by strace. Only these two calls stop (`--seccomp-bpf`, strace 5.3 or later); all others run
 * at full speed. The machine's own strace is taken, else Debian's.
 */
import { join } from "node:path"
import { MACHINE_SUITE } from "../scripts/debian/AptDownload.ts"
import { cacheFolder } from "../scripts/debian/CacheFolder.ts"
import { runCommand } from "../scripts/debian/Command.ts"
import { fetchPackages } from "../scripts/debian/Packages.ts"
import { describeFsync } from "./Machine.ts"
import { Skipped } from "./Row.ts"

/** Milliseconds per fsync. */
export const slowFsync = 3

const options = ["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]

const works = async (program: string): Promise<boolean> => {
  const tried = await runCommand(program, [...options, "true"], { timeoutMs: 10_000 }).catch(() => undefined)
  return tried?.code === 0
}

const fetched = async (): Promise<string> => {
  const into = join(cacheFolder(), "debian", "strace")
  const request = { name: "strace", suites: [MACHINE_SUITE], packages: ["strace"], programs: ["usr/bin/strace"], into }
  return join((await fetchPackages(request)).folder, "bin", "strace")
}

/**
 * The program and first arguments under which a process has such a disk; none when it is that slow itself. What is
 * added is what the disk lacks when nobody else uses it: its fastest tenth counts.
 */
export const slowDisk = async (folder: string): Promise<ReadonlyArray<string>> => {
  const missing = Math.round((slowFsync - describeFsync(folder).p10) * 1000)
  if (missing <= 0) return []
  const program = await works("strace") ? "strace" : await fetched()
  if (!await works(program)) throw new Skipped("strace may not trace processes here, so fsync cannot be made slow")
  return [program, ...options, "-e", `inject=fsync,fdatasync:delay_exit=${missing}`]
}
