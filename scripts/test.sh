#!/usr/bin/env bash
# Sets up and runs the test suites: test.sh [SUITE ..], by default all of them.
#
# They have a cluster and brokers of their own in .run/test, stopped at the end (KEEP=1 leaves them up). A suite whose part is
# missing is SKIPPED and says why; where CI is set, or REQUIRE_ALL=1, that is a failure. Output: .run/test/log/SUITE.log,
# shown when the suite fails. The last line counts the tests of all suites.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(lint crates wrappers pg_regress isolation e2e_embedded e2e_apache e2e_kinesis audit chaos docs)

# .run itself first: it may have to be a link.
(open_run_dir)
RUN_DIR=${TEST_RUN_DIR:-$ROOT/.run/test}
open_run_dir
export PGPORT_WANTED=${PGPORT_WANTED:-24400}
# Schedules are tested with the real pg_cron, whose jobs run in processes of the server's own: no password, no pg_hba.
export PG_SETTINGS="shared_preload_libraries = 'redshift_streaming, pg_cron'
cron.use_background_workers = on
redshift.sync_interval = 0"

wanted() { [[ " ${suites[*]} " =~ $1 ]]; }

# --- the suites: each fails, or prints what its count_ function can count -------------------------------------------------

suite_lint() { "$ROOT/scripts/lint.sh"; }

suite_crates() {
  cd "$ROOT"
  # Without the emulator its tests say so and do nothing; the suite is then missing a part, as any other.
  KINESIS_ENDPOINT=$(cat "$RUN/kinesis.endpoint")
  export KINESIS_ENDPOINT
  # With the features of the build, so that nothing is built twice. Those that the tests of these two bring would build the AWS crates anew.
  PGRX_PG_CONFIG_PATH=${PG_CONFIG:-$PG_BIN/pg_config} cargo test --release --locked -p redshift_streaming -p mock-kafka -p hostile-kafka -p stream
  cargo test --release --locked -p super-value -p plan -p settings
}
need_crates() { need_kinesis; }
count_crates() { awk '/^test result:/ { p += $4; f += $6; s += $8 } END { print p + 0, f + 0, s + 0 }' "$1"; }

suite_wrappers() {
  "$ROOT/scripts/assemble-sql.sh" >"$RUN/install.sql"
  "$(python)" "$ROOT/tests/wrappers/check.py" "$RUN/install.sql" "$CARGO_TARGET_DIR/release/libredshift_streaming.so"
  "$(python)" "$ROOT/tests/wrappers/documented.py" "$RUN/install.sql"
}
need_wrappers() { need_extension; }

# Tests find the broker as current_setting('test.kafka'), and \getenv in psql.
regress() { # regress RUNNER DIRECTORY ARGUMENT ..
  local runner=$1 directory=$2 src
  shift 2
  src=$(dirname "$("$PG_BIN/pg_config" --pgxs)")/../../src/test
  rm -rf "${RUN:?}/$directory"
  mkdir -p "$RUN/$directory"
  load_env
  PGOPTIONS="-c test.kafka=$KAFKA_BOOTSTRAP" "$src/$runner" --inputdir="$ROOT/tests/$directory" --outputdir="$RUN/$directory" \
    --bindir="$PREFIX_BIN" --host="$PGHOST" --port="$PGPORT" --user="$PGUSER" --load-extension=redshift_streaming "$@" ||
    { cat "$RUN/$directory/regression.diffs"; return 1; }
}
count_regress() {
  echo "$(grep -cE '\.\.\. ok|^ok [0-9]' "$1") $(grep -cE '\.\.\. FAILED|^not ok [0-9]' "$1") 0"
}
suite_pg_regress() {
  regress regress/pg_regress pg_regress --dbname=pg_regress --schedule="$ROOT/tests/pg_regress/schedule"
}
count_pg_regress() { count_regress "$1"; }
need_pg_regress() { need_extension; need_file tests/pg_regress/schedule; need_cluster; need_embedded; }

suite_isolation() {
  regress isolation/pg_isolation_regress isolation --dbname=isolation --schedule="$ROOT/tests/isolation/schedule"
}
count_isolation() { count_regress "$1"; }
need_isolation() { need_extension; need_file tests/isolation/schedule; need_cluster; need_embedded; }

e2e() {
  load_env
  cd "$ROOT/tests/e2e"
  # shellcheck disable=SC2086  # PYTEST_ARGS is a list
  "$(python)" -m pytest -p no:cacheprovider "$@" ${PYTEST_ARGS:-}
}
# The last line of pytest: "== 1 failed, 20 passed, 2 skipped in 3.21s =="; an error is a failure, an expected failure a skip.
count_e2e() {
  tail -n 1 "$1" | awk '{ for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^(failed|error)/) f += $(i-1);
    if ($i ~ /^(skipped|xfailed)/) s += $(i-1) } print p + 0, f + 0, s + 0 }'
}
suite_e2e_embedded() { e2e --kafka=embedded --ignore-glob='test_kinesis*.py' --ignore=audit; }
suite_e2e_apache() { e2e --kafka=apache --ignore-glob='test_kinesis*.py' --ignore=audit; }
suite_e2e_kinesis() { cd "$ROOT/tests/e2e" && e2e test_kinesis*.py; }
# What hostile users, records, brokers and endpoints can do (make audit).
suite_audit() { e2e --kafka=embedded audit; }
count_audit() { count_e2e "$1"; }
need_audit() { need_extension; need_cluster; need_embedded; need_kinesis; }
count_e2e_embedded() { count_e2e "$1"; }
count_e2e_apache() { count_e2e "$1"; }
count_e2e_kinesis() { count_e2e "$1"; }
need_e2e_embedded() { need_extension; need_cluster; need_embedded; }
need_e2e_apache() { need_extension; need_cluster; need_apache; }
need_e2e_kinesis() { need_extension; need_cluster; need_kinesis; need_producer; }

# On an Apache Kafka and a cluster of its own. Longer by hand: make chaos ROUNDS=300.
suite_chaos() { CHAOS_RUN_DIR=$RUN/chaos "$ROOT/scripts/chaos.sh" 30; }
count_chaos() { sed -n '$s/^rounds=\([0-9]*\) lost=0 twice=0$/\1 0 0/p' "$1" | grep . || echo 0 1 0; }
detail_chaos() { grep '^seed ' "$1"; }
need_chaos() { need_extension; }

suite_docs() { "$(python)" "$ROOT/tests/docs/run.py"; }
count_docs() { tail -n 1 "$1" | awk '{ print $1, $3, $5 }'; }
# Without Apache Kafka its blocks are listed as not run, but not where everything is required.
need_docs() { need_extension; need_cluster; need_embedded; need_kinesis; if [ -n "${CI:-}${REQUIRE_ALL:-}" ]; then need_apache; fi; }

# --- what they need; each prints what is missing ---------------------------------------------------------------------------

need_file() { [ -e "$ROOT/$1" ] || echo "$1 is missing"; }
need_extension() { need_file sql/load-order; }
need_cluster() { [ -z "${problem[cluster]:-}" ] || echo "${problem[cluster]}"; }
need_embedded() { [ -z "${problem[embedded]:-}" ] || echo "${problem[embedded]}"; }
need_kinesis() { [ -z "${problem[kinesis]:-}" ] || echo "${problem[kinesis]}"; }
need_producer() { [ -z "${problem[producer]:-}" ] || echo "${problem[producer]}"; }
need_apache() { [ -z "${problem[apache]:-}" ] || echo "${problem[apache]}"; }
python() { "$ROOT/scripts/venv.sh"; }

declare -A problem
part() { # part NAME COMMAND ..: starts a part, remembers when that fails
  local name=$1 log=$RUN/log/start-$1.log
  shift
  "$@" >"$log" 2>&1 || { problem[$name]="$name did not start ($(tail -n 1 "$log"))"; cat "$log"; return 0; }
  grep -E '^\[' "$log" || true
}

stop_parts() {
  if [ -n "${KEEP:-}" ]; then return; fi
  "$ROOT/scripts/down.sh" >/dev/null 2>&1 || true
}

"$ROOT/scripts/prepare.sh" build test
"$ROOT/scripts/build.sh"
trap stop_parts EXIT
if wanted '(crates|kinesis|audit|docs)'; then part kinesis "$ROOT/scripts/kinesis.sh" start; fi
if wanted e2e_kinesis; then part producer "$ROOT/scripts/kinesis.sh" producer; fi
if wanted '(pg_regress|isolation|e2e|audit|docs)'; then
  part embedded "$ROOT/scripts/embedded-kafka.sh" start
  echo embedded >"$RUN/broker"
  if wanted '(apache|docs)'; then part apache "$ROOT/scripts/apache-kafka.sh" start; fi
  if [ -z "$(need_extension)" ]; then part cluster "$ROOT/scripts/cluster.sh" start; fi
fi
if wanted '(e2e|wrappers|audit|docs)'; then python >/dev/null; fi

# --- run ---------------------------------------------------------------------------------------------------------------------

passed=0 failed=0 skipped=0 summary=()
report() { # report SUITE VERDICT DETAIL
  summary+=("$(printf '%-14s %-8s %s' "$1" "$2" "$3")")
  step "$1: $2 $3"
}

has() { declare -F "$1" >/dev/null; }

for suite in "${suites[@]}"; do
  has "suite_$suite" || die "there is no suite $suite"
  missing=
  if has "need_$suite"; then missing=$("need_$suite" | paste -sd ';'); fi
  if [ -n "$missing" ]; then
    if [ -n "${CI:-}${REQUIRE_ALL:-}" ]; then failed=$((failed + 1)); report "$suite" FAILED "required, but $missing"
    else skipped=$((skipped + 1)); report "$suite" SKIPPED "$missing"
    fi
    continue
  fi
  log=$RUN/log/$suite.log
  began=$(date +%s)
  step "$suite .."
  status=0
  # Not behind ||, where a failed command of the suite would not end it.
  set +e
  (set -e; "suite_$suite") >"$log" 2>&1
  status=$?
  set -e
  if has "count_$suite"; then read -r p f s < <("count_$suite" "$log")
  elif [ "$status" = 0 ]; then p=1 f=0 s=0
  else p=0 f=1 s=0
  fi
  # A runner that died before it counted, or that counted nothing, has failed all the same.
  if [ "$f" = 0 ] && { [ "$status" != 0 ] || [ "$p" = 0 ]; }; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  detail="$p passed, $f failed, $s skipped, $(($(date +%s) - began)) s"
  if has "detail_$suite"; then detail+=", $("detail_$suite" "$log" || true)"; fi
  if [ "$f" = 0 ]; then report "$suite" ok "$detail"
  else cat "$log"; report "$suite" FAILED "$detail ($log)"
  fi
done

echo
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
