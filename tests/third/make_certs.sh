#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Makes the certificates of the tests, with the openssl command: make_certs.sh DIR
#
#   ca.pem, other-ca.pem   two authorities that do not know each other
#   server                 for 127.0.0.1 and localhost
#   server2                the same, with another key and serial number
#   elsewhere              for elsewhere.example only
#   expired                server, until yesterday
#   client                 a client's
#   stranger, impostor     a client's and a server's of other-ca
#   pkcs8, legacy          server's key, encrypted in both ways with "secret"
set -eu

cd "$1"
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

# authority NAME
authority() {
    openssl req -x509 "${new_key[@]}" -keyout "$1.key" -out "$1.pem" -days 30 \
        -subj "/CN=test $1" -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate NAME AUTHORITY DAYS EXTENSION...
certificate() {
    local name=$1 authority=$2 days=$3
    shift 3
    printf '%s\n' "$@" >"$name.ext"
    openssl req "${new_key[@]}" -keyout "$name.key" -out "$name.csr" -subj "/CN=$name"
    openssl x509 -req -in "$name.csr" -CA "$authority.pem" -CAkey "$authority.key" \
        -CAcreateserial -days "$days" -extfile "$name.ext" -out "$name.pem"
}

here=subjectAltName=DNS:localhost,IP:127.0.0.1
serves=extendedKeyUsage=serverAuth
authority ca
authority other-ca
certificate server ca 30 "$here" "$serves"
certificate server2 ca 30 "$here" "$serves"
certificate elsewhere ca 30 subjectAltName=DNS:elsewhere.example "$serves"
certificate expired ca -1 "$here" "$serves"
certificate impostor other-ca 30 "$here" "$serves"
certificate client ca 30 extendedKeyUsage=clientAuth
certificate stranger other-ca 30 extendedKeyUsage=clientAuth
openssl pkcs8 -topk8 -in server.key -out pkcs8.key -passout pass:secret
openssl ec -in server.key -aes256 -out legacy.key -passout pass:secret
rm -- *.csr *.ext
