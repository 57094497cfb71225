#!/usr/bin/env bash
# Apache Kafka, one node in KRaft mode: apache-kafka.sh fetch|start|resume|stop|create-topic NAME PARTITIONS. Fetched by Maven.
# Resume starts it again after a kill, never with empty storage.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir

home=$RUN/kafka
pid_file=$RUN/apache.pid
log=$RUN/log/apache-kafka.log

# The jars are fetched once, whatever becomes of .run.
jars=$CARGO_TARGET_DIR/kafka-$KAFKA_VERSION

fetch() {
  if [ "$(cat "$jars/complete" 2>/dev/null)" = "$(cksum <"$ROOT/tests/kafka/pom.xml")" ]; then return; fi
  step "fetching Apache Kafka $KAFKA_VERSION from Maven Central"
  rm -rf "$jars"
  mkdir -p "$jars"
  mvn -q -B -f "$ROOT/tests/kafka/pom.xml" -Dkafka.version="$KAFKA_VERSION" -Dkafka.scala="$KAFKA_SCALA" \
    "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" -DoutputDirectory="$jars" -DincludeScope=runtime >"$RUN/log/maven.log" 2>&1 ||
    { tail -n 20 "$RUN/log/maven.log" >&2; die "Maven could not fetch Apache Kafka"; }
  cksum <"$ROOT/tests/kafka/pom.xml" >"$jars/complete"
}

java_class() { java -cp "$jars/*" "$@"; }

# The settings of this checkout, with the ports that the storage was formatted for.
configure() {
  local edits name port
  edits="s|@DATA@|$home/data|g; s|@SECURITY@|$home/security|g; s|@PASSWORD@|$(cat "$home/security/password")|g"
  while IFS='=' read -r name port; do edits+="; s|@$name@|$port|g"; done <"$home/ports"
  sed -e "$edits" "$ROOT/tests/kafka/server.properties" >"$home/server.properties"
}

format() {
  if [ -e "$home/formatted" ] && grep -qs PROXY_PORT "$home/ports"; then configure; return 0; fi
  rm -rf "$home"
  mkdir -p "$home/data"
  local port=$((${KAFKA_PORT_WANTED:-19092} - 1)) name password
  # PROXY_PORT is what the PROXIED listener advertises (tests/e2e/proxy.py), the ports behind it are those of the secure listeners.
  for name in PORT CONTROLLER_PORT PROXIED_PORT PROXY_PORT TLS_PORT MTLS_PORT SASL_PORT CLEAR_PORT IAM_PORT EXPIRED_PORT; do
    port=$(free_port $((port + 1)))
    echo "$name=$port" >>"$home/ports"
  done
  "$ROOT/scripts/kafka-security.sh" certificates "$home/security" >"$log" 2>&1 || { cat "$log" >&2; die "no certificates for Kafka"; }
  password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
  echo "$password" >"$home/security/password"
  touch "$home/security/access-keys"
  configure
  echo "127.0.0.1:$(sed -n 's/^PORT=//p' "$home/ports")" >"$home/bootstrap"
  # With "=": one id in 64 begins with a minus.
  java_class kafka.tools.StorageTool format --cluster-id="$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22)" \
    -c "$home/server.properties" --add-scram "SCRAM-SHA-256=[name=reader,password=$password]" \
    --add-scram "SCRAM-SHA-512=[name=reader,password=$password]" >"$log" 2>&1 || { cat "$log" >&2; die "Kafka could not format its storage"; }
  touch "$home/formatted"
}

answers() { timeout 30 java -cp "$jars/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "$1" --list; }
listens() { port_answers "${1##*:}"; }

launch() {
  "$ROOT/scripts/kafka-security.sh" handler "$jars" "$jars/classes" >"$log" 2>&1 || { cat "$log" >&2; die "the validator of tokens does not compile"; }
  setsid java -Xms512m -Xmx1g -XX:+UseG1GC -Dkafka.logs.dir="$RUN/log" -cp "$jars/*:$jars/classes" kafka.Kafka "$home/server.properties" >"$log" 2>&1 </dev/null &
  echo $! >"$pid_file"
  wait_for 120 started
}
started() { pid_listens "$pid_file" "$(sed -n 's/^PORT=//p' "$home/ports")" && answers "$(cat "$home/bootstrap")"; }

start() {
  if pid_runs "$pid_file" kafka.Kafka && [ -s "$RUN/apache.bootstrap" ] && listens "$(cat "$RUN/apache.bootstrap")"; then return; fi
  stop
  fetch
  step "starting Apache Kafka $KAFKA_VERSION"
  # Ports that others took since, or storage that a crash spoiled: once more from nothing (it holds only test data).
  if [ -e "$home/bootstrap" ] && listens "$(cat "$home/bootstrap")"; then rm -rf "$home"; fi
  format
  if ! launch; then
    stop
    step "Apache Kafka did not come up; once more with empty storage"
    rm -rf "$home"
    format
    launch || { tail -n 40 "$log" >&2; stop; die "Apache Kafka did not start"; }
  fi
  cp "$home/bootstrap" "$RUN/apache.bootstrap"
}

resume() { launch || { tail -n 40 "$log" >&2; die "Apache Kafka did not start again"; }; }

stop() {
  stop_pid "$pid_file" kafka.Kafka 15
  rm -f "$RUN/apache.bootstrap"
}

create_topic() {
  java_class org.apache.kafka.tools.TopicCommand --bootstrap-server "$(cat "$RUN/apache.bootstrap")" \
    --create --if-not-exists --topic "$1" --partitions "$2" >"$RUN/log/create-topic.log" 2>&1 || { cat "$RUN/log/create-topic.log" >&2; die "no topic $1"; }
}

case ${1:-} in
  fetch) fetch ;;
  start) start ;;
  resume) resume ;;
  stop) stop ;;
  create-topic) create_topic "$2" "$3" ;;
  *) die "usage: apache-kafka.sh fetch|start|resume|stop|create-topic NAME PARTITIONS" ;;
esac
