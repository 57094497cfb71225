#!/usr/bin/env bash
# The Kinesis emulator (npm's kinesis-local): kinesis.sh fetch|start|stop|samples|producer. Its streams live in memory.
# Producer fetches Amazon's producer library; $RUN/kinesis.producer is the directory of its jars and of our program.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir

pid_file=$RUN/kinesis.pid
log=$RUN/log/kinesis.log
# Fetched once, whatever becomes of .run; the lock file says which bytes it must be.
package=$CARGO_TARGET_DIR/kinesis-emulator
program=$package/node_modules/kinesis-local/main.js

fetch() {
  if cmp -s "$ROOT/tests/kinesis/package-lock.json" "$package/installed.json"; then return; fi
  step "fetching the Kinesis emulator from npm"
  rm -rf "$package"
  mkdir -p "$package"
  cp "$ROOT/tests/kinesis/package.json" "$ROOT/tests/kinesis/package-lock.json" "$package"
  (cd "$package" && npm ci --no-audit --no-fund --silent) >"$RUN/log/npm.log" 2>&1 || { tail -n 20 "$RUN/log/npm.log" >&2; die "npm could not fetch the Kinesis emulator"; }
  cp "$package/package-lock.json" "$package/installed.json"
}

endpoint() { echo "http://127.0.0.1:$(cat "$RUN/kinesis.port")"; }

answers() { pid_listens "$pid_file" "$(cat "$RUN/kinesis.port")"; }

# It answers, it has ended, or another was faster: two that start in the same moment choose the same port.
settled() { answers || ! kill -0 "$(cat "$pid_file")" 2>/dev/null || ! port_is_free "$(cat "$RUN/kinesis.port")"; }

start() {
  if [ -s "$RUN/kinesis.endpoint" ] && answers; then return; fi
  stop
  fetch
  step "starting the Kinesis emulator"
  local port
  port=$(kept_port "$RUN/kinesis.port" 4567)
  for _ in 1 2 3 4 5; do
    echo "$port" >"$RUN/kinesis.port"
    free_port $((port + 1)) >"$RUN/kinesis.tls-port"
    launch
    wait_for 30 settled || true
    if answers; then
      endpoint >"$RUN/kinesis.endpoint"
      return
    fi
    stop
    port=$(free_port $((port + 1)))
  done
  tail -n 20 "$log" >&2
  die "the Kinesis emulator did not start"
}

launch() {
  # It reads its own configuration from where it stands.
  (
    cd "$(dirname "$program")"
    KINESIS_MOCK_PLAIN_PORT=$(cat "$RUN/kinesis.port") KINESIS_MOCK_TLS_PORT=$(cat "$RUN/kinesis.tls-port") \
      SHARD_LIMIT=10000 LOG_LEVEL=WARN AWS_REGION=us-east-1 exec setsid node "$program" >"$log" 2>&1 </dev/null
  ) &
  echo $! >"$pid_file"
}

stop() {
  stop_pid "$pid_file" "$program" 5
  rm -f "$RUN/kinesis.endpoint"
}

producer() {
  local jars=$CARGO_TARGET_DIR/kinesis-producer pom=$ROOT/tests/kinesis/pom.xml source=$ROOT/tests/kinesis/AggregatingProducer.java
  if [ "$(cat "$jars/complete" 2>/dev/null)" != "$(cat "$pom" "$source" | cksum)" ]; then
    step "fetching Amazon's producer library from Maven Central"
    rm -rf "$jars"
    mkdir -p "$jars/tmp"
    mvn -q -B -f "$pom" "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
      -DoutputDirectory="$jars" -DincludeScope=runtime >"$RUN/log/maven-kinesis.log" 2>&1 ||
      { tail -n 20 "$RUN/log/maven-kinesis.log" >&2; die "Maven could not fetch Amazon's producer library"; }
    # Eclipse's compiler is among the jars, so a JRE is enough.
    java -cp "$jars/*" org.eclipse.jdt.internal.compiler.batch.Main -17 -d "$jars" -cp "$(echo "$jars"/*.jar | tr ' ' ':')" "$source"
    cat "$pom" "$source" | cksum >"$jars/complete"
  fi
  echo "$jars" >"$RUN/kinesis.producer"
}

case ${1:-} in
  fetch) fetch ;;
  start) start ;;
  stop) stop ;;
  samples) node "$ROOT/tests/kinesis/samples.mjs" "$(cat "$RUN/kinesis.endpoint")" ;;
  producer) producer ;;
  *) die "usage: kinesis.sh fetch|start|stop|samples|producer" ;;
esac
