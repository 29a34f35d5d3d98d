/** The argument lists of this machine's processes, which every user of it can read: no secret may be in one. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"

/** All of them now, each with its words separated by spaces. This process's own is not among them. */
export const commandLines = (): ReadonlyArray<string> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")]
    } catch {
      return []
    }
  })

/**
 * Programs in a folder for the front of PATH that write down their arguments and become the real ones: what is looked
 * at only now and then may be missed, this is not.
 */
export const recordArguments = (folder: string, names = ["curl", "sed", "openssl"]) => {
  const bin = join(folder, "recording")
  const log = join(folder, "arguments")
  mkdirSync(bin)
  writeFileSync(log, "")
  const places = (process.env["PATH"] ?? "").split(delimiter)
  for (const name of names) {
    const real = places.map((place) => join(place, name)).find((path) => existsSync(path))
    if (real === undefined) throw new Error(`there is no ${name} in PATH`)
    const script = `#!/bin/sh\nprintf '%s\\n' "${name} $*" >>'${log}'\nexec '${real}' "$@"\n`
    writeFileSync(join(bin, name), script, { mode: 0o755 })
  }
  return {
    path: `${bin}${delimiter}${process.env["PATH"]}`,
    /** Of all programs so far, one text. */
    recorded: () => readFileSync(log, "utf8")
  }
}
