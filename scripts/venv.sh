#!/usr/bin/env bash
# The Python of the end-to-end tests and benches: a virtual environment in the build directory with the pinned packages.
# Prints the path of its interpreter.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
requirements=$ROOT/tests/e2e/requirements.txt
venv=$CARGO_TARGET_DIR/venv
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
  step "installing the Python packages of the tests" >&2
  rm -rf "$venv"
  # Debian's python3-venv serves Debian's interpreter, whatever else is first in PATH.
  python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  "$python" -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements" >&2
  cp "$requirements" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
