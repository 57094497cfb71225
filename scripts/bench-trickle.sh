#!/usr/bin/env bash
# Auto refresh at 1,000 records a second for an hour: bench-trickle.sh [MINUTES], on a cluster and an Apache Kafka of its own.
# Prints memory and sizes every minute, and what an hour costs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
PREPARE="test"
# shellcheck source=scripts/bench-parts.sh
. "$ROOT/scripts/bench-parts.sh"
step "measuring for ${1:-60} minutes"
"$python" "$ROOT/benches/trickle.py" --run "$RUN" --minutes "${1:-60}"
