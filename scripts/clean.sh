#!/usr/bin/env bash
# Removes what was built and run. Stop it first (make clean does).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
open_run_dir
rm -rf "$RUN" "$RUN_DIR" "$CARGO_TARGET_DIR"
