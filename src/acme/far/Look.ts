/**
 * One look at acme.sh on another host: a fixed script, one command, lines of `KEY value`. It runs `acme.sh --version`
 * and `crontab -l`, and changes nothing. Texts of files are not part of it (FarMachine.ts reads them by SFTP): a script
 * that prints no credentials cannot print them in the wrong place.
 *
 * Shape of its answer:
 * ```
 * user-home /home/haproxy-mcp
 * home /home/haproxy-mcp/.acme.sh
 * credentials /home/haproxy-mcp/.secrets/cloudflare.ini
 * word /usr/share/acme.sh/acme.sh
 * path /usr/share/acme.sh/acme.sh
 * version 3.1.1
 * profile yes
 * hook /usr/share/acme.sh/dnsapi/dns_cf.sh
 * lacks curl
 * unwritable /home/haproxy-mcp
 * looked
 * ```
 */
import { cronPlaces, isTimer, timerPlaces } from "../Habits.ts"
import type { Habits, Places } from "../Machine.ts"
import { debianHome, neededTools } from "../Program.ts"
import { tidyEnvironment } from "./Script.ts"

/** Seconds for `acme.sh --version`, and for `crontab -l`, where there is a `timeout`. */
const limits = { version: 10, crontab: 3 }

/** Files of one kind that are named. */
const mostFiles = 2_000

/**
 * `$1` home, `$2` credentials, `$3` CA bundle or nothing, `$4` the hook, `$5` whether habits are asked for; the rest is
 * ACME_COMMAND.
 */
export const script = `
${tidyEnvironment}
say() { printf '%s %s\\n' "$1" "$2"; }
limited() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
expanded() { case $1 in '~/'*) p=$HOME/\${1#??} ;; *) p=$1 ;; esac; }
runnable() { [ -f "$1" ] && [ -x "$1" ]; }
inpath() { p=$(command -v -- "$1" 2>/dev/null); case $p in /*) runnable "$p" ;; *) false ;; esac; }
say user-home "$HOME"
expanded "$1"; home=$p; say home "$home"
expanded "$2"; say credentials "$p"
if [ -n "$3" ]; then expanded "$3"; say bundle "$p"; [ -e "$p" ] && say has-bundle yes; fi
dns=$4 habits=$5
shift 5
found=
if [ $# -gt 0 ]; then
  expanded "$1"
  case $p in
  /*) runnable "$p" && found=$p ;;
  */*) ;;
  *) inpath "$p" && found=$p ;;
  esac
  shift
elif runnable "$home/acme.sh"; then found=$home/acme.sh
elif inpath acme.sh; then found=$p
elif runnable ${debianHome}/acme.sh; then found=${debianHome}/acme.sh
fi
if [ -n "$found" ]; then
  set -- "$found" "$@"
  path=$found
  for one do say word "$one"; case $one in */*) [ -f "$one" ] && path=$one ;; esac; done
  path=$(readlink -f "$path")
  say path "$path"
  version=$(limited ${limits.version} "$@" --version 2>/dev/null </dev/null \\
    | sed -n 's/^v\\([0-9]\\{1,3\\}\\.[0-9]\\{1,3\\}\\.[0-9]\\{1,3\\}\\).*/\\1/p' | head -n 1)
  [ -z "$version" ] || say version "$version"
  grep -q -e --cert-profile "$path" 2>/dev/null && say profile yes
  for folder in "\${path%/*}/dnsapi" "$home" "$home/dnsapi"; do
    for one in "$folder/$dns" "$folder/$dns.sh"; do
      [ -f "$one" ] && { say hook "$one"; break 2; }
    done
  done
fi
for one in ${neededTools.join(" ")}; do command -v "$one" >/dev/null 2>&1 || say lacks "$one"; done
written=$home
[ -e "$home" ] || written=\${home%/*}
[ -n "$written" ] || written=/
[ -w "$written" ] || say unwritable "$written"
if [ "$habits" = yes ]; then
  runs='^[[:space:]]*[^#[:space:]].*acme\\.sh.*--cron'
  limited ${limits.crontab} crontab -l 2>/dev/null </dev/null | grep -q "$runs" && say schedule "the SSH user's crontab"
  for one in /etc/crontab; do grep -qs "$runs" "$one" && say schedule "$one"; done
  grep -ls 'acme\\.sh.*--cron' ${cronPlaces.map((place) => `${place}/*`).join(" ")} | head -n ${mostFiles} \\
    | while IFS= read -r one; do say schedule "$one"; done
  for one in ${timerPlaces.map((place) => `${place}/acme*.timer`).join(" ")}; do [ -e "$one" ] && say timer "$one"; done
  grep -lEs "^Le_(ReloadCmd|Real[A-Za-z]*Path|PreHook|PostHook|RenewHook|DeployHook)='[^']+'" "$home"/*.*/*.conf \\
    | head -n ${mostFiles} | while IFS= read -r one; do say saved "$one"; done
fi
say looked yes
`

/** What the script has found. */
export interface Seen {
  readonly places: Places
  readonly command: ReadonlyArray<string>
  /** Empty where there is no program. */
  readonly path: string
  readonly version: string | null
  readonly takesProfile: boolean
  readonly hook: string | null
  readonly missingTools: ReadonlyArray<string>
  readonly hasCaBundle: boolean
  readonly unwritable: string | null
  readonly habits: Habits
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** `…/example.com_ecc/example.com.conf` → `example.com`; null for the file of something else. */
const domainOf = (path: string): string | null => {
  const folder = nameOf(path.slice(0, path.lastIndexOf("/"))).replace(/_ecc$/, "")
  return nameOf(path) === `${folder}.conf` ? folder : null
}

/** Reads the script's answer; null when it did not come to its end. */
export const read = (answer: string): Seen | null => {
  const lines = answer.split("\n").map((line) => [line.split(" ", 1)[0]!, line.slice(line.indexOf(" ") + 1)] as const)
  const all = (key: string) => lines.filter(([one]) => one === key).map(([, value]) => value)
  const one = (key: string): string | null => all(key)[0] ?? null
  const [home, credentialsFile] = [one("home"), one("credentials")]
  if (home === null || credentialsFile === null || one("looked") === null) return null
  return {
    places: { home, credentialsFile, caBundle: one("bundle") },
    command: all("word"),
    path: one("path") ?? "",
    version: one("version"),
    takesProfile: one("profile") !== null,
    hook: one("hook"),
    missingTools: all("lacks"),
    hasCaBundle: one("bundle") === null || one("has-bundle") !== null,
    unwritable: one("unwritable"),
    habits: {
      schedules: [...all("schedule"), ...all("timer").filter((path) => isTimer(nameOf(path)))],
      saved: all("saved").map(domainOf).filter((domain) => domain !== null).sort()
    }
  }
}
