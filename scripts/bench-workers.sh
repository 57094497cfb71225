#!/usr/bin/env bash
# Auto refresh of 1, 2 and 4 views, topics and workers, on a cluster and an Apache Kafka of its own: bench-workers.sh [ROWS]
# Prints a table and writes its entries into .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
PREPARE="test"
# shellcheck source=scripts/bench-parts.sh
. "$ROOT/scripts/bench-parts.sh"
step "measuring"
"$python" "$ROOT/benches/workers.py" --rows "${1:-200000}" --run "$RUN" --producer "$CARGO_TARGET_DIR/release/mock-kafka" --out "$out"
step "wrote $out"
