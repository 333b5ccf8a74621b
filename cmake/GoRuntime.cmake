# SPDX-License-Identifier: MPL-2.0
# cmake -DGO=... -DOUT=DIR [-DGO_VARIABLES=ON] -P GoRuntime.cmake: writes DIR/overlay.json for
# `go build -overlay`, with copies of a few files of Go's runtime that leave the
# host process alone (doc/host.md). Go has no switch for any of this; each edit
# is one place, and a Go that has changed there stops the build.
execute_process(COMMAND "${GO}" env GOROOT
  OUTPUT_VARIABLE goroot OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "'${GO} env GOROOT' failed")
endif()

set(replacements "")

# edit(FILE): starts with FILE of Go's sources; change() edits it; save() ends.
macro(edit file)
  set(edited "${file}")
  file(READ "${goroot}/src/${file}" text)
endmacro()

function(change pattern by)
  string(REGEX REPLACE "${pattern}" "${by}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${goroot}/src/${edited} has nothing like '${pattern}': "
      "zlink does not know this Go (cmake/GoRuntime.cmake). Build with the one of go.mod: "
      "GOTOOLCHAIN=go<version> in the environment.")
  endif()
  set(text "${changed}" PARENT_SCOPE)
endfunction()

macro(save)
  string(REPLACE "/" "_" name "${edited}")
  file(WRITE "${OUT}/${name}" "${text}")
  string(APPEND replacements ",\n\"${goroot}/src/${edited}\": \"${OUT}/${name}\"")
endmacro()

# Go takes no signal: it installs no handler, changes no flag of the host's
# handlers, and unblocks nothing in any thread.
edit(runtime/sigtab_linux_generic.go)
change("{_Sig[A-Za-z_ +]*, \"" "{0, \"")
save()

# Hence it needs no signal stack, and callers' threads keep theirs.
edit(runtime/signal_unix.go)
change("func minitSignals\\(\\) {\n\tminitSignalStack\\(\\)\n" "func minitSignals() {\n")
change("(func unminitSignals\\(\\) {\n)" "\\1\treturn\n")
# A thread that ends unblocks three signals for the C library; the third would
# be musl's, and is the host's SIGRTMIN here.
change("\t\tsigdelset\\(&res, 34\\)\n" "")
save()

# A caller's thread ends with the mask it has then, not that of its first call.
edit(runtime/proc.go)
change("\tsigmask := mp.sigmask\n(\tsigblock\\(false\\)\n\tunminit\\(\\)\n)"
  "\tvar sigmask sigset\n\tsigsave(&sigmask)\n\\1")
# The scheduler's monitor starts each time it is needed with looks every 20 us,
# which would take a tenth of a processor here: a thread of C that drives a shard
# is outside Go most of the time, and so always looked after, and each look that
# takes its licence away delays what it does next. capi/callers.go does what makes
# frequent looks needless; 10 ms is what the monitor comes to by itself, and with
# 25 ms it disturbs fewer round trips (doc/performance-tried.md).
change("delay = 20\n" "delay = 25000\n")
change("delay > 10\\*1000 {[^\n]*\n\t\t\tdelay = 10 \\* 1000" "delay > 25000 {\n\t\t\tdelay = 25000")
# GOGC, GODEBUG and the like are meant for programs in Go.
if(NOT GO_VARIABLES)
  change("(func getGodebugEarly\\(\\) \\(string, bool\\) {\n)" "\\1\treturn \"\", true\n")
endif()
save()

if(NOT GO_VARIABLES)
  edit(runtime/env_posix.go)
  change("(func gogetenv\\(key string\\) string {\n)" "\\1\treturn \"\"\n")
  save()
endif()

# The limit of open files is the host's to set.
edit(syscall/rlimit.go)
change("\nfunc init\\(\\) {" "\nfunc raiseNoLimit() {")
save()

# Standard streams that do not block are not polled by Go, which would need two
# descriptors for that.
edit(os/file_unix.go)
change("kindNewFile, unix.HasNonblockFlag\\(flags\\)" "kindNewFile, false")
save()

string(SUBSTRING "${replacements}" 1 -1 replacements)
file(WRITE "${OUT}/overlay.json" "{\"Replace\": {${replacements}\n}}\n")
