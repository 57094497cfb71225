#!/usr/bin/env bash
# Packs what an installation needs into target/package/: unpack it at / of a machine with the same Postgres and Debian.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pg_config=${PG_CONFIG:-$PG_BIN/pg_config}
"$ROOT/scripts/build.sh"
major=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
name=redshift_streaming-$VERSION-pg$major-$DEBIAN-$(uname -m)
out=$CARGO_TARGET_DIR/package
rm -rf "${out:?}/$name"
mkdir -p "$out/$name"
DESTDIR=$out/$name PG_CONFIG=$pg_config "$ROOT/scripts/install.sh"
strip --strip-debug "$out/$name$("$pg_config" --pkglibdir)/redshift_streaming.so"
install -Dm644 "$ROOT/LICENSE" "$out/$name/usr/share/doc/redshift_streaming/LICENSE"
tar -C "$out/$name" --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" .
rm -rf "${out:?}/$name"
step "packed $out/$name.tar.gz"
tar -tzf "$out/$name.tar.gz" | grep -v '/$'
