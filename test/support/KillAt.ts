/**
 * Preloaded into a process (`node --import`): kills it in front of its n-th step on the file system, KILL_AT=n. Steps are the
 * calls that change names or make them durable. SQLite's own calls are not among them: that it survives a kill is not ours
 * to test.
 */
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const killAt = Number(process.env["KILL_AT"])
let steps = 0

const names = ["fsyncSync", "linkSync", "renameSync", "rmSync", "unlinkSync", "copyFileSync", "writeFileSync"] as const
const changed = fs as unknown as Record<string, (...args: ReadonlyArray<unknown>) => unknown>
const promises = fs.promises as unknown as typeof changed

const wrap = (on: typeof changed, name: string) => {
  const original = on[name]!.bind(on)
  on[name] = (...args) => {
    if (++steps === killAt) process.kill(process.pid, "SIGKILL")
    return original(...args)
  }
}

for (const name of names) wrap(changed, name)
for (const name of ["link", "rename", "rm", "unlink", "copyFile", "writeFile"]) wrap(promises, name)
syncBuiltinESMExports()
