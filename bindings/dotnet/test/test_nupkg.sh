#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# test_nupkg.sh LIBRARY: makes the NuGet package with the library in it, looks at what is in it, and runs an example with the package's
# library: where a .NET SDK is, in a project that has the package by dotnet add; where mono is, with the sources that such a project gets.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir" || true' EXIT
unset LD_LIBRARY_PATH

fail() {
    echo "FAILED: $*"
    exit 1
}

package=$dir/$(python3 "$here/../nupkg.py" "$dir" "$1")
mkdir "$dir/other"
cmp "$package" "$dir/other/$(python3 "$here/../nupkg.py" "$dir/other" "$1")" || fail "made again it is another one"
python3 - "$package" "$here/.." <<'END'
import fnmatch
import os
import re
import sys
import xml.etree.ElementTree as xml
import zipfile

with zipfile.ZipFile(sys.argv[1]) as package:
    names = package.namelist()
    read = {name: package.read(name) for name in names}
assert len(names) == len(set(names)), names
spec = xml.fromstring(read["Libzlink.Stream.nuspec"])
space = re.match(r"{.*}", spec.tag).group()
of = lambda name: spec.find(f"{space}metadata/{space}{name}")
assert os.path.basename(sys.argv[1]) == f"{of('id').text}.{of('version').text}.nupkg", sys.argv[1]
assert of("readme").text in names and of("license").text == "MPL-2.0"
# Everything that a project compiles is there, and is what is tested here.
sources = fnmatch.filter(names, "contentFiles/" + of(f"contentFiles/{space}files").get("include"))
assert {os.path.basename(s) for s in sources} == {n for n in os.listdir(sys.argv[2]) if n.endswith(".cs")}, sources
for source in sources:
    with open(os.path.join(sys.argv[2], os.path.basename(source)), "rb") as file:
        assert read[source] == file.read(), source
# Each part has a type, and the one relation is the manifest.
types = xml.fromstring(read["[Content_Types].xml"])
known = {t.get("Extension") for t in types} | {t.get("PartName") for t in types}
assert all(n.rsplit(".", 1)[-1] in known or "/" + n in known for n in names if n != "[Content_Types].xml"), (names, known)
(relation,) = xml.fromstring(read["_rels/.rels"])
assert relation.get("Target")[1:] in names
assert xml.fromstring(read["build/Libzlink.Stream.props"]).find("PropertyGroup/AllowUnsafeBlocks").text == "true"
(library,) = fnmatch.filter(names, "runtimes/linux-*/native/libzlink.so.5")
assert read[library][:4] == b"\x7fELF"
END
echo "ok contents"

if [ -n "$(dotnet --list-sdks 2>/dev/null)" ]; then
    mkdir "$dir/project"
    cd "$dir/project"
    export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES=$dir/packages
    dotnet new console --no-restore >/dev/null
    rm Program.cs
    cp "$here/../example/Exchange.cs" .
    echo '<configuration><packageSources><clear /><add key="here" value=".." /></packageSources></configuration>' >nuget.config
    dotnet add package Libzlink.Stream >dotnet.log || fail "dotnet add package: $(cat dotnet.log)"
    said=$(dotnet run) || fail "dotnet run: $said"
    [[ $said == *"client: HELLO"* ]] || fail "with dotnet the example says: $said"
    cd "$here"
    echo "ok dotnet_add_package"
else
    echo "skipped dotnet_add_package: there is no .NET SDK"
fi
if ! command -v mcs >/dev/null || ! command -v mono >/dev/null; then
    echo "skipped as_a_project: there is no mono"
    exit 0
fi
python3 -m zipfile -e "$package" "$dir/there"
mcs -nologo -unsafe "-out:$dir/exchange.exe" "$here/../example/Exchange.cs" "$dir"/there/contentFiles/cs/any/Zlink/*.cs
said=$(LD_LIBRARY_PATH=$(echo "$dir"/there/runtimes/*/native) timeout 60 mono "$dir/exchange.exe")
[[ $said == *"client: HELLO"* ]] || fail "the example says: $said"
echo "ok as_a_project"
