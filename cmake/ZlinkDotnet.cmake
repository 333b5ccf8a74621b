# SPDX-License-Identifier: MPL-2.0
# C# programs, built with the .NET SDK where there is one, else with mono.
# ZLINK_CSHARP tells what is used: dotnet, mono, or nothing.
set(ZLINK_CSHARP "")
set(zlink_csharp_missing "there is neither a .NET SDK nor mono (mono-mcs, mono-runtime)")
set(zlink_csharp_dir "${PROJECT_BINARY_DIR}/csharp")

find_program(ZLINK_DOTNET NAMES dotnet)
find_program(ZLINK_MCS NAMES mcs)
find_program(ZLINK_MONO NAMES mono)
if(ZLINK_DOTNET)
  # A runtime without an SDK has the command too.
  execute_process(COMMAND ${ZLINK_DOTNET} --list-sdks
    OUTPUT_VARIABLE sdks ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(REGEX MATCH "([0-9]+)\\.([0-9]+)\\.[0-9.]+[^\n]*$" last_sdk "${sdks}")
  if(last_sdk)
    set(zlink_dotnet_framework "net${CMAKE_MATCH_1}.0")
    if(CMAKE_MATCH_1 LESS 5) # .NET Core, as it was called
      set(zlink_dotnet_framework "netcoreapp${CMAKE_MATCH_1}.${CMAKE_MATCH_2}")
    endif()
    set(ZLINK_CSHARP dotnet)
  endif()
endif()
if(NOT ZLINK_CSHARP AND ZLINK_MCS AND ZLINK_MONO)
  # Signals are in an assembly that Debian packs separately.
  file(WRITE "${zlink_csharp_dir}/probe.cs" "class Probe { Mono.Unix.UnixSignal signal; }\n")
  execute_process(
    COMMAND ${ZLINK_MCS} -nologo -target:library -r:Mono.Posix.dll
      "-out:${zlink_csharp_dir}/probe.dll" "${zlink_csharp_dir}/probe.cs"
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(zlink_csharp_missing "mono has no Mono.Posix (libmono-posix4.0-cil)")
  else()
    set(ZLINK_CSHARP mono)
  endif()
endif()
if(ZLINK_SANITIZE)
  # A runtime that was built without a sanitizer cannot load such a library.
  set(ZLINK_CSHARP "")
  set(zlink_csharp_missing "no C# with ZLINK_SANITIZE")
endif()
if(NOT ZLINK_CSHARP)
  message(STATUS "C# is left out: ${zlink_csharp_missing}")
endif()

# zlink_add_csharp_program(NAME SOURCE...): NAME.dll or NAME.exe among the
# programs. Sets NAME_COMMAND to what runs it.
function(zlink_add_csharp_program name)
  set(sources)
  foreach(source ${ARGN})
    get_filename_component(source "${source}" ABSOLUTE)
    list(APPEND sources "${source}")
  endforeach()
  set(bin "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(NOT bin)
    set(bin "${CMAKE_CURRENT_BINARY_DIR}")
  endif()

  if(ZLINK_CSHARP STREQUAL "dotnet")
    set(output "${bin}/${name}.dll")
    set(command ${ZLINK_DOTNET} "${output}")
    set(project "${zlink_csharp_dir}/${name}/${name}.csproj")
    string(REPLACE ";" "\" />\n    <Compile Include=\"" compile "${sources}")
    configure_file("${PROJECT_SOURCE_DIR}/cmake/program.csproj.in" "${project}" @ONLY)
    set(build ${CMAKE_COMMAND} -E env DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
      ${ZLINK_DOTNET} build --configuration Release --verbosity quiet --output "${bin}" "${project}")
    list(APPEND sources "${project}")
  else()
    set(output "${bin}/${name}.exe")
    set(command ${ZLINK_MONO} "${output}")
    set(build ${ZLINK_MCS} -nologo -optimize+ -debug- -unsafe -warn:4 -warnaserror+
      -r:Mono.Posix.dll "-out:${output}" ${sources})
  endif()
  add_custom_command(OUTPUT "${output}" COMMAND ${build} DEPENDS ${sources}
    COMMENT "Building ${name} with ${ZLINK_CSHARP}" VERBATIM)
  add_custom_target(${name} ALL DEPENDS "${output}")
  set(${name}_COMMAND ${command} PARENT_SCOPE)
endfunction()
