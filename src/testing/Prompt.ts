/**
 * The prompt of one connection: whether it is kept open, and what it shows before a command. 3.0 has `prompt` alone,
 * as a switch; 3.2 and later have modes.
 */
import { type Answer, dump, message } from "./Answer.ts"
import type { Traits } from "./Line.ts"

/** `n`: one line, then close. `i`: kept open. `p`: kept open, with `> `. */
export type Mode = "n" | "i" | "p"

const promptUsage = `Usage: prompt [help | n | i | p | timed]*
Changes the default prompt and interactive mode. Available options:
  help    display this help
  n       set to single-command mode (no prompt, single command)
  i       set to interactive mode only (no prompt, multi-command)
  p       set to prompt+interactive mode (prompt + multi-command)
  timed   toggle displaying the current date in the prompt
Without any argument, toggles between n/i->p, p->n.`

/** The prompt of a connection. */
export class Prompt {
  mode: Mode = "n"
  private timed = false
  private readonly traits: Traits

  constructor(traits: Traits) {
    this.traits = traits
  }

  /** `> `, or with how long the process has been up. */
  text(upMilliseconds: number): string {
    if (!this.timed) return "> "
    const seconds = Math.floor(upMilliseconds / 1000)
    const two = (value: number) => String(value).padStart(2, "0")
    const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24]
    return `[${days}:${two(hours)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}]> `
  }

  /** `prompt`, from its options. */
  set(options: ReadonlyArray<string>): Answer {
    if (!this.traits.quietPrompt) {
      if (options[0] === "timed") {
        this.timed = !this.timed
        this.mode = "p"
      } else this.mode = this.mode === "p" ? "n" : "p"
      return dump("")
    }
    if (options.length === 0) this.mode = this.mode === "p" ? "n" : "p"
    for (const option of options) {
      if (option === "n" || option === "i" || option === "p") this.mode = option
      else if (option === "timed") {
        this.timed = !this.timed
        this.mode = "p"
      } else return message(3, promptUsage)
    }
    return dump("")
  }
}
