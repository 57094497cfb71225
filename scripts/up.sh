#!/usr/bin/env bash
# Starts the private cluster and a broker and leaves them running: up.sh [embedded|apache]. Handles: .run/env.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
kafka=${1:-embedded}
case $kafka in
  embedded) "$ROOT/scripts/prepare.sh" build ;;
  apache) "$ROOT/scripts/prepare.sh" build apache ;;
  *) die "KAFKA is embedded or apache, not $kafka" ;;
esac
"$ROOT/scripts/build.sh"
open_run_dir
"$ROOT/scripts/$kafka-kafka.sh" start
echo "$kafka" >"$RUN/broker"
"$ROOT/scripts/cluster.sh" start
load_env
if [ "$kafka" = apache ] && [ ! -e "$RUN/kafka/sampled" ]; then
  step "producing 10,000 sample orders"
  "$ROOT/scripts/apache-kafka.sh" create-topic orders 4
  "$CARGO_TARGET_DIR/release/mock-kafka" produce --bootstrap-servers "$KAFKA_BOOTSTRAP" --topic orders --partitions 4 --records 10000 --shape order
  touch "$RUN/kafka/sampled"
fi
step "up: Postgres on $PGHOST port $PGPORT, $kafka Kafka on $KAFKA_BOOTSTRAP (handles: $RUN_DIR/env)"
