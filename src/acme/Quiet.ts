/**
 * Keeps secrets out of argument lists, which every user of a machine can read in /proc.
 *
 * acme.sh itself is not careful there: its DNS hooks give tokens to curl as `-H` (dns_cf: `Authorization: Bearer …`),
 * saving a credential a second time writes it into the arguments of sed, and an HMAC key (external account binding,
 * the signatures of some DNS hooks) goes to openssl as `-macopt hexkey:…`. acme.sh reads its account.conf as shell, and
 * after its own functions are defined (3.0.6 to 3.1.5). The account.conf of a run therefore reads {@link quiet}, which
 * puts quiet functions into the place of those three:
 *
 * - `curl` hands its options to the real curl on standard input. An option that it does not know goes the old way, as
 *   a whole: a hook never fails because of this. It also gives a connection a limit, which acme.sh does not.
 * - `_setopt` appends a line in place of editing one: the last line of a name counts, and a run's files are short-lived.
 * - `_hmac` is made of two plain digests (RFC 2104), with the key in the shell alone. openssl takes an HMAC key as an
 *   argument only.
 *
 * Not here: a hook that hands secrets to other programs.
 */

/** Seconds that curl gets to connect and for one exchange. A DNS provider's API may be slow; none takes longer. */
const connectLimit = 20
const exchangeLimit = 120

/** The options of curl that acme.sh and its hooks use, and the long name of each. */
const withValue: ReadonlyArray<readonly [pattern: string, name: string]> = [
  ["-H|--header", "header"],
  ["-d|--data", "data"],
  ["--data-raw", "data-raw"],
  ["--data-binary", "data-binary"],
  ["--data-urlencode", "data-urlencode"],
  ["-X|--request", "request"],
  ["-A|--user-agent", "user-agent"],
  ["-u|--user", "user"],
  ["-D|--dump-header", "dump-header"],
  ["-o|--output", "output"],
  ["--cacert", "cacert"],
  ["--capath", "capath"],
  ["--connect-timeout", "connect-timeout"],
  ["--trace-ascii", "trace-ascii"]
]
const withoutValue: ReadonlyArray<readonly [pattern: string, name: string]> = [
  ["-s|--silent", "silent"],
  ["-S|--show-error", "show-error"],
  ["-L|--location", "location"],
  ["-g|--globoff", "globoff"],
  ["-I|--head", "head"],
  ["-k|--insecure", "insecure"],
  ["-4|--ipv4", "ipv4"],
  ["-6|--ipv6", "ipv6"]
]

const cases = (
  options: ReadonlyArray<readonly [string, string]>,
  then: (name: string) => string
): string => options.map(([pattern, name]) => `    ${pattern}) ${then(name)} ;;`).join("\n")

/**
 * The shell functions; nothing in the text is from outside. POSIX shell: dash, bash and busybox run it.
 *
 * `_hmac` writes bytes as octal escapes, which printf (part of the shell) turns into bytes in a pipe: a variable cannot
 * hold a NUL. Its loops take a key of hexadecimal digits two at a time.
 */
export const quiet: string = `# Written for one run: secrets stay out of argument lists.
curl() (
  lines='' name='' nl='
'
  for word do
    if [ -z "$name" ]; then
      case "$word" in
${cases(withValue, (name) => `name=${name}; continue`)}
${cases(withoutValue, (name) => `lines="\${lines}${name}$nl"; continue`)}
      -*) command curl "$@"; exit ;;
      *) name=url ;;
      esac
    fi
    case "$word" in
    '') [ "$name" = header ] || [ "$name" = user-agent ] || { command curl "$@"; exit; }
        name=''; continue ;;
    @-*) command curl "$@"; exit ;;
    *[\\\\\\"$nl]*) word=$(printf '%s' "$word" | sed -e 's/[\\\\"]/\\\\&/g' -e '$!s/$/\\\\n/' | tr -d '\\n') ;;
    esac
    lines="$lines$name = \\"$word\\"$nl"
    name=''
  done
  [ -z "$name" ] || { command curl "$@"; exit; }
  case "$lines" in
  *connect-timeout*) ;;
  *) lines="\${lines}connect-timeout = ${connectLimit}$nl" ;;
  esac
  printf '%smax-time = ${exchangeLimit}\\n' "$lines" | command curl -K -
)
_setopt() {
  case "$4" in
  *'
'*) return 1 ;;
  esac
  printf '%s\\n' "$2$3$4$5" >>"$1"
}
_quiet_octal() {
  rest=$1 octal=''
  while [ -n "$rest" ]; do
    byte=$((0x\${rest%"\${rest#??}"} ^ $2)) rest=\${rest#??}
    octal="$octal\\\\$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))"
  done
}
_quiet_digest() { "\${ACME_OPENSSL_BIN:-openssl}" dgst "-$1" -binary; }
_quiet_digits() { od -An -v -tx1 | tr -d ' \\n'; }
_hmac() (
  key=$2 zeros=00000000000000000000000000000000 digits=128
  case "$1" in
  md5 | sha1 | sha224 | sha256) ;;
  sha384 | sha512) digits=256 ;;
  *) return 1 ;;
  esac
  [ -n "$key" ] || return 1
  if [ \${#key} -gt $digits ]; then
    _quiet_octal "$key" 0
    key=$(printf "$octal" | _quiet_digest "$1" | _quiet_digits)
  fi
  while [ \${#key} -lt $digits ]; do key=$key$zeros; done
  while [ \${#key} -gt $digits ]; do key=\${key%0}; done
  _quiet_octal "$key" 0x36; inner=$octal
  _quiet_octal "$key" 0x5c; outer=$octal
  { printf "$outer"; { printf "$inner"; cat; } | _quiet_digest "$1"; } | _quiet_digest "$1" | {
    if [ -n "$3" ]; then _quiet_digits; echo; else cat; fi
  }
)
`
