# PostgreSQL with redshift_streaming preloaded. `make image` builds it with the versions that the project pins.
ARG DEBIAN=bookworm
ARG PG_MAJOR=15
ARG RUST=1.95

FROM rust:${RUST}-${DEBIAN} AS build
WORKDIR /src
# The packages first: they change less often than the source.
COPY Cargo.toml ./
COPY pgrx-config pgrx-config
COPY scripts/lib.sh scripts/prepare.sh scripts/
RUN scripts/prepare.sh build
COPY . .
RUN scripts/package.sh

FROM postgres:${PG_MAJOR}-${DEBIAN}
RUN --mount=type=bind,from=build,source=/src/target/package,target=/package tar -xzf /package/*.tar.gz -C /
# On the command line it holds for a data directory of any age.
CMD ["postgres", "-c", "shared_preload_libraries=redshift_streaming"]
