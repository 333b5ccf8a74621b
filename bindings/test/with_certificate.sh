#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# with_certificate.sh COMMAND...: runs it with TLS_CERT and TLS_KEY, the files of a certificate for
# 127.0.0.1; without these where no certificate can be made.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir" || true' EXIT
if "$here/../../tests/scenario/stream/make_certificate.sh" "$dir"; then
    export TLS_CERT=$dir/cert.pem TLS_KEY=$dir/key.pem
fi
"$@"
