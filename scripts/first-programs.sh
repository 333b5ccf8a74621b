#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Does what doc/first-programs.md says, in a bare Debian that is made for it and removed. Fails when a command fails or
# says something else than the page. Commands of apt-get reach the network; the others have a loopback device of their own.
# usage: first-programs.sh DIR_OF_DEBS DIR_OF_PACKAGES [--write] [--keep]
#   --write: the page gets the times and what was said, instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/.." && pwd)
debs=$1 others=$2
shift 2
page=$project/doc/first-programs.md
dir=$project/build/first-programs
packages=ca-certificates
# shellcheck disable=SC2034 # root.sh's
program=first-programs
# shellcheck source=scripts/root.sh
. "$here/root.sh"
take_options "$@"

need_roots
make_root

# What a user has loaded, in the folder of the user.
cp "$debs"/*.deb "$others"/* "$root/root"
way=$root/tmp/way
mkdir "$way"
python3 "$here/first_programs.py" split "$page" "$way"
cat >"$way/run.sh" <<'END'
# The steps in order: run.sh ROOT. It is outside of the root, in a namespace of mounts and processes.
set -euo pipefail
root=$1 way=$1/tmp/way
mount --make-rprivate /
mount -t proc proc /proc # of this namespace
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
unshare --net sleep infinity &
loopback=$!
until [ "$(readlink "/proc/$loopback/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
nsenter --net="/proc/$loopback/ns/net" python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x49))'
inside() {
    "$@" chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        bash -euc "cd /root; $(cat "$step"); wait"
}
used() { du -sxm --exclude=tmp --exclude=proc --exclude=dev "$root" 2>/dev/null | cut -f 1; }
inside_apt() { (step=/dev/stdin; inside env <<<"$1"); }
inside_apt "apt-get -qq update" >"$way/update.log" 2>&1 || true
before=$(used)
for title in "$way"/*.title; do
    stem=${title%.title} step=${title%.title}.sh
    if [ -e "$stem.save" ]; then
        cp "$stem.save" "$root/root/$(cat "$title")"
        continue
    fi
    kind=(nsenter "--net=/proc/$loopback/ns/net")
    ! grep -q '^apt-get ' "$step" || kind=(env)
    start=$EPOCHREALTIME
    inside "${kind[@]}" >"$stem.out" 2>&1 </dev/null || {
        tail -n 20 "$stem.out"
        echo "FAILED: $(cat "$title"): $(cat "$step")"
        exit 1
    }
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", b - a }' >"$stem.seconds"
    after=$before
    if [ "${kind[0]}" = env ]; then
        : >"$stem.out"
        after=$(used)
    fi
    echo $((after - before)) >"$stem.mb"
    before=$after
    echo "$(cat "$title"): $(cat "$stem.seconds") s"; cat "$stem.out"
done
kill "$loopback"
echo "Measured on $(date -u +%Y-%m-%d) with $(nproc) processors and, at the end, a load of $(cut -d ' ' -f 1 /proc/loadavg)." >"$way/machine"
END

say "the steps of ${page#"$project/"}"
inside bash "$way/run.sh" "$root"
python3 "$here/first_programs.py" join "$page" "$way" >"$dir/page.md"
if [ -n "$write" ]; then
    cp "$dir/page.md" "$page"
    exit
fi
# Times and sizes are this machine's.
measured() { sed -E 's/[0-9.]+ s\b/N s/g; s/[0-9]+ MB/N MB/g; s/^Measured on .*/Measured/' "$1"; }
diff <(measured "$page") <(measured "$dir/page.md") || die "the page says something else"
echo "all of ${page#"$project/"} is as it says"
