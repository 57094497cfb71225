#!/usr/bin/env bash
# Streams that the database keeps itself, on a cluster of its own: bench-sql.sh rate [ROWS] | latency. Adds to .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
what=${1:-rate}
arguments=()
case $what in
  rate) arguments=(--rows "${2:-1000000}") ;;
  latency) ;;
  *) die "usage: bench-sql.sh rate [ROWS] | latency" ;;
esac
"$ROOT/scripts/prepare.sh" build bench
"$ROOT/scripts/build.sh"
# shellcheck source=scripts/bench-place.sh
. "$ROOT/scripts/bench-place.sh"
trap '"$ROOT/scripts/cluster.sh" stop' EXIT
"$ROOT/scripts/cluster.sh" start
load_env
step "measuring streams of the database's own: $what"
"$python" "$ROOT/benches/sql_$what.py" --run "$RUN" --out "$out" "${arguments[@]}"
