#!/usr/bin/env bash
# Stops the private cluster and every broker that up.sh started.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir
"$ROOT/scripts/cluster.sh" stop
"$ROOT/scripts/embedded-kafka.sh" stop
"$ROOT/scripts/apache-kafka.sh" stop
"$ROOT/scripts/kinesis.sh" stop
rm -f "$RUN/env"
step "down"
