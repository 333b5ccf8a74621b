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
#   sha512, scrypt, pkcs12 the same, in more ways of PKCS#8
#   negative, character, spelt
#                          server, as crypto/x509 does not parse it: its serial number,
#                          a name, its key
#   rsa                    server with an RSA key
#   weak                   server with an RSA key of 1,024 bits
#   bom                    server, as editors write files
#   lost, lostserver       a client's and a server's that ca has revoked
#   revoked-ca.pem         ca.pem and ca's list; v1-ca.pem: a list of version 1
#   over-ca.pem            ca.pem and a list that is over
#   both-ca.pem            ca.pem, other-ca.pem and ca's list
#   server.ocsp, client.ocsp
#                          what ca says of them as a responder of OCSP
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
certificate negative ca 30 "$here" "$serves"
openssl req -new -key negative.key -out negative.csr -subj /CN=negative
printf '%s\n' "$here" >negative.ext
openssl x509 -req -in negative.csr -CA ca.pem -CAkey ca.key -set_serial -5 -days 30 \
    -extfile negative.ext -out negative.pem

# An @ in a PrintableString: written as another character, and changed.
printf '[req]\nstring_mask = default\ndistinguished_name = n\n[n]\n' >printable.cnf
openssl req -x509 "${new_key[@]}" -config printable.cnf -keyout character.key -outform DER \
    -out printable.der -days 30 -subj /CN=some.name.here -addext "$here"
LC_ALL=C sed 's/some.name.here/some@name.here/g' printable.der >character.der
openssl x509 -inform DER -in character.der -out character.pem

openssl ecparam -name prime256v1 -genkey -param_enc explicit -noout -out spelt.key
openssl req -x509 -key spelt.key -out spelt.pem -days 30 -subj /CN=spelt -addext "$here"

new_key=(-newkey rsa:2048 -nodes)
certificate rsa ca 30 "$here" "$serves"
new_key=(-newkey rsa:1024 -nodes)
certificate weak ca 30 "$here" "$serves"
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

printf '\xEF\xBB\xBF' | cat - server.pem | sed 's/$/\r/' >bom.pem
printf '\xEF\xBB\xBF' | cat - server.key | sed 's/$/\r/' >bom.key

certificate lost ca 30 extendedKeyUsage=clientAuth
certificate lostserver ca 30 "$here" "$serves"
: >index.txt
echo 01 >crlnumber
printf '[ca]\ndefault_ca = a\n[a]\ndatabase = index.txt\ndefault_md = sha256\n' >v1.cnf
{ cat v1.cnf; echo 'crlnumber = crlnumber'; } >ca.cnf
ca=(openssl ca -cert ca.pem -keyfile ca.key)
"${ca[@]}" -config ca.cnf -revoke lost.pem
"${ca[@]}" -config ca.cnf -revoke lostserver.pem
"${ca[@]}" -config ca.cnf -gencrl -crldays 30 -out ca.crl
"${ca[@]}" -config v1.cnf -gencrl -crldays 30 -out v1.crl
"${ca[@]}" -config ca.cnf -gencrl -crl_lastupdate 20200101000000Z \
    -crl_nextupdate 20200102000000Z -out over.crl
cat ca.pem ca.crl >revoked-ca.pem
cat v1.crl ca.pem >v1-ca.pem
cat ca.pem over.crl >over-ca.pem
cat ca.pem other-ca.pem ca.crl >both-ca.pem

# answer NAME FILE ARGUMENT...
answer() {
    local serial
    serial=$(openssl x509 -in "$1.pem" -noout -serial)
    printf 'V\t491231235959Z\t\t%s\tunknown\t/CN=%s\n' "${serial#serial=}" "$1" >ocsp.txt
    openssl ocsp -issuer ca.pem -cert "$1.pem" -reqout ocsp.req
    openssl ocsp -index ocsp.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin ocsp.req -respout "$2" "${@:3}"
}
answer server server.ocsp -ndays 30
answer client client.ocsp -ndays 30

openssl pkcs8 -topk8 -in server.key -v2prf hmacWithSHA512 -out sha512.key -passout pass:secret
openssl pkcs8 -topk8 -in server.key -scrypt -out scrypt.key -passout pass:secret
openssl pkcs8 -topk8 -in server.key -v1 PBE-SHA1-3DES -out pkcs12.key -passout pass:secret
openssl pkcs8 -topk8 -in server.key -out pkcs8.key -passout pass:secret
openssl ec -in server.key -aes256 -out legacy.key -passout pass:secret
rm -- *.csr *.ext
