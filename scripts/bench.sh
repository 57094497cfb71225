#!/usr/bin/env bash
# Rates of a refresh beside COPY and other consumers, on a cluster and an Apache Kafka of its own: bench.sh [ROWS]
# Prints a table and writes .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rows=${1:-1000000}
"$ROOT/scripts/prepare.sh" build bench
"$ROOT/scripts/build.sh"
python=$("$ROOT/scripts/venv.sh")
open_run_dir
out=$RUN/bench.json
export RUN_DIR=$ROOT/.run/bench PGPORT_WANTED=${PGPORT_WANTED:-54700}
open_run_dir
trap '"$ROOT/scripts/down.sh" >/dev/null 2>&1 || true' EXIT
"$ROOT/scripts/apache-kafka.sh" start
echo apache >"$RUN/broker"
"$ROOT/scripts/cluster.sh" start
load_env
step "measuring with $rows rows"
"$python" "$ROOT/benches/bench.py" --rows "$rows" --run "$RUN" --producer "$CARGO_TARGET_DIR/release/mock-kafka" --out "$out"
BENCH_OUT=$out BENCH_RUN_DIR=$RUN_DIR "$ROOT/scripts/bench-json.sh"
step "wrote $out"
