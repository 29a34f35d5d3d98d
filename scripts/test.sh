#!/usr/bin/env bash
# Fetches the HAProxy lines, and what else the machine lacks, if it is not in the cache yet; then runs the tests.
set -euo pipefail
borrowed=$(node scripts/borrow.ts)
eval "$borrowed"
node scripts/haproxy.ts
exec vitest run "$@"
