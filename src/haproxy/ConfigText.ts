/**
 * The text of a haproxy.cfg: lines, comments, sections, and paths as single words of it.
 *
 * A path that HAProxy or its Runtime API could not be told of is refused here ({@link UnusablePath}), before anything
 * is printed; everything else is for HAProxy's own check to judge.
 */
import { isWord } from "./Cli.ts"

export type Lines = ReadonlyArray<string>

export const comment = (...lines: Lines): Lines => lines.map((line) => `# ${line}`)

/** A section's title and, indented, what is in it; a blank line ends it. */
export const section = (title: string, ...parts: ReadonlyArray<Lines>): Lines => [
  title,
  ...parts.flat().map((line) => line === "" ? "" : `  ${line}`),
  ""
]

/**
 * Lines that HAProxy reads only if it was built with a feature (`haproxy -vv` lists them), so that one file serves
 * every build. configuration.txt, 2.4: "Conditional blocks"; since HAProxy 2.4.
 */
export const ifBuiltWith = (feature: string, ...lines: Lines): Lines => [
  `.if feature(${feature})`,
  ...lines.map((line) => `  ${line}`),
  ".endif"
]

/** A path that no working configuration can hold. */
export class UnusablePath extends RangeError {
  /** How to have another one. */
  readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}

/** A path as it is. Quotes and control characters have no place in a path of this file. */
export const quoted = (path: string): string => {
  // oxlint-disable-next-line no-control-regex
  if (/["'\\$\u0000-\u001f\u007f]/.test(path)) {
    throw new UnusablePath(
      `HAProxy's configuration cannot hold the path ${JSON.stringify(path)}`,
      "Choose paths without quotes, backslashes and dollar signs."
    )
  }
  return path
}

/** Needs no quotes anywhere. */
export const isPlain = (path: string): boolean => /^[\w./@:+-]*$/.test(path)

/** A path as one word. */
export const word = (path: string): string => isPlain(quoted(path)) ? path : `"${path}"`

/** A path that is a word of Runtime API commands too, where nothing can be quoted. `what`: `the map`. */
export const commandPath = (path: string, what: string, hint: string): string => {
  if (!isWord(quoted(path))) {
    throw new UnusablePath(
      `The Runtime API cannot name ${what} ${
        JSON.stringify(path)
      }: only printable ASCII without spaces and \\ ; < # " ' $`,
      hint
    )
  }
  return path
}
