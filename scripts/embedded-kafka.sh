#!/usr/bin/env bash
# The embedded Kafka: embedded-kafka.sh start|stop. A small program on librdkafka's mock cluster, with a topic of sample orders.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir

program=$CARGO_TARGET_DIR/release/mock-kafka
pid_file=$RUN/embedded.pid
log=$RUN/log/embedded-kafka.log

# Not by its command line: until the shell's child has become the program it has another one.
settled() { [ -s "$RUN/embedded.ready" ] || ! kill -0 "$(cat "$pid_file")" 2>/dev/null; }

start() {
  [ -x "$program" ] || die "$program is not there: run make build"
  # A rebuilt program replaces the one that runs.
  if pid_runs "$pid_file" mock-kafka && [ -s "$RUN/embedded.bootstrap" ] && cmp -s "$program" "/proc/$(cat "$pid_file")/exe"; then return; fi
  stop
  step "starting the embedded Kafka"
  setsid "$program" serve --topic orders:4 --orders "${ORDERS:-10000}" \
    --ready-file "$RUN/embedded.ready" --control "$RUN/embedded.control" >"$log" 2>&1 </dev/null &
  echo $! >"$pid_file"
  wait_for 20 settled || true
  [ -s "$RUN/embedded.ready" ] || { cat "$log" >&2; stop; die "the embedded Kafka did not start"; }
  mv "$RUN/embedded.ready" "$RUN/embedded.bootstrap"
}

stop() {
  stop_pid "$pid_file" mock-kafka
  rm -f "$RUN"/embedded.{ready,bootstrap,control}
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) die "usage: embedded-kafka.sh start|stop" ;;
esac
