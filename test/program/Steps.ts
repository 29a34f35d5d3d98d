/**
 * The steps of a write: the commands that HAProxy gets for it, told apart also where two are the same (a key is asked
 * for before it is added, and again to read it back).
 */

/** A command, and the how-many-th of its kind it is in the write, from 1. */
export interface Step {
  readonly text: string
  readonly nth: number
}

/** Commands of the heartbeat and the reconciler, which come whenever they come. */
const others = new Set(["show info", "help", "show map", "show servers state", "show fd l"])

/** The steps among recorded commands; the folder is taken out, since each world has its own. */
export const stepsIn = (commands: ReadonlyArray<string>, folder: string): ReadonlyArray<Step> => {
  const seen = new Map<string, number>()
  const steps: Array<Step> = []
  for (const command of commands) {
    if (others.has(command) || command.startsWith("prompt") || command.startsWith("show map ")) continue
    const text = command.replaceAll(folder, "DIR")
    const nth = (seen.get(text) ?? 0) + 1
    seen.set(text, nth)
    // How often slots are read back depends on how soon HAProxy shows a new address: only the first time is certain.
    if (nth === 1 || !text.startsWith("show servers state ")) steps.push({ text, nth })
  }
  return steps
}

/** A recorded step, in another folder. */
export const stepHere = ({ nth, text }: Step, folder: string): Step => ({ text: text.replaceAll("DIR", folder), nth })
