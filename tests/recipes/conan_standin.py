# SPDX-License-Identifier: MPL-2.0
"""What Conan does with a recipe, for machines without Conan: conan_standin.py FOLDER_OF_RECIPE WORK.

It has the parts of Conan that the recipes here import, as Conan's manual says what they do, and calls the methods of a recipe in
Conan's order, each only with what it may rely on then. The package of the recipe is moved, and test_package builds with it.
"""
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import types
from typing import Any, Dict, List


class ConanInvalidConfiguration(Exception):
    pass


class Settings:
    """Of this machine, or of another one."""

    def __init__(self, **values: str) -> None:
        self.__dict__.update(values)

    def rm_safe(self, name: str) -> None:
        head, _, rest = name.partition(".")
        if rest:
            self.__dict__.pop(name, None)
        else:
            self.__dict__.pop(head, None)


class Info:
    def __init__(self) -> None:
        self.libs: List[str] = []
        self.properties: Dict[str, str] = {}

    def set_property(self, name: str, value: str) -> None:
        self.properties[name] = value


class ConanFile:
    settings: Any = ()
    version: Any = None

    def run(self, command: str, env: str = "") -> None:
        environment = dict(os.environ)
        if env == "conanrun":
            environment["LD_LIBRARY_PATH"] = os.path.join(self.found["folder"], "lib")
        print("+", command, flush=True)
        subprocess.run(command, shell=True, check=True, cwd=self.build_folder, env=environment)

    def requires(self, reference: str) -> None:
        assert reference == self.found["reference"], reference


def cmake_layout(recipe: ConanFile) -> None:
    recipe.laid_out = True


class Environment:
    def __init__(self) -> None:
        self.values: Dict[str, str] = {}

    def define(self, name: str, value: str) -> None:
        self.values[name] = value

    def vars(self, recipe: ConanFile) -> "Environment":
        recipe.environment = self.values
        return self

    def save_script(self, _: str) -> None:
        os.environ.update(self.values)


class CMakeToolchain:
    def __init__(self, recipe: ConanFile) -> None:
        self.recipe = recipe
        self.cache_variables: Dict[str, Any] = {}

    def generate(self) -> None:
        self.recipe.cache_variables = self.cache_variables


class CMake:
    def __init__(self, recipe: ConanFile) -> None:
        self.recipe = recipe

    def configure(self) -> None:
        recipe = self.recipe
        variables = {name: "ON" if value is True else "OFF" if value is False else value for name, value in recipe.cache_variables.items()}
        variables["CMAKE_PREFIX_PATH"] = recipe.generators_folder
        said = subprocess.run(["cmake", "-S", recipe.source_folder, "-B", recipe.build_folder, "-DCMAKE_BUILD_TYPE=Release"]
                              + [f"-D{name}={value}" for name, value in variables.items()],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(said.stdout, flush=True)
        assert said.returncode == 0, "the configuration failed"
        unused = said.stdout.partition("Manually-specified variables were not used")[2]
        assert not [name for name in recipe.cache_variables if name in unused], unused

    def build(self) -> None:
        subprocess.run(["cmake", "--build", self.recipe.build_folder], check=True)

    def install(self) -> None:
        subprocess.run(["cmake", "--install", self.recipe.build_folder, "--prefix", self.recipe.package_folder], check=True)


def copy(_: ConanFile, pattern: str, src: str, dst: str) -> None:
    to = os.path.join(dst, pattern)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copy(os.path.join(src, pattern), to)  # unlike Conan's it misses no file silently


def rmdir(_: ConanFile, path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


def unzip(recipe: ConanFile, filename: str, strip_root: bool = False) -> None:
    with tarfile.open(filename) as archive:
        for member in archive.getmembers():
            if strip_root:
                member.name = member.name.partition("/")[2]
            if member.name:
                archive.extract(member, recipe.source_folder)


MODULES: Dict[str, Dict[str, Any]] = {
    "conan": {"ConanFile": ConanFile},
    "conan.errors": {"ConanInvalidConfiguration": ConanInvalidConfiguration},
    "conan.tools": {},
    "conan.tools.build": {"can_run": lambda recipe: True},
    "conan.tools.cmake": {"CMake": CMake, "CMakeToolchain": CMakeToolchain, "cmake_layout": cmake_layout},
    "conan.tools.env": {"Environment": Environment},
    "conan.tools.files": {"copy": copy, "rmdir": rmdir, "unzip": unzip},
}


def load(path: str) -> Any:
    """The one class of a recipe."""
    for name, members in MODULES.items():
        module = sys.modules.setdefault(name, types.ModuleType(name))
        module.__dict__.update(members)
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (recipe,) = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, ConanFile) and c is not ConanFile]
    return recipe


def here() -> Settings:
    arch = {"x86_64": "x86_64", "aarch64": "armv8"}[platform.machine()]
    return Settings(os="Linux", arch=arch, build_type="Release", compiler="gcc", **{"compiler.cppstd": "17", "compiler.libcxx": "libstdc++11"})


def create(folder: str, work: str) -> ConanFile:
    kind = load(os.path.join(folder, "conanfile.py"))
    for field in ("name", "version", "description", "homepage", "license", "package_type"):
        assert getattr(kind, field), field
    for other in (Settings(os="Windows", arch="x86_64"), Settings(os="Linux", arch="x86")):
        elsewhere = kind()
        elsewhere.settings = other
        try:
            elsewhere.validate()
        except ConanInvalidConfiguration:
            continue
        raise AssertionError(f"the recipe takes {vars(other)}")
    recipe = kind()
    assert set(kind.settings) == {"os", "arch", "compiler", "build_type"}, kind.settings
    recipe.settings = here()
    recipe.configure()
    assert "compiler.cppstd" not in vars(recipe.settings), "a library in C has no standard of C++"
    recipe.validate()
    recipe.layout()
    assert recipe.laid_out
    for name in ("export_sources", "source", "build", "generators", "package"):
        setattr(recipe, name + "_folder", os.path.join(work, name))
        os.makedirs(os.path.join(work, name))
    shutil.copy(os.path.join(folder, kind.exports_sources), recipe.export_sources_folder)
    recipe.source()
    recipe.generate()
    assert recipe.environment["GOPROXY"] == "off", "the build may load modules"
    recipe.build()
    recipe.package()
    recipe.cpp_info = Info()
    recipe.package_info()
    return recipe


def use(folder: str, work: str, recipe: ConanFile) -> None:
    """The package is moved, its folder of sources is gone, and CMake finds it by what package_info says."""
    there = os.path.join(work, "elsewhere")
    os.rename(recipe.package_folder, there)
    for name in ("source", "build"):
        shutil.rmtree(os.path.join(work, name))
    for needed in ("include/zlink.h", "licenses/LICENSE", "licenses/packaging/debian/copyright"):
        assert os.path.exists(os.path.join(there, needed)), needed
    for name in ("cmake", "pkgconfig"):
        assert not os.path.exists(os.path.join(there, "lib", name)), "Conan makes its own " + name
    info = recipe.cpp_info
    test = load(os.path.join(folder, "test_package", "conanfile.py"))()
    assert "CMakeDeps" in test.generators and "CMakeToolchain" in test.generators, test.generators
    test.settings = here()
    test.found = {"folder": there, "reference": f"{recipe.name}/{recipe.version}"}
    test.tested_reference_str = test.found["reference"]
    test.requirements()
    test.layout()
    test.cache_variables = {}
    test.source_folder = os.path.join(folder, "test_package")
    test.build_folder = os.path.join(work, "test")
    test.generators_folder = os.path.join(work, "generators")
    target = info.properties["cmake_target_name"]
    (library,) = info.libs
    with open(os.path.join(test.generators_folder, info.properties["cmake_file_name"] + "-config.cmake"), "w", encoding="utf-8") as file:
        file.write(f"add_library({target} SHARED IMPORTED)\nset_target_properties({target} PROPERTIES "
                   f'IMPORTED_LOCATION "{there}/lib/lib{library}.so" INTERFACE_INCLUDE_DIRECTORIES "{there}/include")\n')
    test.cpp = types.SimpleNamespace(build=types.SimpleNamespace(bindirs=["."]))
    test.build()
    test.test()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    source, place = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    shutil.rmtree(place, ignore_errors=True)
    use(source, place, create(source, place))
    print("ok conan: the recipe builds, and test_package uses its package")
