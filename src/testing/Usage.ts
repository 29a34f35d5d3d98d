/**
 * The answer to an unknown command: HAProxy names the commands that look most like it.
 *
 * Words are compared by the letter pairs they have in common, as HAProxy does. Where several commands are equally far
 * away, which of them are named depends on the order in which HAProxy was linked; there the fake may name others.
 */
import { commandOf, helpLines, helpTrailer } from "./HelpTable.ts"
import type { Line } from "./Line.ts"

const maxMatches = 5
const edge = 28

/** Counts of transitions between letters, digits and other characters, word by word. */
const fingerprint = (words: ReadonlyArray<string>): Uint8Array => {
  const counts = new Uint8Array(1024)
  for (const word of words) {
    let from = edge
    for (const char of word.toLowerCase()) {
      const to = char >= "a" && char <= "z" ? char.charCodeAt(0) - 96 : char >= "0" && char <= "9" ? 27 : 28
      // The character is there at all (no transition begins at 0), and how often it follows the one before.
      counts[to] = 1
      counts[32 * from + to]!++
      from = to
    }
    counts[32 * from + edge]!++
  }
  return counts
}

const distance = (left: Uint8Array, right: Uint8Array): number => {
  let sum = 0
  for (let index = 0; index < left.length; index++) sum += Math.abs(left[index]! - right[index]!)
  return sum
}

/** The text for a command that is not known. */
export const usage = (line: Line, words: ReadonlyArray<string>): string => {
  const entries = helpLines(line).map((text) => ({ text, command: commandOf(text) }))
  let known = 0
  for (const { command } of entries) {
    let same = 0
    while (same < command.length && command[same] === words[same]) same++
    known = Math.max(known, same)
  }
  const candidates = entries.filter(({ command }) => command.slice(0, known).every((word, at) => words[at] === word))
  let matches: Array<{ readonly text: string; readonly distance: number }> = []
  const rest = words.slice(known, 5)
  if (rest.length > 0) {
    const sought = fingerprint(rest)
    for (const { command, text } of candidates) {
      if (command.length < known) continue
      const tail = command.slice(known)
      const length = [...rest, ...tail].reduce((total, word) => total + word.length, 0)
      const far = distance(sought, fingerprint(tail))
      if (far < Math.floor(5 * length / 2)) matches.push({ text, distance: far })
    }
    matches = matches.toSorted((left, right) => left.distance - right.distance).slice(0, maxMatches)
    matches = matches.filter((match) => match.distance <= Math.floor(5 * matches[0]!.distance / 2))
  }
  const texts = (matches.length > 0 ? matches : candidates).map(({ text }) => text)
  const named = texts.toSorted((left, right) => (left < right ? -1 : 1))
  return `Unknown command: '${words[0]}', but maybe one of the following ones is a better match:\n  ${
    [...named, ...helpTrailer(line)].join("\n  ")
  }`
}
