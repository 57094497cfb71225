# How librdkafka is compiled with the patches of this directory. `.cargo/config.toml` names this file to CMake, which librdkafka's crate
# (rdkafka-sys) runs on the source that cargo fetched. That source stays as it is: a copy is patched in the build's own directory and
# compiled in its place.
#
# A toolchain file is read more than once (CMake's own probes read it too); all that it does here is to name the next file.
set(CMAKE_PROJECT_RdKafka_INCLUDE "${CMAKE_CURRENT_LIST_DIR}/patch.cmake")
