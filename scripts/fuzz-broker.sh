#!/usr/bin/env bash
# A client of ours against brokers that lie: fuzz-broker.sh [ROUNDS [SEED]], with librdkafka built with sanitizers (SANITIZE= builds it without).
# Ends with the line "rounds=n crashes=0"; a round that crashed is repeated by target/fuzz-broker/release/hostile-kafka rounds SEED 1.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rounds=${1:-100000} seed=${2:-1}
sanitize=${SANITIZE-address,undefined}
"$ROOT/scripts/prepare.sh" build
cd "$ROOT"
# Away from the other builds: flags of a library make it another one.
export CARGO_TARGET_DIR=${FUZZ_TARGET_DIR:-$CARGO_TARGET_DIR/fuzz-broker}
link=()
if [ -n "$sanitize" ]; then
  export LIBRDKAFKA_CFLAGS="-fsanitize=$sanitize -fno-omit-frame-pointer -g1 -O0"
  # rustc links without the compiler's own libraries, so the sanitizers' are named.
  case $sanitize in *address*) link+=(-Clink-arg=-lasan) ;; esac
  case $sanitize in *undefined*) link+=(-Clink-arg=-lubsan) ;; esac
fi
step "building the client with ${sanitize:-no} sanitizers"
cargo rustc --release --locked -p hostile-kafka --bin hostile-kafka -- "${link[@]}"
# What a client leaves behind when its process ends is not of interest here.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
step "$rounds rounds from seed $seed"
# The addresses' sanitizer has to be the first library of a process.
case $sanitize in *address*) LD_PRELOAD=$(gcc -print-file-name=libasan.so) && export LD_PRELOAD ;; esac
exec nice -n 19 "$CARGO_TARGET_DIR/release/hostile-kafka" fuzz "$rounds" "$seed"
