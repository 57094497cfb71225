#!/usr/bin/env bash
# From produce to visible, beside a tuned Python consumer, on a cluster and an Apache Kafka of its own; from commit to visible, of a stream in SQL.
# Prints a table and writes its entries into .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
PREPARE="test"
# shellcheck source=scripts/bench-parts.sh
. "$ROOT/scripts/bench-parts.sh"
step "measuring"
"$python" "$ROOT/benches/latency.py" --run "$RUN" --out "$out"
export BENCH_OUT=$out BENCH_RUN_DIR=$RUN_DIR
"$ROOT/scripts/bench-sql.sh" latency
step "wrote $out"
