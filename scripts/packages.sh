# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# ./build.sh packages: what users of Python, Node.js, Java and C# install beside libzlink5.

has_node_headers() { command -v node >/dev/null && [ -n "$(find /usr/include/node* /usr/local/include/node -name node_api.h 2>/dev/null)" ]; }

has_jdk() { command -v javac >/dev/null; }

want_packages() {
    want has_node_headers "the package for Node.js" nodejs libnode-dev
    want has_jdk "the package for Java" default-jdk-headless
}

# make_packages: build/packages, with what this machine can make; what it cannot is said.
make_packages() {
    local to=$PWD/build/packages version targets parts=()
    version=$(version_of_header)
    configure build
    rm -rf "$to"
    mkdir -p "$to"
    python3 bindings/python/backend/zlink_wheel.py "$to" >/dev/null
    python3 bindings/dotnet/nupkg.py "$to" >/dev/null
    targets=$(cmake --build build --target help)
    if [[ $targets == *"... zlink_node"* ]]; then parts+=(zlink_node); else
        echo "left out: the package for Node.js: there is no node, or no node_api.h"
    fi
    if [[ $targets == *"... zlink_jni"* ]]; then parts+=(zlink_jni zlink_java); else
        echo "left out: the package for Java: there is no JDK"
    fi
    compile build --target zlink_lib "${parts[@]}"
    if [[ " ${parts[*]} " == *" zlink_node "* ]]; then
        cmake --install build --component node --strip --prefix "$to/npm" >build/packages.log
        pack "$to/npm" package "$(git log -1 --format=%ct)" "$to/zlink-stream-$version.tgz"
        rm -r "$to/npm"
    fi
    if [[ " ${parts[*]} " == *" zlink_jni "* ]]; then
        cmake --install build --component java --strip --prefix "$to" >build/packages.log
        mv "$to/zlink-stream.jar" "$to/zlink-stream-$version.jar"
        mv "$to/pom.xml" "$to/zlink-stream-$version.pom"
    fi
    (cd "$to" && sha256sum -- * >SHA256SUMS)
}
