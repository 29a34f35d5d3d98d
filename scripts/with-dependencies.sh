#!/usr/bin/env bash
# Runs a command with the project's own packages and Node at hand.
# On a fresh clone it installs them first (npm ci); afterwards it costs one file comparison.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stamp=node_modules/.installed-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo "haproxy-mcp: installing packages (npm ci), about half a minute…" >&2
  if ! npm ci --no-audit --no-fund --loglevel=error >&2; then
    echo "haproxy-mcp: npm ci failed. Is the npm registry reachable? Try: npm ci" >&2
    exit 1
  fi
  cp package-lock.json "$stamp"
fi
export PATH="$PWD/node_modules/.bin:$PATH"
exec "$@"
