/**
 * Shell scripts that are handed to another host on standard input: the argument list holds a loader that is always the
 * same, the script's length, and words for the script. What is secret stands in the script and is seen by nobody.
 *
 * A script is one `{ … }`: of one that was cut on the way nothing is run, since a shell does not understand it.
 */

/** Reads so many bytes of standard input as a script; its other words are the script's `$1`, `$2`, …. */
const loader = "n=$1; shift; eval \"$(head -c \"$n\")\""

/** The words that run a script with these arguments, and what they want on standard input. */
export const scripted = (
  name: string,
  script: string,
  args: ReadonlyArray<string>
): { readonly argv: ReadonlyArray<string>; readonly stdin: string } => {
  const stdin = `{\n${script.trim()}\n}\n`
  return { argv: ["/bin/sh", "-c", loader, name, String(Buffer.byteLength(stdin)), ...args], stdin }
}

/** A text as one word of a shell, whatever is in it. */
export const word = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Lines of a shell script that write a text into a file; the text is in no argument list, wherever printf comes from. */
export const fileOf = (path: string, text: string, end: string): string =>
  `cat >${path} <<'${end}'\n${text.endsWith("\n") ? text : `${text}\n`}${end}`

/** Environment of sshd's session that programs need (Program.ts has the same for this machine). */
const passed = [
  ..."PATH HOME USER LOGNAME TMPDIR LANG TZ SSL_CERT_FILE SSL_CERT_DIR".split(" "),
  ...["http_proxy", "https_proxy", "no_proxy", "all_proxy"].flatMap((name) => [name, name.toUpperCase()])
]
/** bash does not let them go. */
const fixed = ["SHELLOPTS", "BASHOPTS", "UID", "EUID", "PPID", "BASH_VERSINFO"]

/** Lines that take all else away; they come first, before a script has variables of its own. */
export const tidyEnvironment = `
for name in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do
  case $name in ${[...passed, ...fixed].join("|")}) ;; *) unset "$name" ;; esac
done
LC_ALL=C; export LC_ALL
`.trim()
