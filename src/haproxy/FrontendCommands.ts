/** Commands that change a frontend until HAProxy's next start: whether it listens, and how many connections it takes. */
import * as Result from "effect/Result"
import { refused, silent } from "./Cli.ts"
import type { Command } from "./Command.ts"

/*
 * disable frontend web (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * All sockets are already disabled.
 * No such frontend.
 */
const switched = (words: ReadonlyArray<string>, already: string): Command<"done" | "already"> => ({
  words,
  parse: (answer) => {
    const text = answer.trim()
    return text === "" ? Result.succeed("done") : text === already ? Result.succeed("already") : refused(answer)
  }
})

/** `enable frontend NAME`: it listens again. */
export const enable = (name: string) => switched(["enable", "frontend", name], "All sockets are already enabled.")

/** `disable frontend NAME`: its sockets refuse new connections; open ones go on. */
export const disable = (name: string) => switched(["disable", "frontend", name], "All sockets are already disabled.")

/** `set maxconn frontend NAME N`. Silent when done. Text in place of N is taken for 0: it is a number here. */
export const setMaxconn = (name: string, connections: number): Command<void> =>
  silent(["set", "maxconn", "frontend", name, String(connections)])

/** Is this the answer for a frontend that HAProxy does not have? */
export const isUnknown = (text: string): boolean => text === "No such frontend."
