# Runs in librdkafka's project (see toolchain.cmake).
set(PATCHED "${CMAKE_BINARY_DIR}/patched")
set(PATCHING "${CMAKE_BINARY_DIR}/patching")
file(GLOB PATCHES "${CMAKE_CURRENT_LIST_DIR}/*.patch")
list(SORT PATCHES)
find_program(PATCH_PROGRAM patch)
if(NOT PATCH_PROGRAM)
  message(FATAL_ERROR "the program patch is needed")
endif()

file(REMOVE_RECURSE "${PATCHING}")
file(COPY "${CMAKE_SOURCE_DIR}/src" DESTINATION "${PATCHING}")
foreach(PATCH IN LISTS PATCHES)
  execute_process(
    COMMAND "${PATCH_PROGRAM}" --strip=1 --fuzz=0 --no-backup-if-mismatch --input "${PATCH}"
    WORKING_DIRECTORY "${PATCHING}"
    RESULT_VARIABLE FAILED)
  if(FAILED)
    message(FATAL_ERROR "${PATCH} does not fit librdkafka ${PROJECT_VERSION}")
  endif()
endforeach()
# What has not changed keeps its time and is not compiled again.
file(GLOB_RECURSE FILES RELATIVE "${PATCHING}" "${PATCHING}/*")
foreach(FILE IN LISTS FILES)
  configure_file("${PATCHING}/${FILE}" "${PATCHED}/${FILE}" COPYONLY)
endforeach()

# A line that cargo reads from its build script's output: another patch, another build.
function(tell_cargo LINE)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "cargo:${LINE}")
endfunction()
tell_cargo("rerun-if-env-changed=CMAKE_TOOLCHAIN_FILE")
tell_cargo("rerun-if-env-changed=LIBRDKAFKA_CFLAGS")
tell_cargo("rerun-if-changed=${CMAKE_CURRENT_LIST_DIR}")

# When the project has been read: each of the library's files from the copy. They find their headers beside them.
function(compile_patched)
  get_target_property(FILES rdkafka SOURCES)
  list(TRANSFORM FILES PREPEND "${PATCHED}/src/")
  set_target_properties(rdkafka PROPERTIES SOURCES "${FILES}")
  # Such as the sanitizers of scripts/fuzz-broker.sh.
  separate_arguments(FLAGS UNIX_COMMAND "$ENV{LIBRDKAFKA_CFLAGS}")
  target_compile_options(rdkafka PRIVATE ${FLAGS})
endfunction()
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL compile_patched)
