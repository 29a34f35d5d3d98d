/** Tools of the machine that some tests need. A silent skip would read as a pass, so a missing one is said aloud. */
import { spawnSync } from "node:child_process"

/** Does this command work here? If not, says what stays untested. */
export const available = (what: string, command: string, ...args: ReadonlyArray<string>): boolean => {
  const works = spawnSync(command, args, { stdio: "ignore", timeout: 10_000 }).status === 0
  if (!works) process.stderr.write(`\nSKIPPED, NOT TESTED: ${what} (${command} ${args.join(" ")} does not work here)\n`)
  return works
}
