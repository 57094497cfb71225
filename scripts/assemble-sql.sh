#!/usr/bin/env bash
# Prints the extension's install script: the files of sql/load-order, in that order.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ -r "$ROOT/sql/load-order" ] || die "sql/load-order is missing"
cat <<'HEAD'
\echo Use "CREATE EXTENSION redshift_streaming" to load this file. \quit
HEAD
sed 's/#.*//' "$ROOT/sql/load-order" | while read -r path _; do
  [ -n "$path" ] || continue
  # Paths are relative to the repository or to sql/, whichever has the file.
  file=$ROOT/$path
  [ -r "$file" ] || file=$ROOT/sql/$path
  [ -r "$file" ] || die "sql/load-order names $path, which is not there"
  printf '\n-- %s\n' "$path"
  cat "$file"
done
