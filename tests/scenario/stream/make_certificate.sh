#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# make_certificate.sh DIR: makes DIR/cert.pem, a self-signed certificate for
# 127.0.0.1 and localhost, and its key DIR/key.pem (EC, P-256).
set -u

dir=${1:?usage: make_certificate.sh DIR}
command -v openssl >/dev/null || {
    echo "no openssl command to make a certificate with" >&2
    exit 1
}
mkdir -p "$dir" || exit 1
out=$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>&1) || {
    echo "openssl could not make a certificate: $out" >&2
    exit 1
}
