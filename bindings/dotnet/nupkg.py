# SPDX-License-Identifier: MPL-2.0
"""Makes the NuGet package Libzlink.Stream: nupkg.py FOLDER [LIBRARY]. Prints its file's name.

It has the binding as source files, which a project compiles with its own, so it is for every .NET; and libzlink.so, if its
file is given, for this kind of machine.
"""
import os
import platform
import re
import sys
import zipfile
from typing import Dict, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
ID = "Libzlink.Stream"
RUNTIMES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}


def version() -> str:
    """The header is the one place that states it."""
    with open(os.path.join(HERE, "../../include/zlink.h"), encoding="utf-8") as file:
        return ".".join(re.findall(r"^#define ZLINK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", file.read(), re.M))


def nuspec() -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata minClientVersion="3.3">
    <id>{ID}</id>
    <version>{version()}</version>
    <authors>zlink</authors>
    <license type="expression">MPL-2.0</license>
    <readme>README.md</readme>
    <description>One socket, thousands of raw clients: the STREAM socket of libzlink.so</description>
    <dependencies>
      <group targetFramework="netcoreapp3.1" />
    </dependencies>
    <contentFiles>
      <files include="cs/any/Zlink/*.cs" buildAction="Compile" />
    </contentFiles>
  </metadata>
</package>
"""


PROPS = """<Project>
  <PropertyGroup>
    <AllowUnsafeBlocks>true</AllowUnsafeBlocks>
  </PropertyGroup>
</Project>
"""

TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
  <Default Extension="nuspec" ContentType="application/octet" />
  <Default Extension="cs" ContentType="application/octet" />
  <Default Extension="md" ContentType="application/octet" />
  <Default Extension="props" ContentType="application/octet" />
  <Default Extension="5" ContentType="application/octet" />
  <Override PartName="/lib/netcoreapp3.1/_._" ContentType="application/octet" />
</Types>
"""

RELATIONS = f"""<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{ID}.nuspec" Id="R1" />
</Relationships>
"""


def contents(library: Optional[str]) -> Dict[str, bytes]:
    """The files of the package by their names."""
    files = {
        f"{ID}.nuspec": nuspec().encode(),
        "[Content_Types].xml": TYPES.encode(),
        "_rels/.rels": RELATIONS.encode(),
        f"build/{ID}.props": PROPS.encode(),
        "lib/netcoreapp3.1/_._": b"",
    }
    places = {f"contentFiles/cs/any/Zlink/{name}": os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".cs")}
    places["README.md"] = os.path.join(HERE, "README.md")
    if library:
        places[f"runtimes/{RUNTIMES[platform.machine()]}/native/libzlink.so.5"] = library
    for name, place in sorted(places.items()):
        with open(place, "rb") as file:
            files[name] = file.read()
    return files


def make(folder: str, library: Optional[str]) -> str:
    name = f"{ID}.{version()}.nupkg"
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED, compresslevel=6) as package:
        for file, data in contents(library).items():
            entry = zipfile.ZipInfo(file)  # without a time, so that the same sources are the same package
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, data)
    return name


if __name__ == "__main__":
    print(make(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
