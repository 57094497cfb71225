#!/usr/bin/env bash
# Starts the private cluster, a broker and the Kinesis emulator and leaves them running: up.sh [embedded|apache] [KINESIS]. Handles: .run/env.
# KINESIS: yes installs what the emulator needs, no leaves it out; without a word it is started where Node is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
kafka=${1:-embedded}
kinesis=${2:-}
if [ -z "$kinesis" ]; then
  if command -v node >/dev/null && command -v npm >/dev/null; then kinesis=yes
  else kinesis=no; note "no Kinesis emulator, since there is no Node: make up KINESIS=yes installs it"
  fi
fi
case $kafka in
  embedded) "$ROOT/scripts/prepare.sh" build ;;
  apache) "$ROOT/scripts/prepare.sh" build apache ;;
  *) die "KAFKA is embedded or apache, not $kafka" ;;
esac
[ "$kinesis" = no ] || "$ROOT/scripts/prepare.sh" kinesis
"$ROOT/scripts/build.sh"
open_run_dir
"$ROOT/scripts/$kafka-kafka.sh" start
echo "$kafka" >"$RUN/broker"
if [ "$kinesis" != no ]; then
  "$ROOT/scripts/kinesis.sh" start
  "$ROOT/scripts/kinesis.sh" samples
fi
"$ROOT/scripts/cluster.sh" start
load_env
if [ "$kafka" = apache ] && [ ! -e "$RUN/kafka/sampled" ]; then
  step "producing 10,000 sample orders"
  "$ROOT/scripts/apache-kafka.sh" create-topic orders 4
  "$CARGO_TARGET_DIR/release/mock-kafka" produce --bootstrap-servers "$KAFKA_BOOTSTRAP" --topic orders --partitions 4 --records 10000 --shape order
  touch "$RUN/kafka/sampled"
fi
step "up: Postgres on $PGHOST port $PGPORT, $kafka Kafka on $KAFKA_BOOTSTRAP${KINESIS_ENDPOINT:+, Kinesis on $KINESIS_ENDPOINT} (handles: $RUN_DIR/env)"
