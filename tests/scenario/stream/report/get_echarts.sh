#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Fetches Apache ECharts (Apache-2.0), which draws the charts of report.html,
# with npm, and checks that it is the file that is meant.
# usage: get_echarts.sh DIR
set -euo pipefail

dir=${1:?usage: get_echarts.sh DIR}
version=5.6.0
file=echarts.common.min.js
sum=55974cf42cc160e6cf9099cd3ed8cdedfaa9779919fcee7e2272c85f6ca30e27

is_right() { sha256sum --check --status <<<"$sum  $1" 2>/dev/null; }

is_right "$dir/$file" && exit 0
command -v npm >/dev/null || {
    echo "get_echarts.sh: no npm to fetch echarts $version with" >&2
    exit 1
}
mkdir -p "$dir"
trap 'rm -rf "$dir/package" "$dir/echarts-$version.tgz"' EXIT
npm pack --silent --pack-destination "$dir" "echarts@$version" >/dev/null
tar -xzf "$dir/echarts-$version.tgz" -C "$dir" package/dist/$file package/LICENSE package/NOTICE
is_right "$dir/package/dist/$file" || {
    echo "get_echarts.sh: $file of echarts $version is not the file that was meant" >&2
    exit 1
}
mv "$dir/package/LICENSE" "$dir/package/NOTICE" "$dir/package/dist/$file" "$dir"
