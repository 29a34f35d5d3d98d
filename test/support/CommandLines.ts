/** The argument lists of this machine's processes, which every user of it can read: no secret may be in one. */
import { readdirSync, readFileSync } from "node:fs"

/** All of them now, each with its words separated by spaces. This process's own is not among them. */
export const commandLines = (): ReadonlyArray<string> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ")]
    } catch {
      return []
    }
  })

/** Looks all the time, and answers what showed one of the texts when it is asked to stop. */
export const watchCommandLines = (secrets: ReadonlyArray<string>): () => ReadonlyArray<string> => {
  const seen = new Set<string>()
  const look = () => {
    for (const line of commandLines()) if (secrets.some((secret) => line.includes(secret))) seen.add(line)
  }
  const timer = setInterval(look, 40)
  return () => {
    clearInterval(timer)
    look()
    return [...seen]
  }
}
