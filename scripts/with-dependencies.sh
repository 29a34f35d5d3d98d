#!/usr/bin/env bash
# Runs a command with the project's own packages and Node at hand.
# On a fresh clone it installs them first (npm ci); afterwards it costs one file comparison.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stamp=node_modules/.installed-lock

say() { printf 'haproxy-mcp: %s\n' "$*" >&2; }
fail() { for line in "$@"; do say "$line"; done; exit 1; }
installed() { cmp -s package-lock.json "$stamp" 2>/dev/null; }
major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

node_is_there() { [ "$(PATH="$PWD/node_modules/.bin:$PATH" major)" -ge 24 ]; }

# Tells that npm is at work: a moving line on a terminal, a plain one now and then elsewhere.
watch_npm() {
  local began=$SECONDS passed last=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.5
    passed=$((SECONDS - began))
    if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then
      printf '\r\033[2Khaproxy-mcp: installing packages (npm ci), %s s' "$passed" >&2
    elif [ $((passed - last)) -ge 10 ]; then
      last=$passed
      say "still installing packages, $passed s"
    fi
  done
  if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then printf '\r\033[2K' >&2; fi
}

install() {
  command -v npm >/dev/null || fail "npm is not in PATH." "Install Node 20 or later with npm (Debian: apt install nodejs npm)."
  [ "$(major)" -ge 20 ] || fail "Node $(node -v 2>/dev/null || echo '(none)') is too old to install the packages." \
    "Install Node 20 or later (https://nodejs.org); the project brings the Node that it runs on itself."
  # One npm ci at a time: two of them would delete each other's files.
  exec 9<package-lock.json
  if command -v flock >/dev/null && ! flock -n 9; then
    say "another process is installing the packages here; waiting for it…"
    flock 9
    if installed; then exec 9<&-; return; fi
  fi
  say "installing packages (npm ci), a minute or so the first time…"
  local log npm status=0
  log=$(mktemp)
  rm -f "$stamp"
  npm ci --include=dev --no-audit --no-fund --loglevel=error --fetch-retry-maxtimeout=10000 >"$log" 2>&1 9<&- &
  npm=$!
  trap 'kill "$npm" 2>/dev/null || true; rm -f "$log"; exit 130' INT TERM HUP
  watch_npm "$npm"
  wait "$npm" || status=$?
  trap - INT TERM HUP
  if [ "$status" -ne 0 ]; then
    grep -iE '^npm err' "$log" | head -n 8 >&2 || tail -n 8 "$log" >&2
    local hint="npm's own words are above; \`npm ci\` by hand says more. Then run this again."
    if grep -qE 'EAI_AGAIN|ENOTFOUND|ECONN|EHOST|ETIMEDOUT|ERR_SOCKET|CERT|E[45][0-9][0-9]' "$log"; then
      hint="Is the npm registry reachable (npm ping), directly or by the proxy that npm is told to use? Then run this again."
    fi
    rm -f "$log"
    fail "the packages could not be installed (npm ci ended with $status)." "$hint"
  fi
  rm -f "$log"
  node_is_there || fail "the package \`node\` did not bring Node 24 (found: $(node -v))." \
    "It needs npm's install scripts (npm config get ignore-scripts must say false). Or install Node 24 yourself."
  cp package-lock.json "$stamp"
  exec 9<&-
}

# Somebody ran npm ci or npm install by hand: npm writes its own record last, so a newer one means all is there.
if ! [ -e "$stamp" ] && [ node_modules/.package-lock.json -nt package-lock.json ] && node_is_there; then
  cp package-lock.json "$stamp"
fi
installed || install
export PATH="$PWD/node_modules/.bin:$PATH"
exec "$@"
