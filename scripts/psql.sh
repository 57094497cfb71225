#!/usr/bin/env bash
# psql on the private cluster; :KAFKA_BOOTSTRAP and :KINESIS_ENDPOINT are set. Arguments go to psql.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir
[ -r "$RUN/env" ] || die "nothing is up: run make up or make demo first"
load_env
exec psql -v KAFKA_BOOTSTRAP="$KAFKA_BOOTSTRAP" -v KINESIS_ENDPOINT="$KINESIS_ENDPOINT" "$@"
