/**
 * The script of one run on another host, and what it says.
 *
 * It makes the run's folder, writes what acme.sh reads from there, runs it with an environment of its own, and keeps the
 * folder until its standard input ends, so that chain and key can be fetched. Then, or when its time is over, all that
 * has the run's mark in its environment is ended (`/proc/PID/environ`), in whatever process group it is, and the folder
 * is removed. Standard input ends when the control plane has read what it wants, is killed, or loses the connection: sshd
 * tells that apart for nobody, and none of it leaves a process or a key there.
 *
 * The two that watch (for the end of the input, for the time) do the clearing themselves, so it is done also when the
 * shell that started them was killed. They carry the mark as well: a folder whose mark no process has belongs to nobody
 * ({@link sweepScript}).
 *
 * Its lines begin with a word that only this run knows; all others are acme.sh's. `WORD ready`, `WORD refused WHY`,
 * `WORD ended CODE`.
 */
import { mark } from "../RunFolder.ts"
import { fileOf, tidyEnvironment, word } from "./Script.ts"

/** Below ACME_HOME, as on this machine; the names of folders there are others (`…-ssh`), and no sweep takes the other's. */
export const parentName = "haproxy-mcp-runs"
export const folderEnd = "-ssh"

/** Where systems keep the certificates that they trust, in one file. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem"
]

/**
 * `clear FOLDER`: ends what has the folder's mark, kindly first, then removes the folder. What was just being started is
 * looked for again. `marked FOLDER`: is there anything?
 */
const clearing = `
marked() { grep -lszxF -e "${mark}=$1" /proc/[0-9]*/environ 2>/dev/null; }
signal() { marked "$2" | while IFS=/ read -r _ _ pid _; do kill "-$1" "$pid" 2>/dev/null; done; }
pause() { sleep 0.1 2>/dev/null || sleep 1; }
clear() {
  signal TERM "$1"
  for round in 1 2 3 4 5; do [ -z "$(marked "$1")" ] && break; pause; done
  for round in 1 2 3 4 5 6 7 8 9 10; do
    signal KILL "$1"
    rm -rf -- "$1" 2>/dev/null
    [ -e "$1" ] || [ -n "$(marked "$1")" ] || break
    pause
  done
}
`

export interface RunScript {
  /** The word that only this run knows. */
  readonly secretWord: string
  readonly folder: string
  /** ACME_CA_BUNDLE. */
  readonly caBundle: string | null
  /** Names in the folder and texts. */
  readonly files: Readonly<Record<string, string>>
  /** Where the bundle is put together. */
  readonly bundleName: string
  readonly variables: Readonly<Record<string, string>>
  /** Seconds after which it is cleared, whatever happens. */
  readonly limit: number
}

/** The script; `$1`, `$2`, … are acme.sh's own argument list. */
export const runScript = (run: RunScript): string => {
  const parent = run.folder.slice(0, run.folder.lastIndexOf("/"))
  const exported = Object.entries(run.variables).map(([name, value]) => `export ${name}=${word(value)}`)
  const trusted = run.caBundle === null ? "" : `
{
  cat ${word(run.caBundle)} || refuse 'the CA bundle cannot be read'
  echo
  for one in "$SSL_CERT_FILE" ${systemBundles.join(" ")}; do [ -r "$one" ] && { cat "$one"; break; }; done
} >"$folder/${run.bundleName}" 2>/dev/null`
  return `
umask 077
${tidyEnvironment}
exec 4>&1
folder=${word(run.folder)}
${clearing}
say() { printf '\\n%s %s\\n' ${word(run.secretWord)} "$1" >&4; }
refuse() { say "refused $1"; rm -rf -- "$folder"; exit 1; }
why=$(mkdir -p -- ${word(parent)} 2>&1 && mkdir -- "$folder" 2>&1) || refuse "\${why##*: }"
why=$(cd "$folder" 2>&1) || refuse "\${why##*: }"
${
    Object.entries(run.files).map(([name, text]) =>
      `${fileOf(`"$folder/${name}"`, text, run.secretWord)}\n[ -s "$folder/${name}" ] || refuse 'no room for its files'`
    ).join("\n")
  }
${trusted}
exec 3<&0 </dev/null
(
  ${exported.join("\n  ")}
  export ${mark}="$folder"
  cd "$folder" || exit 1
  exec "$@"
) 2>&1 3<&- 4>&- &
run=$!
( (export ${mark}="$folder"; exec cat) <&3 >/dev/null 2>&1; clear "$folder" ) >/dev/null 2>&1 4>&- &
input=$!
( (export ${mark}="$folder"; exec sleep ${run.limit}) </dev/null >/dev/null 2>&1 3<&-; clear "$folder" ) >/dev/null 2>&1 3<&- 4>&- &
say ready
wait "$run"
say "ended $?"
wait "$input"
`
}

/** What a line of the script says. */
export type Said =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Refused"; readonly why: string }
  | { readonly _tag: "Ended"; readonly code: number }

/** Reads a line; null for those of acme.sh. */
export const readSaid = (secretWord: string, line: string): Said | null => {
  if (!line.startsWith(`${secretWord} `)) return null
  const [what = "", ...rest] = line.slice(secretWord.length + 1).split(" ")
  switch (what) {
    case "ready":
      return { _tag: "Ready" }
    case "ended":
      return { _tag: "Ended", code: Number(rest[0]) }
    default:
      return { _tag: "Refused", why: rest.join(" ").replace(/[^\u0020-\u007e]/g, "?").slice(0, 200) }
  }
}

/** Minutes: how long a folder may be without a process before it is nobody's, and how long any run may take. */
const [youngest, oldest] = [1, 90]

/**
 * Removes the folders of runs that nobody has any more: no process with their mark, or older than any run may get. `$1`
 * is ACME_HOME, perhaps with `~/`.
 */
export const sweepScript = `
${clearing}
case $1 in '~/'*) parent=$HOME/\${1#??}/${parentName} ;; *) parent=$1/${parentName} ;; esac
find "$parent" -mindepth 1 -maxdepth 1 -type d -name '*${folderEnd}' -mmin +${youngest} 2>/dev/null \\
  | while IFS= read -r folder; do
    [ -z "$(marked "$folder")" ] || [ -n "$(find "$folder" -maxdepth 0 -mmin +${oldest})" ] || continue
    clear "$folder"
  done
:
`
