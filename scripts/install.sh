#!/usr/bin/env bash
# Installs the built extension into the Postgres of PG_CONFIG (by default Debian's),
# or below DESTDIR as a packager wants it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

pg_config=${PG_CONFIG:-$PG_BIN/pg_config}
destdir=${DESTDIR:-}
library=$CARGO_TARGET_DIR/release/libredshift_streaming.so
[ -r "$library" ] || die "$library is not there: run make build"
libdir=$destdir$("$pg_config" --pkglibdir)
sharedir=$destdir$("$pg_config" --sharedir)/extension

# A file is renamed into place: to copy over a library that a running server has mapped would crash its backends.
put() { # put SOURCE DESTINATION
  if cmp -s "$1" "$2"; then return; fi
  if [ -w "$(dirname "$2")" ] || [ "$EUID" = 0 ]; then put_as "$1" "$2"; else as_root bash -c "$(declare -f put_as); put_as \"\$@\"" put "$1" "$2"; fi
}
put_as() { install -m "$([[ $2 == *.so ]] && echo 755 || echo 644)" "$1" "$2.new" && mv -f "$2.new" "$2"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$ROOT/scripts/assemble-sql.sh" >"$work/install.sql"
sed "s/@CARGO_VERSION@/$VERSION/" "$ROOT/redshift_streaming.control" >"$work/control"

for directory in "$libdir" "$sharedir"; do
  [ -d "$directory" ] || install -d "$directory" 2>/dev/null || as_root install -d "$directory"
done
put "$library" "$libdir/redshift_streaming.so"
put "$work/control" "$sharedir/redshift_streaming.control"
put "$work/install.sql" "$sharedir/redshift_streaming--$VERSION.sql"
for upgrade in "$ROOT"/sql/redshift_streaming--*--*.sql; do
  [ ! -e "$upgrade" ] || put "$upgrade" "$sharedir/$(basename "$upgrade")"
done
