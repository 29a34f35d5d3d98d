/**
 * What a command answers, before framing. HAProxy tells two kinds apart: messages, which `set severity-output` marks
 * with `[n]:` and which end in exactly one newline, and dumps, which it never marks.
 */

/** The answer of one command. */
export type Answer =
  | { readonly _tag: "Message"; readonly severity: number; readonly text: string }
  | { readonly _tag: "Dump"; readonly text: string }

/** A message; severity as in syslog: 3 error, 4 warning, 6 information. */
export const message = (severity: number, text: string): Answer => ({ _tag: "Message", severity, text })

/** Text as it is, ended by a newline unless empty. */
export const dump = (text: string): Answer => ({ _tag: "Dump", text })

/** Nothing to say: done. */
export const silence: Answer = dump("")

/** How messages are marked. */
export type SeverityOutput = "none" | "number" | "string"

const levels = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]

/** The answer as text, without what follows it (an empty line, a prompt). */
export const render = (answer: Answer, output: SeverityOutput): string => {
  if (answer._tag === "Dump") return answer.text
  const mark = output === "none" ? "" : `[${output === "number" ? answer.severity : levels[answer.severity]}]: `
  return `${mark}${answer.text.replace(/\n+$/, "")}\n`
}
