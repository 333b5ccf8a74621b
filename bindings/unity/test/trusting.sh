#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# trusting.sh COMMAND...: runs it where mono and .NET trust the certificate of TLS_CERT, if there is one.
set -eu

if [ -n "${TLS_CERT-}" ]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir" || true' EXIT
    mkdir -p "$dir/.mono/new-certs/Trust"
    cp "$TLS_CERT" "$dir/.mono/new-certs/Trust/$(openssl x509 -noout -hash -in "$TLS_CERT").0"
    export XDG_CONFIG_HOME=$dir SSL_CERT_FILE=$TLS_CERT
fi
"$@"
