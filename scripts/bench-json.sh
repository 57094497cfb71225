#!/usr/bin/env bash
# The JSON engine beside Postgres's own and beside other Rust parsers, on a cluster of its own. Adds to .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/prepare.sh" build
"$ROOT/scripts/build.sh"
cd "$ROOT"
cargo build --release --locked -p super-value --example throughput
# shellcheck source=scripts/bench-place.sh
. "$ROOT/scripts/bench-place.sh"
trap '"$ROOT/scripts/cluster.sh" stop' EXIT
"$ROOT/scripts/cluster.sh" start
load_env
step "measuring json_parse, can_json_parse and paths"
"$python" "$ROOT/benches/json_engine.py" --program "$CARGO_TARGET_DIR/release/examples/throughput" --out "$out"
