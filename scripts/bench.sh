#!/usr/bin/env bash
# Rates of a refresh beside COPY and other consumers, on a cluster and an Apache Kafka of its own; JSON; Kinesis; streams in SQL: bench.sh [ROWS]
# Prints a table and writes .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rows=${1:-1000000}
PREPARE="bench"
# shellcheck source=scripts/bench-parts.sh
. "$ROOT/scripts/bench-parts.sh"
step "measuring with $rows rows"
"$python" "$ROOT/benches/bench.py" --rows "$rows" --run "$RUN" --producer "$CARGO_TARGET_DIR/release/mock-kafka" --out "$out"
export BENCH_OUT=$out BENCH_RUN_DIR=$RUN_DIR
"$ROOT/scripts/bench-json.sh"
"$ROOT/scripts/bench-kinesis.sh"
"$ROOT/scripts/bench-sql.sh" rate "$rows"
step "wrote $out"
