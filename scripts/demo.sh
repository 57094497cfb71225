#!/usr/bin/env bash
# The demo: from nothing to a topic in a table. Leaves cluster and broker running (make psql, make down).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/up.sh" "${1:-embedded}" no
open_run_dir
load_env
# Every run tells the story from its beginning, in a database of its own.
PGDATABASE=postgres psql -X -q -c 'DROP DATABASE IF EXISTS demo WITH (FORCE)' -c 'CREATE DATABASE demo'
step "the session (scripts/demo.sql)"
echo
# From standard input: messages then carry no file name and line.
psql -X -a -v ON_ERROR_STOP=1 -v KAFKA_BOOTSTRAP="$KAFKA_BOOTSTRAP" -P pager=off <"$ROOT/scripts/demo.sql"
echo
step "done. make psql: look around; make down: stop everything"
