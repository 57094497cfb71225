#!/usr/bin/env bash
# Auto refresh of 1, 2 and 4 views, topics and workers, on a cluster and an Apache Kafka of its own: bench-workers.sh [ROWS]
# Prints a table and writes its entries into .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/prepare.sh" build test
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
step "measuring"
"$python" "$ROOT/benches/workers.py" --rows "${1:-200000}" --run "$RUN" --producer "$CARGO_TARGET_DIR/release/mock-kafka" --out "$out"
step "wrote $out"
