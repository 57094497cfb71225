# shellcheck shell=bash
# shellcheck disable=SC2034  # what is set here is used by the scripts that source this
# Sourced by every script: where things are, how progress is shown, and who runs the server.
set -euo pipefail
# What root writes here, user postgres reads.
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=pgrx-config/versions
. "$ROOT/pgrx-config/versions"
export STARTED_AT=${STARTED_AT:-$(date +%s)}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
# rustup installs here; a shell that was open before does not know it yet.
PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin

PG_BIN=/usr/lib/postgresql/$PG_MAJOR/bin
VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)

# A line of progress with the seconds since the first script started.
step() { printf '[%4ds] %s\n' $(($(date +%s) - STARTED_AT)) "$*"; }
note() { printf '        %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Installing needs root; everything else does not.
as_root() {
  if [ "$EUID" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root and there is no sudo: $*"
  fi
}

# Postgres refuses to run as root: root runs the cluster as user postgres, anyone else as himself.
# RUST_BACKTRACE would put backtraces into error details, PG* would redirect initdb and pg_ctl.
as_server() {
  local clean=(env -u RUST_BACKTRACE -u PGDATA -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGPASSWORD -u PGOPTIONS LC_ALL=C.UTF-8)
  if [ "$EUID" = 0 ]; then
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "${clean[@]}" HOME=/var/lib/postgresql "$@")
  else
    "${clean[@]}" "$@"
  fi
}

# Everything that runs keeps its files in .run/ (RUN_DIR overrides: the tests have a place of their own).
# Below a directory that user postgres may not enter, such as /root, .run is a link to a place he may.
open_run_dir() {
  RUN_DIR=${RUN_DIR:-$ROOT/.run}
  if [ ! -d "$RUN_DIR" ]; then
    rm -f "$RUN_DIR"
    mkdir -p "$(dirname "$RUN_DIR")"
    if [ "$EUID" = 0 ] && ! (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$(realpath "$(dirname "$RUN_DIR")")"); then
      local elsewhere
      elsewhere=/var/lib/redshift_streaming-$(printf %s "$RUN_DIR" | cksum | cut -d' ' -f1)
      mkdir -p "$elsewhere"
      ln -s "$elsewhere" "$RUN_DIR"
    else
      mkdir "$RUN_DIR"
    fi
  fi
  RUN=$(realpath "$RUN_DIR")
  export RUN_DIR
  mkdir -p "$RUN/log"
  PREFIX=$RUN/postgres
  PREFIX_BIN=$PREFIX/lib/postgresql/$PG_MAJOR/bin
  DATA=$RUN/data
  # A socket's path may have 107 bytes.
  SOCKETS=$RUN/socket
  [ ${#SOCKETS} -le 85 ] || SOCKETS=/tmp/redshift_streaming-$(printf %s "$RUN" | cksum | cut -d' ' -f1)
}

# Does somebody listen there?
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# No socket has it, not even as the near end of a connection. Ends that were closed (FIN_WAIT 04 and 05, TIME_WAIT 06, LAST_ACK 09, CLOSING 0B) keep no server out.
port_is_free() {
  local hex
  hex=$(printf ':%04X' "$1")
  ! grep -qsE "^ *[0-9]+: [0-9A-F]+$hex [0-9A-F:]+ 0[12378AC]" /proc/net/tcp /proc/net/tcp6
}

# Does the process of pid file $1 itself listen on port $2? (Somebody else may have taken the port in the same moment.)
pid_listens() {
  local pid inode
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  while read -r inode; do
    if find "/proc/$pid/fd" -lname "socket:\[$inode\]" 2>/dev/null | grep -q .; then return 0; fi
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf ':%04X' "$2")" '$4 == "0A" && $2 ~ port "$" { print $10 }')
  return 1
}

# The first free port from $1 on. Begin below 32768: from there on the kernel gives ports to whoever connects to something.
free_port() {
  local port=$1
  until port_is_free "$port"; do port=$((port + 1)); done
  echo "$port"
}

# The port that file $1 has from the last time, if it is free and one that would be looked for from $2 on; else the first free one.
kept_port() {
  local had
  had=$(cat "$1" 2>/dev/null) || true
  if [[ $had =~ ^[0-9]+$ ]] && [ "$had" -ge "$2" ] && [ "$had" -lt $(($2 + 100)) ] && port_is_free "$had"; then echo "$had"; else free_port "$2"; fi
}

# True while the process of a pid file runs and its command line has $2 in it (a pid may have been given to another).
pid_runs() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qsaF -- "$2" "/proc/$pid/cmdline"
}

# Ends the process of a pid file: politely, and after $3 seconds by force.
stop_pid() {
  local file=$1 word=$2 patience=${3:-10} pid
  if pid_runs "$file" "$word"; then
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq $((patience * 10))); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$file"
}

# Waits until a command succeeds, at most $1 seconds.
wait_for() {
  local deadline=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# Rewrites .run/env, the shell lines that people and scripts source to find the cluster, the broker and the emulator.
write_env() {
  local kafka
  kafka=$(cat "$RUN/broker" 2>/dev/null || true)
  install -m 600 /dev/null "$RUN/env.new"
  {
    echo "PGHOST=$SOCKETS"
    echo "PGPORT=$(cat "$RUN/port" 2>/dev/null || true)"
    echo "PGUSER=postgres"
    echo "PGPASSWORD=$(cat "$RUN/password" 2>/dev/null || true)"
    echo "PGDATABASE=demo"
    echo "KAFKA_BOOTSTRAP=$([ -z "$kafka" ] || cat "$RUN/$kafka.bootstrap" 2>/dev/null || true)"
    echo "KINESIS_ENDPOINT=$(cat "$RUN/kinesis.endpoint" 2>/dev/null || true)"
  } >"$RUN/env.new"
  mv "$RUN/env.new" "$RUN/env"
}

load_env() {
  set -a
  # shellcheck source=/dev/null
  . "$RUN/env"
  set +a
  PATH=$PREFIX_BIN:$PATH
}
