#!/usr/bin/env bash
# Builds the container image redshift_streaming:VERSION with Docker, or with buildah where there is no Docker daemon.
# BUILDAH_OPTIONS=--pull-never: from images rust:.. and postgres:.. that are there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/prepare.sh" image
cd "$ROOT"
rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
arguments=(--build-arg "PG_MAJOR=$PG_MAJOR" --build-arg "DEBIAN=$DEBIAN" --build-arg "RUST=$rust" -t "redshift_streaming:$VERSION" -t redshift_streaming:latest)
if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  docker build "${arguments[@]}" .
else
  # shellcheck disable=SC2086  # BUILDAH_OPTIONS is a list
  buildah bud --isolation chroot --layers ${BUILDAH_OPTIONS:-} "${arguments[@]}" .
fi
step "built redshift_streaming:$VERSION"
