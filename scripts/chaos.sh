#!/usr/bin/env bash
# Kills and stops the server, its workers and Apache Kafka and cuts the network, at random while records arrive, then counts: chaos.sh [ROUNDS]. Before
# that, half as many rounds with the Kinesis emulator.
# SEED=n repeats a run's order of events. Cluster and broker are its own, in .run/chaos; a failed run leaves its data there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rounds=${1:-30}
"$ROOT/scripts/prepare.sh" build test
"$ROOT/scripts/build.sh"
python=$("$ROOT/scripts/venv.sh")
(open_run_dir)
export RUN_DIR=${CHAOS_RUN_DIR:-$ROOT/.run/chaos} PGPORT_WANTED=${PGPORT_WANTED:-24800}
# Away from where other brokers look for ports: one of them would take those of a broker that was killed.
export KAFKA_PORT_WANTED=${KAFKA_PORT_WANTED:-29092}
open_run_dir
trap '"$ROOT/scripts/down.sh" >/dev/null 2>&1 || true' EXIT
echo apache >"$RUN/broker"
"$ROOT/scripts/kinesis.sh" start
"$ROOT/scripts/cluster.sh" start
step "chaos with Kinesis, $(((rounds + 1) / 2)) rounds"
"$python" "$ROOT/tests/chaos/kinesis_chaos.py" --rounds "$(((rounds + 1) / 2))" ${SEED:+--seed "$SEED"} --run "$RUN"
"$ROOT/scripts/kinesis.sh" stop
"$ROOT/scripts/apache-kafka.sh" start
step "chaos, $rounds rounds"
"$python" "$ROOT/tests/chaos/chaos.py" --rounds "$rounds" ${SEED:+--seed "$SEED"} --run "$RUN"
