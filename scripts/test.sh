#!/usr/bin/env bash
# Fetches the HAProxy lines if they are not in the cache yet, then runs the tests.
set -euo pipefail
node scripts/haproxy.ts
exec vitest run "$@"
