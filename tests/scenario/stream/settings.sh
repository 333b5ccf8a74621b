# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MPL-2.0
# The settings of run_stream_compare.sh, which sources this: environment variables,
# and what they are without one. The values to publish with are the defaults.

# What differs from the defaults, as a shell reads it: NAME=VALUE...
changed=()

# setting NAME DEFAULT: an empty variable is as good as none.
setting() {
    [ -n "${!1:-}" ] || printf -v "$1" %s "$2"
    take_setting "$@"
}

# setting_list NAME DEFAULT: a list that may be empty.
setting_list() {
    [ -n "${!1+set}" ] || printf -v "$1" %s "$2"
    take_setting "$@"
}

# quoted TEXT: as a shell would read it.
quoted() { if [[ $1 =~ ^[A-Za-z0-9_./:=,-]+$ ]]; then echo "$1"; else echo "${1@Q}"; fi; }

take_setting() {
    # shellcheck disable=SC2163
    export "$1"
    [ "${!1}" = "$2" ] || changed+=("$1=$(quoted "${!1}")")
}

setting CCU 10000
setting SOURCES 0 # addresses that clients come from, for servers that limit them; 0: one
setting SIZE 1024
setting INFLIGHT 30
setting WARMUP 3
setting MEASURE 10
setting DRAIN_TIMEOUT 10
setting HOLD 1
setting CONNECT_CONCURRENCY 256
setting CONNECT_TIMEOUT 10
setting BACKLOG 32768
setting HWM 1000000
setting SNDBUF 262144
setting RCVBUF 262144
setting IO_THREADS 2
setting LATENCY_SAMPLE_RATE 16
setting RATE 0 # messages/s of all connections together; 0: as many as the window lets through
setting BURST 1
setting TRANSPORT tcp
setting CHECK all # of echoes: all, or frames (lengths and counts)
setting TLS_CERT "" # PEM files; without them a certificate is made for the run
setting TLS_KEY ""
setting TLS_CA "$TLS_CERT"
setting TLS_CIPHER TLS_AES_128_GCM_SHA256
setting SILENT 0      # clients that connect and say nothing
setting SILENT_STAY 0 # seconds until one gives way to a new one; 0: never
setting ROUNDS 3
setting RUN_S3 0
setting RUN_S4 0
setting LISTEN_TIMEOUT 10 # from the start of a server to its LISTENING line
setting STOP_TIMEOUT 10   # from SIGTERM to its end
setting CPPSERVER_CMD ""
setting EXTRA_STACKS ""
setting REQUIRED "" # stacks; all but cppserver and peers
setting CELLS_FILE "$here/cells.txt"

# The bare loops of which the best is the limit, and how each is tried.
setting LIMIT_THREADS "1 2"
setting LIMIT_BUFFERS "65536 262144 1048576" # the smallest first
setting LIMIT_TRIES 2
setting LIMIT_WARMUP 0.2
setting LIMIT_MEASURE 0.5

# What s3 varies, and the values; an empty list leaves a parameter out.
# shellcheck disable=SC2034 # run_stream_compare.sh reads it
sweep_names=(backlog hwm buffers io-threads connect-concurrency size inflight ccu)
setting_list S3_BACKLOG "128 1024 32768"
setting_list S3_HWM "1000 100000 1000000"
setting_list S3_BUFFERS "16384 65536 262144 1048576"
setting_list S3_IO_THREADS "1 2 4 32"
setting_list S3_CONNECT_CONCURRENCY "16 256 4096"
setting_list S3_SIZE "16 128 1024 8192 65536 262144"
setting_list S3_INFLIGHT "1 4 16 64 256"
setting_list S3_CCU "1 10 100 1000 10000"

# Settings that hold for one sweep only: NAME=VALUE...
# Windows of 10,000 connections would hold 80 GB of the largest messages.
setting_list S3_SIZE_WITH "CCU=100"
# 256 KiB in flight on each of 10,000 would be more than the system gives to TCP
# (net.ipv4.tcp_mem): what it then does has little to do with a server.
setting_list S3_INFLIGHT_WITH "CCU=1000"
for name in S3_{BACKLOG,HWM,BUFFERS,IO_THREADS,CONNECT_CONCURRENCY,CCU}_WITH; do
    setting_list "$name" ""
done

setting_list S4_TRANSPORTS "tcp tls ws wss"
setting S4_SILENT 1000 # of s4-tls-silent; 0: it is left out
setting S4_SILENT_STAY 1

export BIN_DIR=${BIN_DIR:-$root/build/bin}
[ ! -d "$BIN_DIR" ] || BIN_DIR=$(cd "$BIN_DIR" && pwd)
export OUT_DIR=${OUT_DIR:-$root/build/results/$(date +%Y-%m-%d-%H%M%S)}
