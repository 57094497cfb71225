# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is used by the scripts that source this
# Sourced by the benches, after lib.sh and the build: where they run, and where their figures go. Sets `python`, `out` and RUN.
# A bench that another one calls is told both: BENCH_RUN_DIR, BENCH_OUT.
python=$("$ROOT/scripts/venv.sh")
open_run_dir
out=${BENCH_OUT:-$RUN/bench.json}
export RUN_DIR=${BENCH_RUN_DIR:-$ROOT/.run/bench} PGPORT_WANTED=${PGPORT_WANTED:-54700}
open_run_dir
