/**
 * The steps of a write: the commands that HAProxy gets for it, told apart also where two are the same (a key is asked
 * for before it is added, and again to read it back).
 */

/** A command, the how-many-th of its kind it is in the write, from 1, and what was answered. */
export interface Step {
  readonly text: string
  readonly nth: number
  /** The bytes of the answer, as they were sent. */
  readonly answer: string
}

/** A command as FakeHaproxy keeps it. */
interface Received {
  readonly text: string
  readonly answer: string | undefined
}

/** Commands of the heartbeat and the reconciler, which come whenever they come. */
const others = new Set(["show info", "help", "show cli level", "show map", "show servers state", "show fd l"])

/** The steps among recorded commands; the folder is taken out, since each world has its own. */
export const stepsIn = (commands: ReadonlyArray<Received>, folder: string): ReadonlyArray<Step> => {
  const seen = new Map<string, number>()
  const steps: Array<Step> = []
  for (const { answer = "", text: command } of commands) {
    if (others.has(command) || command.startsWith("prompt") || command.startsWith("show map ")) continue
    const text = command.replaceAll(folder, "DIR")
    const nth = (seen.get(text) ?? 0) + 1
    seen.set(text, nth)
    // How often slots are read back depends on how soon HAProxy shows a new address: only the first time is certain.
    if (nth === 1 || !text.startsWith("show servers state ")) {
      steps.push({ text, nth, answer: answer.replaceAll(folder, "DIR") })
    }
  }
  return steps
}

/** A recorded step, in another folder. */
export const stepHere = ({ answer, nth, text }: Step, folder: string): Step => ({
  text: text.replaceAll("DIR", folder),
  nth,
  answer: answer.replaceAll("DIR", folder)
})
