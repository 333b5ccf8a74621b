# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: MPL-2.0
# What run_stream_compare.sh, which sources this, does for a TRANSPORT: asks who
# speaks it, makes a certificate, and tells the client where the server is.

# How the client is told where the server listens.
address_args() {
    if [ "$TRANSPORT" = ipc ]; then echo --path "$1"; else echo --port "$1"; fi
}

# Sets skip to the reason when server or client does not speak TRANSPORT.
ask_for_transport() {
    local message args
    [ "$TRANSPORT" = tcp ] && return
    if [ ${#speaks[@]} -eq 0 ]; then
        skip="the server speaks tcp only"
    elif ! message=$("${speaks[@]}" "$TRANSPORT" 2>&1); then
        skip=$message
    else
        # It refuses a transport, with code 2, before it connects.
        read -ra args <<<"$(address_args 1)"
        message=$("$BIN_DIR/$client" --scenario s0 "${args[@]}" 2>&1 >/dev/null)
        [ $? -ne 2 ] || skip=$message
    fi
}

# Makes the certificate of this run when it is needed for the first time, and
# names it to server and client, unless the user has named one. Sets skip when it
# cannot be made.
ask_for_certificate() {
    [[ $TRANSPORT = tls || $TRANSPORT = wss ]] && [ -z "$TLS_CERT" ] || return 0
    if "$here/make_certificate.sh" "$certificates" 2>"$server_out"; then
        TLS_CERT=$certificates/cert.pem TLS_KEY=$certificates/key.pem TLS_CA=$certificates/cert.pem
    else
        skip=$(<"$server_out")
    fi
}
