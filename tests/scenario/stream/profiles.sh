# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: MPL-2.0
# What the limits of a server on the internet cost: stacks with the profile PUBLIC, to
# compare with zlink, zlink-fast and zlink-batch, which are PRIVATE. For EXTRA_STACKS:
#   EXTRA_STACKS=tests/scenario/stream/profiles.sh SOURCES=1000 \
#     tests/scenario/stream/run_stream_compare.sh --scenario s2 --stacks zlink-fast,zlink-fast-public
stack_names=(zlink-public zlink-fast-public zlink-batch-public "${stack_names[@]}")

stack_zlink_public() {
    stack_zlink
    server+=(--profile public)
}

stack_zlink_fast_public() {
    stack_zlink_fast
    server+=(--profile public)
}

stack_zlink_batch_public() {
    stack_zlink_batch
    server+=(--profile public)
}
