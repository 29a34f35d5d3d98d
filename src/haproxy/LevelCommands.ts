/** What the socket that we came in by lets us do. */
import * as Result from "effect/Result"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/*
 * show cli level (3.0.11, 3.2.26, 3.4.7): `admin`, `operator` or `user`
 *
 * `help` does not tell: it lists every command at every level. At the level `user` 3.4.7 refuses `add map` with
 * "Permission denied"; 3.0.11 and 3.2.26 run it, and refuse `set server`.
 */
const parseLevel = (answer: string): Verdict<string> => {
  const level = answer.trim()
  return level === "admin" || level === "operator" || level === "user"
    ? Result.succeed(level)
    : refused(plain(answer, 80))
}

/** The level of this connection's socket. */
export const show: Command<string> = { words: ["show", "cli", "level"], parse: parseLevel }
