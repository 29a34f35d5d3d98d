/** Which backends there are: `show backend`. */
import * as Result from "effect/Result"
import { isWord, plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/*
 * show backend (3.0.11, 3.2.26 and 3.4.7 alike)
 *
 * # name
 * web_backend
 * pool_1
 *
 * `listen` sections are among them. In the order of the configuration.
 */
const parseBackends = (answer: string): Verdict<ReadonlyArray<string>> => {
  const [head, ...names] = answer.split("\n")
  if (head !== "# name") return refused(answer)
  const found = names.filter((name) => name !== "")
  // A name has letters, digits and `-_.:`; anything else is no such answer.
  const strange = found.find((name) => !isWord(name))
  return strange === undefined ? Result.succeed(found) : refused(`a backend named ${plain(strange, 80)}`)
}

/** `show backend`: all names; 99 KB and 3 ms with 10,000. */
export const show: Command<ReadonlyArray<string>> = { words: ["show", "backend"], parse: parseBackends }
