/**
 * From text to words, as HAProxy's tokenizer does it: blanks separate, a backslash takes the next character as it is,
 * and nothing else is special (quotes and `#` are ordinary). Bytes are Latin-1 characters here, one to one.
 */

/** A command as it will be run. */
export interface Parsed {
  /** Its words, unescaped. Empty for an empty command. */
  readonly words: ReadonlyArray<string>
  /** Its text as received, trimmed, without the payload. */
  readonly text: string
  /** The payload without its terminator; `undefined` when there is none. */
  readonly payload: string | undefined
}

const isBlank = (text: string, at: number) => text[at] === " " || text[at] === "\t"

/** Splits a command into words. A NUL ends it. */
export const wordsOf = (text: string): Array<string> => {
  const words: Array<string> = []
  if (!text.includes("\\") && !text.includes("\0")) {
    for (const part of text.split(/[ \t]+/)) if (part !== "") words.push(part)
    return words
  }
  let at = 0
  for (;;) {
    while (at < text.length && isBlank(text, at)) at++
    if (at >= text.length || text[at] === "\0") return words
    let word = ""
    while (at < text.length && !isBlank(text, at) && text[at] !== "\0") {
      if (text[at] === "\\") {
        at++
        if (at >= text.length || text[at] === "\0") break
      }
      word += text[at]
      at++
    }
    words.push(word)
  }
}

/** The index of the first of `delimiters` from `from` on that no backslash escapes, or -1. */
export const findDelimiter = (text: string, delimiters: string, from: number): number => {
  for (let at = from; at < text.length; at++) {
    const char = text[at]!
    if (char === "\\") at++
    else if (delimiters.includes(char)) return at
  }
  return -1
}

/** The commands of a line: `;` and NUL separate unless escaped. */
export const splitLine = (line: string): Array<string> => {
  if (!line.includes("\\")) return line.split(/[;\0]/)
  const commands: Array<string> = []
  let from = 0
  for (;;) {
    const end = findDelimiter(line, ";\0", from)
    if (end < 0) {
      commands.push(line.slice(from))
      return commands
    }
    commands.push(line.slice(from, end))
    from = end + 1
  }
}

/** The terminator that the last word of a line announces (`<<END` gives `END`), or `undefined`. */
export const terminatorOf = (line: string): { readonly name: string; readonly at: number } | undefined => {
  const at = Math.max(line.lastIndexOf(" "), line.lastIndexOf("\t")) + 1
  return line.startsWith("<<", at) ? { name: line.slice(at + 2), at } : undefined
}
