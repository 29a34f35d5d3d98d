/**
 * The one place where words become a command line of another host. sshd hands one string to the user's login shell;
 * every word is quoted so that a POSIX shell takes it as it is.
 */

/** Words as text for a POSIX shell. A NUL or a line end in a word is a mistake of ours. */
export const quote = (words: ReadonlyArray<string>): string => {
  // oxlint-disable-next-line no-control-regex
  if (words.length === 0 || words.some((word) => /[\u0000\r\n]/.test(word))) {
    throw new TypeError("a command has words, and none of them a NUL or a line end")
  }
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")
}

/**
 * A command that ends itself after so many seconds, also when nobody here is left to end it. The login shell only starts
 * `sh`, whatever shell it is; where there is no `timeout` the command runs without.
 */
export const bounded = (words: ReadonlyArray<string>, seconds: number): string => {
  const limit = Math.max(1, Math.ceil(seconds))
  const script =
    "t=$1; shift; if command -v timeout >/dev/null 2>&1; then exec timeout -k 2 \"$t\" \"$@\"; else exec \"$@\"; fi"
  return quote(["/bin/sh", "-c", script, "sh", String(limit), ...words])
}
