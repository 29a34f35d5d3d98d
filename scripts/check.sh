#!/usr/bin/env bash
# Types, lint, format. One command, all three always run; any failure fails the whole.
set -uo pipefail
status=0
echo "types…";  tsc -p tsconfig.json || status=1
echo "effect…"; effect-tsgo diagnostics --project tsconfig.json --format text --severity error || status=1
echo "lint…";   oxlint --deny-warnings src test bench scripts examples || status=1
echo "format…"; dprint check || status=1
exit $status
