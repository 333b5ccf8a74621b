/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Go's start, and later a crowd of connections that comes or goes, touch several MB of code
 * and tables. Those are not needed again for long, but stay resident. Afterwards this file
 * returns the read-only pages of this library to the system. Pages that are needed again
 * come back from the file's cache.
 *
 * Other threads may be running in these pages meanwhile. One condition must hold: nobody
 * has written to the pages, so that the file has the same bytes. The dynamic linker writes
 * to writable segments only, and those are left out.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/* A debugger writes its breakpoints into these pages; they would be lost. */
static bool is_traced (void)
{
    char line[128];
    int tracer = 0;
    FILE *status = fopen ("/proc/self/status", "re");
    if (!status)
        return true;
    while (fgets (line, sizeof line, status))
        if (sscanf (line, "TracerPid: %d", &tracer) == 1)
            break;
    fclose (status);
    return tracer != 0;
}

static int release_if_own (struct dl_phdr_info *object, size_t size, void *own)
{
    (void) size;
    uintptr_t page = (uintptr_t) sysconf (_SC_PAGESIZE);
    if (object->dlpi_addr != *(ElfW (Addr) *) own)
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW (Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W))
            continue;
        uintptr_t from = object->dlpi_addr + part->p_vaddr;
        uintptr_t to = (from + part->p_memsz) & ~(page - 1);
        from &= ~(page - 1);
        madvise ((void *) from, to - from, MADV_DONTNEED);
    }
    return 1;
}

void zl_release_pages (void)
{
    Dl_info self;
    if (is_traced () || !dladdr ((void *) zl_release_pages, &self))
        return;
    ElfW (Addr) base = (ElfW (Addr)) self.dli_fbase;
    dl_iterate_phdr (release_if_own, &base);
}
