#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The C compiler of a build that counts what runs (ZLINK_COVER): gcc, which counts in
# the files of capi/ and puts its notes and counters into COVER_DIR, under the file's name;
# the Go tool compiles in a folder that it removes.
source=
for argument; do
    case $argument in *.c) source=$(basename "$argument") ;; esac
done
if [ -n "$source" ] && [ -e "$COVER_SOURCES/$source" ]; then
    set -- "$@" --coverage -fprofile-update=atomic -dumpdir "$COVER_DIR/" -dumpbase "$source" -dumpbase-ext .c
fi
# The linker wants the counters' library.
case " $* " in *" -c "* | *" -E "* | *" -S "*) ;; *) set -- "$@" --coverage ;; esac
exec "$COVER_CC" "$@"
