# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MPL-2.0
# The cells of ./build.sh bench as cases of run_stream_compare.sh, which sources this.
# cells.txt has one a line: its name, the settings that make it, and the stacks that
# are in it besides the limit and the peers, which are in all.

# Lines without comments.
cell_lines() { sed 's/#.*//; /^[[:space:]]*$/d' "$CELLS_FILE"; }

cell_names() { cell_lines | awk '{ print $1 }'; }

# add_cells NAME...: puts them into cases.
add_cells() {
    local name transport ccu size inflight list
    while read -r name transport ccu size inflight list; do
        [[ " $* " == *" $name "* ]] || continue
        cases+=("cell-$name s2 TRANSPORT=$transport CCU=$ccu SIZE=$size INFLIGHT=$inflight STACKS=$list")
    done < <(cell_lines)
}

# takes_part STACK OVERRIDES: is the stack in this case?
takes_part() {
    [[ " $2 " =~ \ STACKS=([^ ]*)\  ]] || return 0
    [[ ",${BASH_REMATCH[1]},epoll, ${peer_names[*]} " = *[,\ ]"$1"[,\ ]* ]]
}
