# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: MPL-2.0
# Servers of others, as stacks that the user names: PEER_CMD_<name>='… {port} {threads}'
# is one, and PEER_TRANSPORT_<name> says what it speaks, if that is not tcp. Sourced by
# run_stream_compare.sh; peer/README.md explains the command.

peer_names=()

# peer NAME COMMAND [TRANSPORT...]: what a stack function sets for such a server.
peer() {
    local name=$1 command=$2
    shift 2
    server=(env "PEER_NAME=$name" "PEER_CMD=$command" "$here/peer/run.sh")
    term_code=143 # any program: the signal may simply kill it
    speaks=(true)
    [[ " ${*:-tcp} " = *" $TRANSPORT "* ]] || skip="$name is a peer for ${*:-tcp}, not for $TRANSPORT"
}

stack_named_peer() {
    local command=PEER_CMD_$1 transports=PEER_TRANSPORT_$1
    # shellcheck disable=SC2086 # a list
    peer "$1" "${!command}" ${!transports-}
}

# In front of the limit, which is the last one.
add_peers() {
    local variable name last=$((${#stack_names[@]} - 1))
    for variable in "${!PEER_CMD_@}"; do
        name=${variable#PEER_CMD_}
        [ -n "${!variable}" ] || continue
        ! declare -F "stack_$name" >/dev/null || die "$variable: there is a stack of that name"
        eval "stack_$name() { stack_named_peer $name; }"
        peer_names+=("$name")
    done
    stack_names=("${stack_names[@]:0:last}" "${peer_names[@]}" "${stack_names[last]}")
}
