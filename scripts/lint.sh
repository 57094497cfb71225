#!/usr/bin/env bash
# Formatting, warnings, the directions of imports and shell scripts. Clippy runs in the release profile: the C libraries are built once.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
step "rustfmt"
cargo fmt --all --check
step "clippy"
PGRX_PG_CONFIG_PATH=${PG_CONFIG:-$PG_BIN/pg_config} cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "rooms"
"$("$ROOT/scripts/venv.sh")" scripts/rooms.py
step "rustdoc"
PGRX_PG_CONFIG_PATH=${PG_CONFIG:-$PG_BIN/pg_config} RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
  cargo doc -q --release --locked --workspace --no-deps --document-private-items
step "shellcheck"
shellcheck scripts/*.sh .ci/run
