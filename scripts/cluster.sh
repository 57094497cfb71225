#!/usr/bin/env bash
# The private Postgres cluster in .run: cluster.sh start|stop|restart. Start repairs what a broken run left.
#
# It has an installation of its own: copies of Debian's programs and links to its libraries, plus the extension. Postgres finds
# its files relative to its program, so this needs no root, several checkouts do not meet, and the system's stays as it was.
# PG_SETTINGS has more lines of settings (the tests' own).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir

make_prefix() {
  local system version
  system=$PG_BIN/pg_config
  [ -x "$system" ] || die "$system is not there: run make demo, or install postgresql-$PG_MAJOR"
  # An extension that was installed into the system since belongs into the copy too.
  version="$("$system" --version), libraries $(find -L "$("$system" --pkglibdir)" -maxdepth 1 -name '*.so' ! -name 'redshift_streaming*' | sort | cksum | cut -d' ' -f1)"
  [ "$(cat "$PREFIX/version" 2>/dev/null)" = "$version" ] && return
  step "setting up a private copy of ${version%,*}"
  rm -rf "$PREFIX" "$PREFIX.new"
  local share=$PREFIX.new/share/postgresql/$PG_MAJOR lib=$PREFIX.new/lib/postgresql/$PG_MAJOR
  mkdir -p "$share" "$lib/lib"
  cp -rL "$PG_BIN" "$lib/bin"
  cp -rs "$("$system" --sharedir)/." "$share"
  cp -rs "$("$system" --pkglibdir)/." "$lib/lib"
  # Links to an extension of ours that somebody installed into the system would be written through.
  rm -f "$share"/extension/redshift_streaming* "$lib/lib/redshift_streaming.so"
  echo "$version" >"$PREFIX.new/version"
  mv "$PREFIX.new" "$PREFIX"
}

make_data() {
  if [ "$(cat "$DATA/PG_VERSION" 2>/dev/null)" = "$PG_MAJOR" ]; then return; fi
  step "creating the database cluster"
  # A server may still run on what is left of a cluster.
  local pid
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) || true
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$DATA" ]; then kill -QUIT "$pid" && sleep 1; fi
  rm -rf "$DATA" "$DATA.new"
  [ -s "$RUN/password" ] || (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$RUN/password")
  install -d -m 700 "$DATA.new"
  local password=$DATA.password
  install -m 600 "$RUN/password" "$password"
  [ "$EUID" != 0 ] || chown postgres "$DATA.new" "$password"
  # Whoever may enter the socket's directory is trusted (its owner and root), a connection over loopback gives the password.
  as_server "$PREFIX_BIN/initdb" -D "$DATA.new" -U postgres -E UTF8 --locale=C.UTF-8 --pwfile="$password" \
    --auth-local=trust --auth-host=scram-sha-256 >"$RUN/log/initdb.log" 2>&1 || { cat "$RUN/log/initdb.log" >&2; die "initdb failed"; }
  rm -f "$password"
  # The rename comes last: a half-made cluster is never taken for a whole one.
  mv "$DATA.new" "$DATA"
}

running() { as_server "$PREFIX_BIN/pg_ctl" -D "$DATA" status >/dev/null 2>&1; }

# A pid file from before a crash or a reboot, its number now worn by another process, would keep Postgres from starting.
drop_stale_pid() {
  local pid
  pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) || return 0
  [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$DATA" ] || rm -f "$DATA/postmaster.pid"
}

configure() {
  local port=$1 new=$RUN/configuration.new
  {
    echo "# Written by scripts/cluster.sh; the settings themselves: pgrx-config/postgresql.conf"
    cat "$ROOT/pgrx-config/postgresql.conf"
    echo "port = $port"
    echo "listen_addresses = '127.0.0.1'"
    echo "unix_socket_directories = '$SOCKETS'"
    echo "${PG_SETTINGS:-}"
  } >"$new"
  [ "$EUID" != 0 ] || chown postgres "$new"
  mv "$new" "$DATA/redshift_streaming.conf"
  grep -q '^include_if_exists' "$DATA/postgresql.conf" ||
    echo "include_if_exists = 'redshift_streaming.conf'" >>"$DATA/postgresql.conf"
}

# Whom the server is for AWS. Without an identity of the caller's, one that the emulator takes; never the machine's own.
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-emulator} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-emulator}
export AWS_EC2_METADATA_DISABLED=${AWS_EC2_METADATA_DISABLED:-true}

# What a running server must have been started with to be left alone.
fingerprint() {
  { cat "$PREFIX/version" "$PREFIX/lib/postgresql/$PG_MAJOR/lib/redshift_streaming.so" "$ROOT/pgrx-config/postgresql.conf" && echo "${PG_SETTINGS:-}"; } | cksum
}

start() {
  make_prefix
  PG_CONFIG=$PREFIX_BIN/pg_config "$ROOT/scripts/install.sh"
  local had_data=no
  [ ! -s "$DATA/PG_VERSION" ] || had_data=yes
  if [ $had_data = yes ] && running; then
    if [ "$(cat "$RUN/fingerprint" 2>/dev/null)" = "$(fingerprint)" ] && accepts; then
      write_env
      return
    fi
    step "restarting the cluster: the library or its settings changed"
    stop
  fi
  make_data
  drop_stale_pid
  install -d -m 700 "$SOCKETS"
  [ "$EUID" != 0 ] || chown postgres "$SOCKETS"
  rm -f "$SOCKETS"/.s.PGSQL.*
  local log=$RUN/log/postgres.log port began
  [ "$EUID" != 0 ] || { touch "$log" && chown postgres "$log"; }
  port=$(kept_port "$RUN/port" "${PGPORT_WANTED:-24329}")
  while true; do
    echo "$port" >"$RUN/port"
    configure "$port"
    step "starting Postgres on port $port"
    began=$(wc -l <"$log" 2>/dev/null || echo 0)
    if as_server "$PREFIX_BIN/pg_ctl" -D "$DATA" -l "$log" -w -t 60 start >"$RUN/log/pg_ctl.log" 2>&1; then break; fi
    # Another that started in the same moment may have been faster.
    if ! tail -n "+$((began + 1))" "$log" | grep -q "could not create any TCP/IP sockets" || [ "$port" -ge $((${PGPORT_WANTED:-24329} + 20)) ]; then
      tail -n 20 "$RUN/log/pg_ctl.log" "$log" >&2
      die "Postgres did not start"
    fi
    port=$(free_port $((port + 1)))
  done
  fingerprint >"$RUN/fingerprint"
  write_env
  query "SELECT 1 FROM pg_database WHERE datname = 'demo'" | grep -q 1 || query "CREATE DATABASE demo"
}

query() { as_server "$PREFIX_BIN/psql" -X -q -A -t -h "$SOCKETS" -p "$(cat "$RUN/port")" -U postgres -d postgres -c "$1"; }
accepts() { query "SELECT 1" >/dev/null 2>&1; }

stop() {
  [ -s "$DATA/PG_VERSION" ] && [ -x "$PREFIX_BIN/pg_ctl" ] || return 0
  if running; then
    as_server "$PREFIX_BIN/pg_ctl" -D "$DATA" -m fast -w -t 30 stop >"$RUN/log/pg_ctl.log" 2>&1 ||
      as_server "$PREFIX_BIN/pg_ctl" -D "$DATA" -m immediate -w -t 30 stop >>"$RUN/log/pg_ctl.log" 2>&1 ||
      { cat "$RUN/log/pg_ctl.log" >&2; die "Postgres did not stop"; }
  fi
  drop_stale_pid
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  restart) stop && start ;;
  *) die "usage: cluster.sh start|stop|restart" ;;
esac
