#!/usr/bin/env bash
# Installs what is missing, and only that: prepare.sh build|test|apache|bench|image ..
# Prints each package with what it is for. Needs Debian 12 and root or sudo, unless nothing is missing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

missing=()
want() { # want PACKAGE REASON
  dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed && return
  missing+=("$1")
  note "missing: $1 ($2)"
}

java_major() { java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'; }

for_build() {
  want build-essential "C compiler for librdkafka"
  want cmake "builds librdkafka"
  want patch "patches librdkafka"
  want clang "reads Postgres's headers"
  want libclang-dev "reads Postgres's headers"
  want pkg-config "finds the libraries"
  want libssl-dev "TLS to Kafka"
  want zlib1g-dev "gzip records"
  want libzstd-dev "zstd records"
  want libsasl2-dev "headers for librdkafka"
  want libcurl4-openssl-dev "headers for librdkafka"
  want "postgresql-$PG_MAJOR" "the server"
  want "postgresql-server-dev-$PG_MAJOR" "the server's headers and test runners"
}
for_test() {
  want python3 "end-to-end tests"
  want python3-venv "end-to-end tests"
  want shellcheck "checks these scripts"
  want "postgresql-$PG_MAJOR-cron" "refreshes on a schedule"
  want "postgresql-$PG_MAJOR-pgtap" "tests without a broker"
  want "postgresql-$PG_MAJOR-partman" "partitions that are made and dropped by the clock"
  for_apache
  for_kinesis
}
for_kinesis() {
  command -v node >/dev/null || want nodejs "runs the Kinesis emulator"
  command -v npm >/dev/null || want npm "fetches the Kinesis emulator"
}
for_apache() {
  want openssl "certificates for Apache Kafka"
  [ "$(java_major)" -ge 17 ] 2>/dev/null || want openjdk-17-jre-headless "runs Apache Kafka"
  command -v mvn >/dev/null || want maven "fetches Apache Kafka"
}
for_bench() {
  want python3 "runs the benches"
  want python3-venv "runs the benches"
  want kcat "a peer in the benches"
  for_apache
  for_kinesis
}
for_image() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then return; fi
  want buildah "builds the image (there is no Docker daemon)"
}

rust() {
  local needed have
  needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)
  have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || true
  if [ -z "$have" ] || [ "$(printf '%s\n' "$needed" "$have" | sort -V | head -n 1)" != "$needed" ]; then
    die "Rust $needed or later is needed, found ${have:-none} (Debian 12 has 1.63). Install it with rustup (https://rustup.rs) and run this again."
  fi
}

if [ -z "$(command -v dpkg-query)" ]; then
  note "not a Debian system: nothing is installed, the build uses what is here"
  exit 0
fi
for group in "$@"; do "for_$group"; done
if [ ${#missing[@]} -gt 0 ]; then
  [ "$EUID" = 0 ] || command -v sudo >/dev/null || die "as root, run: apt-get install ${missing[*]}"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  quietly() { as_root env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 || { cat "$log" >&2; die "failed: $*"; }; }
  step "installing ${#missing[@]} Debian packages"
  quietly apt-get update -q
  if [[ " ${missing[*]} " == *" postgresql-$PG_MAJOR "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    # Debian would make and start a cluster "main" on port 5432, which nobody asked for.
    quietly apt-get install -q -y --no-install-recommends postgresql-common
    quietly sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  fi
  quietly apt-get install -q -y --no-install-recommends "${missing[@]}"
  rm -f "$log"
fi
case " $* " in *" build "*) rust ;; esac
