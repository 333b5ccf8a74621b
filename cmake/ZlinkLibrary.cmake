# SPDX-License-Identifier: MPL-2.0
# Builds libzlink.so (target zlink_lib) and describes it as target zlink.

find_program(ZLINK_GO NAMES go PATHS /usr/local/go/bin)
if(NOT ZLINK_GO)
  message(FATAL_ERROR "zlink needs the Go tool chain: 'go' is not in the PATH")
endif()

# The version of the ABI, which is not that of the API (doc/versions.md).
set(zlink_abi 5.3.0)
string(REGEX MATCH "^[0-9]+" zlink_abi_major "${zlink_abi}")
set(zlink_soname libzlink.so.${zlink_abi_major})
set(zlink_file libzlink.so.${zlink_abi})
set(zlink_lib_dir "${PROJECT_BINARY_DIR}/lib")
set(zlink_cmake_sources "${PROJECT_SOURCE_DIR}/cmake")
set(zlink_map "${PROJECT_SOURCE_DIR}/capi/libzlink.map")

# The quotes are the Go tool's own: it splits both values at unquoted blanks.
string(JOIN " " zlink_extldflags
  -Wl,-soname,${zlink_soname}
  "'-Wl,--version-script=${zlink_map}'"
  -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now)

# Go rebuilds what changes in a package's own folder or in its flags; a header
# outside the folder is neither, so its digest is made one of the flags.
file(SHA256 "${zlink_header}" zlink_header_digest)
set(zlink_cflags "-O2 -g -fvisibility=default -DZLINK_HEADER_DIGEST=${zlink_header_digest}")
string(APPEND zlink_cflags " -fstack-protector-strong")
# The sanitizer does the checks of the other itself, and not where that is in between.
if(NOT ZLINK_SANITIZE)
  string(APPEND zlink_cflags " -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
endif()

# For -asan the Go tool asks the compiler for its name and takes "gcc" or
# "clang" for an answer, but not "cc".
set(zlink_cc "${CMAKE_C_COMPILER}")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND zlink_cc MATCHES "/cc$")
  string(REGEX REPLACE "cc$" "gcc" zlink_gcc "${zlink_cc}")
  if(EXISTS "${zlink_gcc}")
    set(zlink_cc "${zlink_gcc}")
  endif()
endif()

# Go's scheduler interrupts its threads with SIGURG, which ends a caller's wait
# with EINTR though no handler of the host ran. Without that it asks running
# code at its next function call, which the core's short functions make often.
# And stacks that were grown for the host's signal handlers (capi/loading.c) stay
# large. Without the next two Go keeps descriptors of its control group's files
# open, to follow a processor limit; the core sets GOMAXPROCS itself. The last one takes
# certificates with a negative serial number, as other libraries for TLS do.
set(zlink_godebug
  asyncpreemptoff=1 gcshrinkstackoff=1 containermaxprocs=0 updatemaxprocs=0
  x509negativeserial=1)
list(TRANSFORM zlink_godebug REPLACE "=.*" "" OUTPUT_VARIABLE zlink_godebug_names)
string(JOIN "," zlink_godebug ${zlink_godebug})
set(zlink_ldflags "-X=runtime.godebugDefault=${zlink_godebug}")
if(ZLINK_TEST_THREADS)
  string(APPEND zlink_ldflags
    " -X=github.com/zlink/zlink/core.testThreads=${ZLINK_TEST_THREADS}")
endif()
string(APPEND zlink_ldflags " -extldflags \"${zlink_extldflags}\"")

# Go with a runtime without what a host would notice of it; `go vet ./...` passes by
# a folder with such a name.
set(zlink_goroot "${PROJECT_BINARY_DIR}/go/_goroot")

# The tag is for what only the edited Go has.
set(zlink_go_flags -buildmode=c-shared -trimpath -buildvcs=false)
set(zlink_tags zlink_goroot)
if(ZLINK_NO_HOT)
  string(APPEND zlink_cflags " -DZLINK_NO_HOT")
endif()
if(ZLINK_SANITIZE)
  list(APPEND zlink_go_flags -asan)
  string(APPEND zlink_cflags " -fno-omit-frame-pointer -DZLINK_CHECK_GATE")
endif()

# Assertions (core/check, ZL_CHECK) are for builds that test.
if(ZLINK_SANITIZE OR ZLINK_NO_HOT)
  string(APPEND zlink_tags ",zlink_check")
  string(APPEND zlink_cflags " -DZLINK_CHECK")
endif()

# What a user's compiler warns of is no reason not to build; here it is.
if(ZLINK_WERROR)
  string(APPEND zlink_cflags " -Werror")
endif()

# Counts what runs, in Go and in capi's C files (./build.sh cover). The time makes Go
# compile anew what gcc keeps notes about.
set(zlink_cc_environment "")
if(ZLINK_COVER)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "ZLINK_COVER needs gcc")
  endif()
  set(zlink_cover_dir "${PROJECT_BINARY_DIR}/gcov")
  file(MAKE_DIRECTORY "${zlink_cover_dir}")
  string(TIMESTAMP zlink_cover_time "%s")
  set(zlink_cover_time "${zlink_cover_time}" CACHE INTERNAL "when this build was configured first")
  set(zlink_cc_environment "COVER_CC=${zlink_cc}" "COVER_DIR=${zlink_cover_dir}"
    "COVER_SOURCES=${PROJECT_SOURCE_DIR}/capi")
  set(zlink_cc "${zlink_cmake_sources}/cover-cc.sh")
  list(APPEND zlink_go_flags -cover -covermode=atomic -coverpkg=./capi,./core/...)
  string(APPEND zlink_tags ",zlink_cover")
  string(APPEND zlink_cflags " -DZLINK_COVER=${zlink_cover_time}")
endif()
list(APPEND zlink_go_flags -tags=${zlink_tags})

file(GLOB_RECURSE zlink_sources CONFIGURE_DEPENDS
  core/*.go core/*.s core/*.h capi/*.go capi/*.c capi/*.h include/*.h)
list(FILTER zlink_sources EXCLUDE REGEX "_test\\.go$")
foreach(file go.mod go.sum)
  if(EXISTS "${PROJECT_SOURCE_DIR}/${file}")
    list(APPEND zlink_sources "${PROJECT_SOURCE_DIR}/${file}")
  endif()
endforeach()

# zlink_add_go_program(NAME FOLDER [FLAG...]): a Go program on the core, without cgo.
function(zlink_add_go_program name folder)
  file(GLOB own CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.go"
    "${PROJECT_SOURCE_DIR}/tests/scenario/stream/goserver/*.go")
  list(FILTER own EXCLUDE REGEX "_test\\.go$")
  set(dir "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(NOT dir)
    set(dir "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  set(output "${dir}/${name}")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} -E env CGO_ENABLED=0
      GOOS=linux GOARCH=${zlink_goarch}
      ${ZLINK_GO} build -trimpath -buildvcs=false ${ARGN} -o "${output}" "./${folder}"
    DEPENDS ${own} ${zlink_sources}
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Building ${name} with Go"
    VERBATIM)
  add_custom_target(${name} ALL DEPENDS "${output}")
endfunction()

# Go also writes a header next to its output, which is not ours to publish; and
# a rename leaves the old file to the programs that run with it. What a linker has
# written lies in the page cache in large pieces, which processes get mapped as a
# whole: a copy, as an installed library is one, takes 4 MB less of resident memory.
set(zlink_go_output "${PROJECT_BINARY_DIR}/go/libzlink.so")
add_custom_command(
  OUTPUT "${zlink_lib_dir}/${zlink_file}"
  COMMAND ${CMAKE_COMMAND} "-DGO=${ZLINK_GO}" "-DOUT=${zlink_goroot}"
    "-DGODEBUG_NAMES=${zlink_godebug_names}" "-DGO_VARIABLES=${ZLINK_GO_VARIABLES}"
    "-DCHECK_GATE=${ZLINK_SANITIZE}"
    -P "${zlink_cmake_sources}/GoRuntime.cmake"
  COMMAND ${CMAKE_COMMAND} -E env
    ${zlink_cc_environment} "GOROOT=${zlink_goroot}" GOTOOLCHAIN=local GOOS=linux GOARCH=${zlink_goarch}
    CGO_ENABLED=1 "CC=${zlink_cc}" "CGO_CFLAGS=${zlink_cflags}"
    "${zlink_goroot}/bin/go" build ${zlink_go_flags} -o "${zlink_go_output}"
    "-ldflags=${zlink_ldflags}" ./capi
  COMMAND ${CMAKE_COMMAND} -E make_directory "${zlink_lib_dir}"
  COMMAND ${CMAKE_COMMAND} -E copy "${zlink_go_output}" "${zlink_go_output}.new"
  COMMAND ${CMAKE_COMMAND} -E remove "${zlink_go_output}"
  COMMAND ${CMAKE_COMMAND} -E rename "${zlink_go_output}.new" "${zlink_lib_dir}/${zlink_file}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink ${zlink_file} "${zlink_lib_dir}/${zlink_soname}"
  COMMAND ${CMAKE_COMMAND} -E create_symlink ${zlink_soname} "${zlink_lib_dir}/libzlink.so"
  DEPENDS ${zlink_sources} "${zlink_map}" "${zlink_cmake_sources}/GoRuntime.cmake"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  COMMENT "Building ${zlink_file} with Go"
  VERBATIM)
add_custom_target(zlink_lib ALL DEPENDS "${zlink_lib_dir}/${zlink_file}")

add_library(zlink_file SHARED IMPORTED GLOBAL)
set_target_properties(zlink_file PROPERTIES
  IMPORTED_LOCATION "${zlink_lib_dir}/${zlink_file}"
  IMPORTED_SONAME ${zlink_soname})
add_dependencies(zlink_file zlink_lib)

# An interface on top, because the include folder of an imported target counts
# as a system one, and warnings in zlink.h would go unseen.
add_library(zlink INTERFACE)
add_library(zlink::zlink ALIAS zlink)
add_library(libzlink ALIAS zlink) # what callers of the C++ library say
target_include_directories(zlink INTERFACE
  "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/bindings/cpp/include")
target_link_libraries(zlink INTERFACE zlink_file)
if(ZLINK_SANITIZE)
  target_compile_options(zlink INTERFACE -fsanitize=address -fno-omit-frame-pointer)
  target_link_options(zlink INTERFACE -fsanitize=address)
endif()
