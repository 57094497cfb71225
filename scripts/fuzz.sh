#!/usr/bin/env bash
# Random and broken input: fuzz.sh [INPUTS [SEED]]. Nine tenths of it documents, json_parse against the server's jsonb_in, verdict and stored bytes; the rest
# for what takes binary input: the receive functions of super and varbyte, broken images of SUPER, compressed payloads (tests/fuzz/receive.py).
# Ends with the line "inputs=n crashes=0 mismatches=0". What differed is in .run/fuzz/mismatches, the seed in the log.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
inputs=${1:-1000000} seed=${2:-$(date +%s)} batch=100000
"$ROOT/scripts/prepare.sh" build
"$ROOT/scripts/build.sh"
cd "$ROOT"
cargo build --release --locked -p super-value --example documents
export RUN_DIR=${FUZZ_RUN_DIR:-$ROOT/.run/fuzz} PGPORT_WANTED=${PGPORT_WANTED:-24700}
open_run_dir
trap '"$ROOT/scripts/cluster.sh" stop' EXIT
"$ROOT/scripts/cluster.sh" start
load_env
export PGDATABASE=fuzz
run() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
PGDATABASE=postgres run -c "DROP DATABASE IF EXISTS fuzz" -c "CREATE DATABASE fuzz" 2>/dev/null
run -c "CREATE EXTENSION redshift_streaming" -f "$ROOT/tests/fuzz/compare.sql" -f "$ROOT/tests/fuzz/images.sql"

binary=$((inputs / 10)) documents=$((inputs - inputs / 10))
step "comparing $documents documents and $binary binary inputs, seed $seed"
done=0 crashes=0 part=0
while [ "$done" -lt "$documents" ]; do
  count=$((documents - done < batch ? documents - done : batch))
  # A lost connection is a crash: the server restarts by itself, the table is emptied by that.
  if ! { "$CARGO_TARGET_DIR/release/examples/documents" "$count" "$((seed * 1000000 + part))" |
    run -c "TRUNCATE batch" -c "COPY batch FROM STDIN" \
      -c "INSERT INTO mismatch SELECT document, what FROM batch, LATERAL (SELECT wrong(document)) AS w (what) WHERE what IS NOT NULL"; } \
    2>>"$RUN/log/fuzz.log"; then
    crashes=$((crashes + 1))
    wait_for 60 run -c "SELECT 1"
  fi
  done=$((done + count)) part=$((part + 1))
  if [ $((part % 10)) = 0 ]; then step "$done documents"; fi
done
run -c "SELECT what, encode(document, 'escape') FROM mismatch LIMIT 1000" >"$RUN/mismatches"
mismatches=$(run -c "SELECT count(*) FROM mismatch")
step "$binary binary inputs"
read -r more binary_crashes binary_mismatches < <("$("$ROOT/scripts/venv.sh")" "$ROOT/tests/fuzz/receive.py" "$binary" "$seed" 2>>"$RUN/mismatches")
done=$((done + more)) crashes=$((crashes + binary_crashes)) mismatches=$((mismatches + binary_mismatches))
head -n 5 "$RUN/mismatches"
echo "inputs=$done crashes=$crashes mismatches=$mismatches"
[ "$crashes" = 0 ] && [ "$mismatches" = 0 ]
