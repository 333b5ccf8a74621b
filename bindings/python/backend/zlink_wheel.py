# SPDX-License-Identifier: MPL-2.0
"""Makes the wheel of zlink-stream: zlink_wheel.py FOLDER [LIBRARY]. pip calls it, too (PEP 517).

With a libzlink.so, by its file or in the environment variable ZLINK_WHEEL_LIBRARY, the wheel has it inside and is for
this kind of machine; without, it is for any, and needs an installed one.
"""
import base64
import hashlib
import os
import re
import sys
import sysconfig
import zipfile
from typing import Dict, List, Optional

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = "zlink_stream"


def version() -> str:
    """The header is the one place that states it."""
    with open(os.path.join(HERE, "../../include/zlink.h"), encoding="utf-8") as file:
        return ".".join(re.findall(r"^#define ZLINK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", file.read(), re.M))


def metadata() -> str:
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    return f"""Metadata-Version: 2.1
Name: zlink-stream
Version: {version()}
Summary: One socket, thousands of raw clients: the STREAM socket of libzlink.so
License: MPL-2.0
Requires-Python: >=3.9
Classifier: Operating System :: POSIX :: Linux
Classifier: Typing :: Typed
Description-Content-Type: text/markdown

{readme}"""


def contents(library: Optional[str]) -> Dict[str, bytes]:
    """The files of the wheel by their names, but for RECORD."""
    files = {}
    for name in sorted(os.listdir(os.path.join(HERE, PACKAGE))):
        if name.endswith(".py") or name == "py.typed":
            files[f"{PACKAGE}/{name}"] = os.path.join(HERE, PACKAGE, name)
    if library:
        files[f"{PACKAGE}/libzlink.so.5"] = library
    read = {}
    for name, place in files.items():
        with open(place, "rb") as file:
            read[name] = file.read()
    info = f"{PACKAGE}-{version()}.dist-info"
    pure = "false" if library else "true"
    read[f"{info}/METADATA"] = metadata().encode()
    read[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: zlink\nRoot-Is-Purelib: {pure}\nTag: {tag(library)}\n".encode()
    return read


def tag(library: Optional[str]) -> str:
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_") if library else "any"
    return f"py3-none-{platform}"


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: Optional[str] = None) -> str:
    """Returns its file's name."""
    library = os.environ.get("ZLINK_WHEEL_LIBRARY")
    name = f"{PACKAGE}-{version()}-{tag(library)}.whl"
    record: List[str] = []
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for file, data in contents(library).items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={digest},{len(data)}")
            add(wheel, file, data)
        file = f"{PACKAGE}-{version()}.dist-info/RECORD"
        add(wheel, file, "\n".join([*record, f"{file},,", ""]).encode())
    return name


def add(wheel: zipfile.ZipFile, name: str, data: bytes) -> None:
    """The time is none, so that the same sources are the same wheel."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    wheel.writestr(entry, data)


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    raise NotImplementedError("the source is the repository of the library, which is what it needs")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        os.environ["ZLINK_WHEEL_LIBRARY"] = sys.argv[2]
    print(build_wheel(sys.argv[1]))
