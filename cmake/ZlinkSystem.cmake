# SPDX-License-Identifier: MPL-2.0
# The systems that the library is built for: Linux with glibc, on amd64 and arm64. Says
# at once what would fail later, and sets zlink_goarch, Go's name of the processor.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "zlink is for Linux, not ${CMAKE_SYSTEM_NAME}")
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(zlink_goarch amd64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(zlink_goarch arm64)
  message(STATUS "zlink for arm64: it is built as for amd64, where the tests run")
else()
  message(FATAL_ERROR "zlink is for amd64 and arm64 (CMAKE_SYSTEM_PROCESSOR x86_64 or "
    "aarch64), not ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# Go's shared libraries have a thread-local variable of the kind that musl's dlopen
# refuses; a program that is linked with one crashes there.
set(zlink_libc "${PROJECT_BINARY_DIR}/CMakeFiles/zlink_libc.c")
file(WRITE "${zlink_libc}" "#include <features.h>\n#ifdef __GLIBC__\nint glibc;\n#endif\n")
separate_arguments(zlink_c_flags UNIX_COMMAND "${CMAKE_C_FLAGS}")
execute_process(
  COMMAND ${CMAKE_C_COMPILER} ${zlink_c_flags} -E "${zlink_libc}"
  OUTPUT_VARIABLE zlink_libc_text ERROR_VARIABLE zlink_libc_error)
if(NOT zlink_libc_text MATCHES "int glibc")
  message(FATAL_ERROR "zlink needs glibc, and ${CMAKE_C_COMPILER} compiles for another C "
    "library, such as musl (doc/host.md says why).\n${zlink_libc_error}")
endif()
