# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: MPL-2.0
# The stacks of the comparison, sourced by run_stream_compare.sh. A stack NAME
# is an entry in stack_names and a function stack_NAME (dashes become
# underscores), which sets
#   server   array: the command that serves; it listens on a port of its own
#            choice, prints "LISTENING port", and ends on SIGTERM. It takes
#            IO_THREADS, BACKLOG, HWM, SNDBUF and RCVBUF from the environment,
#            and TRANSPORT, TLS_CERT and TLS_KEY when it speaks more than tcp.
#            Over ipc it prints "LISTENING name", @name for an abstract one.
#   client   the program in BIN_DIR that loads it; preset to stream_client
#   skip     why it cannot run here; preset to empty
#   term_code  with what code the server ends on SIGTERM; preset to 0
#   speaks   array: a command or function that is asked about a TRANSPORT other
#            than tcp: it succeeds, or prints why not; preset to empty: only tcp
# TRANSPORT is set when the function is called.
# The order is that of the runs; the last one is the limit that others are
# compared with.
stack_names=(zlink zlink-fast zlink-batch zlink-go zlink-zlink zlink-cpp zlink-py zlink-node zlink-java
    asio cppserver dotnet net-zlink gonet epoll)

stack_zlink() {
    server=("$BIN_DIR/zlink_echo")
    speaks=("$BIN_DIR/zlink_has")
}

stack_zlink_fast() {
    server=("$BIN_DIR/zlink_echo" --mode fast)
    speaks=("$BIN_DIR/zlink_has")
}

stack_zlink_batch() {
    server=("$BIN_DIR/zlink_echo" --mode batch)
    speaks=("$BIN_DIR/zlink_has")
}

stack_zlink_go() {
    server=("$BIN_DIR/zlink_go_echo")
    speaks=("$BIN_DIR/zlink_has") # it is built from the same core
}

stack_zlink_zlink() {
    stack_zlink
    client=zlink_client
}

stack_zlink_cpp() {
    server=("$BIN_DIR/zlink_cpp_echo")
    speaks=("$BIN_DIR/zlink_has")
    [ -x "${server[0]}" ] || skip="no zlink_cpp_echo was built: it needs g++"
}

stack_zlink_py() {
    local here
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    server=(env "ZLINK_LIBRARY=$BIN_DIR/../lib/libzlink.so.5" "PYTHONPATH=$here/../../../bindings/python"
        PYTHONDONTWRITEBYTECODE=1 python3 "$here/zlink-py/zlink_py_echo.py")
    speaks=("$BIN_DIR/zlink_has")
    command -v python3 >/dev/null || skip="there is no python3"
}

stack_zlink_node() {
    local here
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    server=(env "NODE_PATH=$BIN_DIR/../node" node "$here/zlink-node/zlink_node_echo.js")
    speaks=("$BIN_DIR/zlink_has")
    [ -e "$BIN_DIR/../node/zlink-stream/zlink.node" ] || skip="no addon was built: it needs node and node_api.h"
}

stack_zlink_java() {
    server=(java -cp "$BIN_DIR/../java/zlink-stream.jar:$BIN_DIR/../java/test" ZlinkJavaEcho)
    speaks=("$BIN_DIR/zlink_has")
    term_code=143 # as every JVM
    [ -e "$BIN_DIR/../java/zlink-stream.jar" ] || skip="no jar was built: it needs a JDK 17 or later"
}

# tls_only WHAT TRANSPORT: what else than tcp it speaks.
tls_only() {
    [ "$2" != tls ] || return 0
    echo "$1 has no $2"
    return 1
}

stack_asio() {
    server=("$BIN_DIR/asio_echo")
    speaks=(tls_only Asio)
    [ -x "${server[0]}" ] || skip="no asio_echo was built: it needs g++ and libasio-dev"
    [ "$TRANSPORT" = tls ] || return 0
    server=("$BIN_DIR/asio_tls_echo")
    [ -x "${server[0]}" ] || skip="no asio_tls_echo was built: it needs g++, libasio-dev and libssl-dev"
}

stack_cppserver() {
    peer cppserver "${CPPSERVER_CMD:-}"
    [ -n "${CPPSERVER_CMD:-}" ] || skip="CPPSERVER_CMD='... {port} {threads}' names no server"
}

# csharp_server NAME: a C# program, as it was built.
csharp_server() {
    local runtime=mono program=$BIN_DIR/$1.exe
    [ ! -f "$BIN_DIR/$1.dll" ] || runtime=dotnet program=$BIN_DIR/$1.dll
    server=("$runtime" "$program")
    if [ ! -f "$program" ]; then
        skip="no $1 was built: it needs a .NET SDK, or mono-mcs and libmono-posix4.0-cil"
    elif ! command -v "$runtime" >/dev/null; then
        skip="no $runtime to run $1 with"
    fi
}

stack_dotnet() {
    csharp_server dotnet_echo
}

stack_net_zlink() {
    csharp_server net_zlink_echo
    server=(env "LD_LIBRARY_PATH=$BIN_DIR/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "${server[@]}")
}

stack_gonet() {
    server=("$BIN_DIR/gonet_echo")
    speaks=(tls_only "package net")
}

# The loop is THREADSxBYTES, the bytes those of a read buffer (limit.sh).
stack_epoll() {
    local loop=${limits[$label]:-${limits[s2]:-${IO_THREADS}x65536}}
    server=("$BIN_DIR/epoll_echo" --transport "$TRANSPORT" --io-threads "${loop%x*}" --buffer "${loop#*x}")
    speaks=(bare_loop_over)
}

# The client says why it does not speak tls; the limit is built with the same OpenSSL.
bare_loop_over() {
    [ "$1" = ipc ] || return 0
    echo "there is no bare loop over ipc"
    return 1
}
