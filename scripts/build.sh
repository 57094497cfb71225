#!/usr/bin/env bash
# Builds the extension and the embedded Kafka, in the one profile that everything uses.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

pg_config=${PG_CONFIG:-$PG_BIN/pg_config}
major=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
features=()
# One unknown: Cargo takes features only for the packages it is asked to build.
[ "$major" = "$PG_MAJOR" ] || features=(--no-default-features --features "redshift_streaming/pg$major")

step "building for PostgreSQL $major (first time: a few minutes, most of it librdkafka and the bindings)"
cd "$ROOT"
PGRX_PG_CONFIG_PATH=$pg_config cargo build --release --locked -p redshift_streaming -p mock-kafka -p hostile-kafka "${features[@]}"
