/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Go's start, and later a crowd of connections that comes or goes, touch several MB of code
 * and tables. Those are not needed again for long, but stay resident. Afterwards this file
 * returns the read-only pages of this library to the system. Pages that are needed again
 * come back from the file's cache.
 *
 * Other threads may be running in these pages meanwhile. One condition must hold: nobody
 * has written to the pages, so that the file has the same bytes. The dynamic linker writes
 * to writable segments only, and those are left out. So are pages that a tracer has written
 * to, for a uprobe or one of the probes of probe.c.
 */
#include <dlfcn.h>
#include <fcntl.h>
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

/* An entry of /proc/self/pagemap: the page is in memory, or swapped out, and of the file. */
enum
{
    ENTRIES = 512
};
static const uint64_t in_memory = UINT64_C (1) << 63, swapped = UINT64_C (1) << 62,
                      of_file = UINT64_C (1) << 61;

/* Returns the pages of a range to the system, except those that have been written to. pages is
 * /proc/self/pagemap; -1: nobody can tell of it. */
static void release_range (uintptr_t from, uintptr_t to, uintptr_t page, int pages)
{
    uint64_t entries[ENTRIES];
    if (pages < 0) {
        madvise ((void *) from, to - from, MADV_DONTNEED);
        return;
    }
    while (from < to) {
        size_t count = (to - from) / page;
        count = count > ENTRIES ? ENTRIES : count;
        if (pread (pages, entries, count * 8, (off_t) (from / page * 8)) != (ssize_t) (count * 8))
            return;
        for (size_t i = 0, end; i < count; i = end + 1) {
            for (end = i; end < count; end++)
                if (entries[end] & (in_memory | swapped) && !(entries[end] & of_file))
                    break;
            if (end > i)
                madvise ((void *) (from + i * page), (end - i) * page, MADV_DONTNEED);
        }
        from += count * page;
    }
}

static int release_if_own (struct dl_phdr_info *object, size_t size, void *own)
{
    (void) size;
    uintptr_t page = (uintptr_t) sysconf (_SC_PAGESIZE);
    if (object->dlpi_addr != *(ElfW (Addr) *) own)
        return 0;
    int pages = open ("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW (Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W))
            continue;
        uintptr_t from = object->dlpi_addr + part->p_vaddr;
        uintptr_t to = (from + part->p_memsz) & ~(page - 1);
        from &= ~(page - 1);
        release_range (from, to, page, pages);
    }
    if (pages >= 0)
        close (pages);
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
