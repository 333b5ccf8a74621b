#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# tls_limit.sh [SECONDS]: what the ciphers of TLS can do on this machine, by
# `openssl speed`: how many records of a size one thread encrypts in a second, and
# how many messages of 1 KiB that lets all processors echo, as each is encrypted
# twice and decrypted twice by then. A message alone is a record of 1 KiB; those
# that are written together share records of up to 16 KiB. Nothing else that an
# echo costs is in these figures.
set -u

seconds=${1:-3}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || {
    echo "usage: tls_limit.sh [SECONDS]: how long each of the four measurements takes" >&2
    exit 2
}
command -v openssl >/dev/null || {
    echo "no openssl command" >&2
    exit 1
}
processors=$(nproc)

# bytes_per_second CIPHER SIZE. -mr prints "+F:number:name:figure".
bytes_per_second() {
    openssl speed -mr -elapsed -seconds "$seconds" -bytes "$2" -aead -evp "$1" 2>/dev/null |
        awk -F: '/^\+F:/ { figure = $NF } END { printf "%.0f", figure }'
}

openssl version
printf '%-12s %12s %6s %10s %32s\n' cipher record_bytes MB/s records/s "echoes_of_1_KiB/s_by_${processors}_threads"
for cipher in aes-128-gcm aes-256-gcm; do
    for size in 1024 16384; do
        rate=$(bytes_per_second "$cipher" "$size")
        [ "${rate:-0}" != 0 ] || {
            echo "openssl speed gave no figure for $cipher" >&2
            exit 1
        }
        awk -v cipher="$cipher" -v size="$size" -v rate="$rate" -v threads="$processors" 'BEGIN {
            printf "%-12s %12d %6.0f %10.0f %32.0f\n", cipher, size, rate / 1e6, rate / size, threads * rate / 1024 / 4 }'
    done
done
