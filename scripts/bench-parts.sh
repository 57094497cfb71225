# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is used by the scripts that source this
# Sourced by the benches, after lib.sh: what they measure on. PREPARE says which packages they need.
# Sets `python`, `out` (where the entries go) and RUN; cluster and broker are the benches' own, and stopped at the end.
"$ROOT/scripts/prepare.sh" build "$PREPARE"
"$ROOT/scripts/build.sh"
# shellcheck source=scripts/bench-place.sh
. "$ROOT/scripts/bench-place.sh"
trap '"$ROOT/scripts/down.sh" >/dev/null 2>&1 || true' EXIT
"$ROOT/scripts/apache-kafka.sh" start
echo apache >"$RUN/broker"
"$ROOT/scripts/cluster.sh" start
load_env
