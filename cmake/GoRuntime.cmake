# SPDX-License-Identifier: MPL-2.0
# cmake -DGO=... -DOUT=DIR -DGODEBUG_NAMES=... [-DGO_VARIABLES=ON]
# [-DCHECK_GATE=ON] -P GoRuntime.cmake:
# makes DIR a GOROOT that is the one of GO but for a few edits in Go's sources, which
# have the runtime leave the host process alone (doc/host.md). Go has no switch for
# any of this; each edit is one place, and a Go that has changed there stops the build.
#
# DIR has links to what is not edited. `go build -overlay` would do without it, but
# refuses to replace files in the module cache, where Go keeps the tool chains that it
# fetches itself.
execute_process(COMMAND "${GO}" env GOROOT
  OUTPUT_VARIABLE goroot OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "'${GO} env GOROOT' failed")
endif()
file(STRINGS "${goroot}/VERSION" go_version LIMIT_COUNT 1)

function(unknown_go what)
  message(FATAL_ERROR "${what}: zlink does not know this Go, ${go_version} "
    "(cmake/GoRuntime.cmake). Build with the one of go.mod: "
    "GOTOOLCHAIN=go<version> in the environment.")
endfunction()

# ------------------------------------------------------------------- the tree

function(link_all_of folder)
  file(GLOB entries RELATIVE "${goroot}/${folder}" "${goroot}/${folder}/*")
  foreach(entry IN LISTS entries)
    file(CREATE_LINK "${goroot}/${folder}/${entry}" "${OUT}/${folder}/${entry}" SYMBOLIC)
  endforeach()
endfunction()

# real_folder(FOLDER): makes it, and those above it, folders of the tree's own, with
# links to what is in them. What is above comes first: below a link this would look
# at, and write to, Go's own folders.
function(real_folder folder)
  get_filename_component(above "${folder}" DIRECTORY)
  if(NOT above STREQUAL "")
    real_folder("${above}")
  endif()
  if(IS_SYMLINK "${OUT}/${folder}")
    file(REMOVE "${OUT}/${folder}")
    file(MAKE_DIRECTORY "${OUT}/${folder}")
    link_all_of("${folder}")
  endif()
endfunction()

# edit(FILE): starts with FILE of Go's sources; change() edits it; save() ends.
macro(edit file)
  set(edited "src/${file}")
  file(READ "${OUT}/${edited}" text)
endmacro()

# edit_c_of(FUNCTION): the same with the file of runtime/cgo that defines the function;
# their names differ between versions of Go.
macro(edit_c_of function)
  set(edited "")
  file(GLOB candidates RELATIVE "${goroot}" "${goroot}/src/runtime/cgo/*.c")
  list(FILTER candidates EXCLUDE REGEX "windows")
  foreach(candidate IN LISTS candidates)
    file(STRINGS "${goroot}/${candidate}" definition REGEX "^${function}\\(")
    if(definition)
      set(edited "${candidate}")
    endif()
  endforeach()
  if(edited STREQUAL "")
    unknown_go("${goroot}/src/runtime/cgo has no function '${function}'")
  endif()
  file(READ "${OUT}/${edited}" text)
endmacro()

function(change pattern by)
  string(REGEX REPLACE "${pattern}" "${by}" changed "${text}")
  if(changed STREQUAL text)
    unknown_go("${goroot}/${edited} has nothing like '${pattern}'")
  endif()
  set(text "${changed}" PARENT_SCOPE)
endfunction()

macro(save)
  get_filename_component(folder "${edited}" DIRECTORY)
  real_folder("${folder}")
  file(REMOVE "${OUT}/${edited}")
  get_filename_component(place "${OUT}/${edited}" REALPATH)
  if(NOT place STREQUAL "${tree}/${edited}")
    message(FATAL_ERROR "${OUT}/${edited} is ${place}, which is not this build's to change")
  endif()
  file(WRITE "${OUT}/${edited}" "${text}")
endmacro()

file(REMOVE_RECURSE "${OUT}")
file(MAKE_DIRECTORY "${OUT}")
get_filename_component(tree "${OUT}" REALPATH)
link_all_of("")

# --------------------------------------------------------------------- GODEBUG

# The library sets these by the linker, and Go passes by names that it has not.
# Some are the runtime's, the others are in a table.
file(READ "${goroot}/src/runtime/runtime1.go" text)
file(READ "${goroot}/src/internal/godebugs/table.go" table)
foreach(name IN LISTS GODEBUG_NAMES)
  if(NOT text MATCHES "{name: \"${name}\"" AND NOT table MATCHES "{Name: \"${name}\", Package")
    unknown_go("${goroot} has no GODEBUG setting '${name}'")
  endif()
endforeach()
file(READ "${goroot}/src/runtime/runtime.go" text)
if(NOT text MATCHES "\nvar godebugDefault string\n")
  unknown_go("${goroot}/src/runtime/runtime.go has no godebugDefault")
endif()

# ------------------------------------------------------------------- the edits

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

# Each size of a block has four lists of spans, and each list takes 6 KB that never go
# back. That was a megabyte, of lists with a few spans. Longer ones grow as before, from 64
# and 16 places instead of 512 and 256.
edit(runtime/mspanset.go)
change("spanSetBlockEntries = 512 " "spanSetBlockEntries = 64 ")
change("spanSetInitSpineCap = 256 " "spanSetInitSpineCap = 16 ")
save()

# A caller's thread ends with the mask it has then, not that of its first call.
edit(runtime/proc.go)
change("\tsigmask := mp.sigmask\n(\tsigblock\\(false\\)\n\tunminit\\(\\)\n)"
  "\tvar sigmask sigset\n\tsigsave(&sigmask)\n\\1")
# On arm64 Go's functions keep their caller's frame pointer below the stack pointer, where
# the system puts the frame of a host's handler that runs on Go's stack. Nothing that the
# library uses follows these pointers, and Go only looks whether they are plausible. The
# test c_handlers shows it there (./build.sh arm64).
change("if gp.syscallbp != 0 && gp.syscallbp < gp.stack.lo \\|\\| gp.stack.hi < gp.syscallbp {"
  "if goarch.IsArm64 == 0 && (gp.syscallbp != 0 && gp.syscallbp < gp.stack.lo || gp.stack.hi < gp.syscallbp) {")
# The scheduler's monitor starts each time it is needed with looks every 20 us,
# which would take a tenth of a processor here: a thread of C that drives a shard
# is outside Go most of the time, and so always looked after, and each look that
# takes its licence away delays what it does next. capi/host.go does what makes
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

# The library's constructor starts nothing, but keeps the entry of the runtime for
# capi/start.c, which runs it on a thread when a call needs Go.
edit_c_of(x_cgo_sys_thread_create)
change("\nvoid\n(x_cgo_sys_thread_create\\()"
  "\nvoid *(*x_cgo_runtime_entry)(void *);\n\nvoid\n\\1")
change("err = _cgo_try_pthread_create\\(&p, &attr, func, [a-zA-Z]+\\);"
  "(void)p;\n\tx_cgo_runtime_entry = func;\n\terr = 0;")
save()

# A process that can have no more threads for the moment is not aborted: Go waits for
# one. What it needs in the ordinary course it has from its start (capi/host.go).
edit_c_of(_cgo_try_pthread_create)
change("for \\(tries = 0; tries < 20; tries\\+\\+\\)" "for (tries = 0;; tries += tries < 20)")
save()

# Every call of C that enters Go comes by here: was it through the gate?
if(CHECK_GATE)
  edit_c_of(_cgo_wait_runtime_init_done)
  change("\n(uintptr_t\n_cgo_wait_runtime_init_done\\(void\\) {\n([^\n]+;\n)+)"
    "\nextern void zl_check_gate(void) __attribute__((weak));\n\n\\1\n\tif (zl_check_gate)\n\t\tzl_check_gate();\n")
  save()
endif()

# With TLS_VERIFY 0 any certificate is taken, also one that Go cannot parse: crypto/tls
# asks the library for what it needs of that (capi/lenient.go).
edit(crypto/tls/handshake_client.go)
change("(func \\(c \\*Conn\\) verifyServerCertificate\\()"
  "// ParseUnverified parses what x509.ParseCertificate does not, for InsecureSkipVerify.\nvar ParseUnverified func([]byte) (*x509.Certificate, error)\n\n\\1")
change("(\t\tcert, err := globalCertCache\\.newCert\\(asn1Data\\)\n)"
  "\\1\t\tif err != nil && c.config.InsecureSkipVerify && ParseUnverified != nil {\n\t\t\tcert, err = ParseUnverified(asn1Data)\n\t\t}\n")
save()
