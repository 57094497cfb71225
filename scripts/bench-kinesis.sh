#!/usr/bin/env bash
# Records a second from Kinesis beside the bare SDK, on a cluster and an emulator of its own: bench-kinesis.sh [RECORDS]. Adds to .run/bench.json.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/prepare.sh" build bench
"$ROOT/scripts/build.sh"
cd "$ROOT"
# With the packages of build.sh, so that Cargo builds the libraries as it did there.
PGRX_PG_CONFIG_PATH=$PG_BIN/pg_config cargo build --release --locked -p redshift_streaming -p mock-kafka -p stream --example kinesis_rate
# shellcheck source=scripts/bench-place.sh
. "$ROOT/scripts/bench-place.sh"
trap '"$ROOT/scripts/kinesis.sh" stop; "$ROOT/scripts/cluster.sh" stop' EXIT
"$ROOT/scripts/kinesis.sh" start
"$ROOT/scripts/cluster.sh" start
load_env
step "measuring Kinesis"
"$python" "$ROOT/benches/kinesis_rate.py" --records "${1:-20500}" --endpoint "$(cat "$RUN/kinesis.endpoint")" \
  --peer "$CARGO_TARGET_DIR/release/examples/kinesis_rate" --out "$out"
