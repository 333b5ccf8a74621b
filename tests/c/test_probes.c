/* SPDX-License-Identifier: MPL-2.0 */
/*
 * USDT probes (doc/operate.md): the notes in the library's file, and what a tracer gets. The tracer is the process above: as the
 * system does for one, it counts itself in a probe's semaphore, and replaces the instruction by one that traps.
 */
#include "ztest.h"
#include "zfast.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum
{
    HITS_MAX = 1 << 14,
    ARGS_MAX = 5,
    FRAMES = 40,
    PAGES = 256
};

/* The probes that there are, with how many arguments each has. */
typedef enum probe_t
{
    ACCEPT,
    CLOSE,
    TURN_AWAY,
    FRAME_IN,
    FRAME_TAKEN,
    FRAME_OUT,
    REFUSE,
    DRIVER,
    PROBES
} probe_t;

static struct
{
    const char *name;
    int args;
    uint8_t *at; /* this, and what follows: from the note */
    uint16_t *semaphore;
    char operands[ARGS_MAX][8];
} probes[PROBES] = {
  [ACCEPT] = {"accept", 4},
  [CLOSE] = {"close", 5},
  [TURN_AWAY] = {"turn_away", 3},
  [FRAME_IN] = {"frame_in", 4},
  [FRAME_TAKEN] = {"frame_taken", 4},
  [FRAME_OUT] = {"frame_out", 4},
  [REFUSE] = {"refuse", 3},
  [DRIVER] = {"driver", 2},
};

typedef struct hit_t
{
    probe_t probe;
    uint64_t args[ARGS_MAX];
    char text[64]; /* of the argument that is one */
} hit_t;

/* What the tracer has seen. Both processes have it. */
static struct
{
    atomic_int count;
    hit_t all[HITS_MAX];
} *hits;

/* ------------------------------------------------------------------ the file */

static uint8_t *base; /* where the library lies */

static uint64_t long_word (const uint8_t *p)
{
    uint64_t v;
    memcpy (&v, p, sizeof v);
    return v;
}

/* Stores what a note says; sections are those of the file. */
static void read_note (const uint8_t *desc, size_t size, uint64_t stapsdt_base)
{
    const char *provider = (const char *) desc + 24, *name = provider + strlen (provider) + 1,
               *arguments = name + strlen (name) + 1;
    CHECK (arguments + strlen (arguments) + 1 == (const char *) desc + size);
    CHECK_STR (provider, "zlink");
    int p = 0;
    while (p < PROBES && strcmp (probes[p].name, name) != 0)
        p++;
    CHECK (p < PROBES);
    CHECK (probes[p].at == NULL); /* one place for each */
    CHECK_EQ (long_word (desc + 8), stapsdt_base);
    probes[p].at = base + long_word (desc);
    probes[p].semaphore = (uint16_t *) (void *) (base + long_word (desc + 16));
    int args = 0, used;
    for (const char *left = arguments; *left; left += used) {
        CHECK (args < ARGS_MAX);
        CHECK_EQ (sscanf (left, " 8@%7s%n", probes[p].operands[args++], &used), 1);
    }
    CHECK_EQ (args, probes[p].args);
}

static void read_notes (const uint8_t *file)
{
    const Elf64_Ehdr *head = (const void *) file;
    const Elf64_Shdr *sections = (const void *) (file + head->e_shoff);
    const char *names = (const char *) file + sections[head->e_shstrndx].sh_offset;
    const Elf64_Shdr *notes = NULL, *semaphores = NULL;
    uint64_t stapsdt_base = 0;
    for (int i = 0; i < head->e_shnum; i++) {
        const char *name = names + sections[i].sh_name;
        if (strcmp (name, ".note.stapsdt") == 0)
            notes = &sections[i];
        if (strcmp (name, ".probes") == 0)
            semaphores = &sections[i];
        if (strcmp (name, ".stapsdt.base") == 0)
            stapsdt_base = sections[i].sh_addr;
    }
    CHECK (notes && semaphores && stapsdt_base != 0);
    CHECK_EQ (notes->sh_type, SHT_NOTE);
    /* The system finds a semaphore by its place in the file, and writes to it. */
    CHECK_EQ (semaphores->sh_type, SHT_PROGBITS);
    CHECK_EQ (semaphores->sh_flags, SHF_ALLOC | SHF_WRITE);
    const uint8_t *note = file + notes->sh_offset, *end = note + notes->sh_size;
    int count = 0;
    while (note < end) {
        const Elf64_Nhdr *head_of = (const void *) note;
        const uint32_t name_size = head_of->n_namesz, size = head_of->n_descsz;
        CHECK_EQ (head_of->n_type, 3);
        CHECK_EQ (name_size, sizeof "stapsdt");
        CHECK_STR ((const char *) note + 12, "stapsdt");
        read_note (note + 12 + name_size, size, stapsdt_base);
        note += 12 + name_size + ((size + 3) & ~3u);
        count++;
    }
    CHECK_EQ (count, PROBES);
    for (int p = 0; p < PROBES; p++)
        CHECK ((uint8_t *) probes[p].semaphore >= base + semaphores->sh_addr
               && (uint8_t *) probes[p].semaphore < base + semaphores->sh_addr + semaphores->sh_size);
}

static void find_probes (void)
{
    Dl_info library;
    struct stat info;
    if (base)
        return;
    CHECK (dladdr ((void *) (uintptr_t) zlink_version, &library) != 0);
    base = library.dli_fbase;
    int fd = open (library.dli_fname, O_RDONLY);
    CHECK (fd >= 0);
    CHECK_OK (fstat (fd, &info));
    void *file = mmap (NULL, (size_t) info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK (file != MAP_FAILED);
    read_notes (file);
    CHECK_OK (munmap (file, (size_t) info.st_size));
    close (fd);
}

/* ---------------------------------------------------------------- the tracer */

#if defined(__x86_64__)

enum
{
    TRAP_BYTES = 1
};
static const uint8_t no_operation[TRAP_BYTES] = {0x90}, trap[TRAP_BYTES] = {0xcc};

static uint64_t operand (const struct user_regs_struct *r, const char *name)
{
    const struct
    {
        const char *name;
        uint64_t value;
    } registers[] = {
      {"%rax", r->rax},
      {"%rbx", r->rbx},
      {"%rcx", r->rcx},
      {"%rdx", r->rdx},
      {"%rsi", r->rsi},
      {"%rdi", r->rdi},
      {"%rbp", r->rbp},
      {"%r8", r->r8},
      {"%r9", r->r9},
      {"%r10", r->r10},
      {"%r11", r->r11},
      {"%r12", r->r12},
      {"%r13", r->r13},
      {"%r14", r->r14},
      {"%r15", r->r15},
    };
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++)
        if (strcmp (registers[i].name, name) == 0)
            return registers[i].value;
    CHECK (!"a register of 8 bytes");
    return 0;
}

/* Where the trap was; the thread goes on behind it. */
static uint64_t trapped (struct user_regs_struct *r)
{
    return r->rip - TRAP_BYTES;
}

#elif defined(__aarch64__)

enum
{
    TRAP_BYTES = 4
};
static const uint8_t no_operation[TRAP_BYTES] = {0x1f, 0x20, 0x03, 0xd5},
                     trap[TRAP_BYTES] = {0x00, 0x00, 0x20, 0xd4};

static uint64_t operand (const struct user_regs_struct *r, const char *name)
{
    CHECK_EQ (name[0], 'x');
    return r->regs[atoi (name + 1)];
}

static uint64_t trapped (struct user_regs_struct *r)
{
    r->pc += TRAP_BYTES;
    return r->pc - TRAP_BYTES;
}

#endif

/* Keeps what a thread tells that has passed a probe. */
static void take (pid_t thread)
{
    struct user_regs_struct r;
    struct iovec all = {&r, sizeof r};
    CHECK_OK (ptrace (PTRACE_GETREGSET, thread, NT_PRSTATUS, &all));
    const uint64_t at = trapped (&r);
    int p = 0;
    while (p < PROBES && (uintptr_t) probes[p].at != at)
        p++;
    CHECK (p < PROBES);
    const int n = atomic_load (&hits->count);
    CHECK (n < HITS_MAX);
    hit_t *hit = &hits->all[n];
    hit->probe = p;
    for (int i = 0; i < probes[p].args; i++)
        hit->args[i] = operand (&r, probes[p].operands[i]);
    if (p == ACCEPT || p == CLOSE || p == TURN_AWAY) {
        struct iovec to = {hit->text, sizeof hit->text - 1},
                     from = {(void *) (uintptr_t) hit->args[p == TURN_AWAY ? 1 : 2], sizeof hit->text - 1};
        CHECK (process_vm_readv (thread, &to, 1, &from, 1, 0) > 0);
    }
    CHECK_OK (ptrace (PTRACE_SETREGSET, thread, NT_PRSTATUS, &all));
    atomic_store (&hits->count, n + 1);
}

/* Traces a process until it ends; returns how it did. */
static int trace (pid_t child)
{
    for (;;) {
        int status, deliver = 0;
        const pid_t thread = waitpid (-1, &status, __WALL);
        CHECK (thread > 0);
        if (!WIFSTOPPED (status)) {
            if (thread == child)
                return status;
            continue;
        }
        if (status >> 16 == 0 && WSTOPSIG (status) == SIGTRAP)
            take (thread);
        else if (status >> 16 == 0)
            deliver = WSTOPSIG (status);
        if (ptrace (PTRACE_CONT, thread, NULL, deliver) != 0)
            CHECK_EQ (errno, ESRCH); /* it was killed meanwhile */
    }
}

/* Writes to the program itself, whatever protects it. */
static void poke (void *to, const void *bytes, size_t size)
{
    int fd = open ("/proc/self/mem", O_RDWR);
    CHECK (fd >= 0);
    CHECK_EQ (pwrite (fd, bytes, size, (off_t) (uintptr_t) to), size);
    close (fd);
}

/* Puts the trap of each probe into its place, and counts the tracer if it looks. */
static void plant (bool looks)
{
    for (int p = 0; p < PROBES; p++) {
        poke (probes[p].at, trap, TRAP_BYTES);
        __builtin___clear_cache ((char *) probes[p].at, (char *) probes[p].at + TRAP_BYTES);
        if (looks)
            poke (probes[p].semaphore, &(uint16_t) {1}, 2);
    }
}

/* Runs a part of a case in a process of its own, which is traced or not. No other process of this program starts the library. */
static void alone (void (*run) (void), bool is_traced)
{
    int go[2];
    find_probes ();
    hits = mmap (NULL, sizeof *hits, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK (hits != MAP_FAILED);
    CHECK_OK (pipe (go));
    const pid_t child = fork ();
    CHECK (child >= 0);
    if (child == 0) {
        char c;
        CHECK_OK (prctl (PR_SET_PDEATHSIG, SIGKILL));
        CHECK_EQ (read (go[0], &c, 1), 1);
        plant (is_traced);
        run ();
        _exit (0);
    }
    int status = 0;
    if (is_traced && ptrace (PTRACE_SEIZE, child, NULL, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) != 0) {
        zt_skip ("a process cannot trace another here (%s)", strerror (errno));
        kill (child, SIGKILL);
        CHECK_EQ (waitpid (child, &status, 0), child);
        return;
    }
    CHECK_EQ (write (go[1], "g", 1), 1);
    if (is_traced)
        status = trace (child);
    else
        CHECK_EQ (waitpid (child, &status, 0), child);
    CHECK_EQ (status, 0);
    CHECK (is_traced == (atomic_load (&hits->count) > 0));
    CHECK_OK (munmap (hits, sizeof *hits));
    close (go[0]);
    close (go[1]);
}

/* The first hit of a probe of this socket and, if it is not 0, this peer; NULL: none yet. */
static const hit_t *find (probe_t p, const void *socket, uint32_t peer)
{
    for (int n = 0; n < atomic_load (&hits->count); n++) {
        const hit_t *hit = &hits->all[n];
        if (hit->probe == p && hit->args[0] == (uintptr_t) socket && (peer == 0 || hit->args[1] == peer))
            return hit;
    }
    return NULL;
}

/* The sum of an argument over all hits of a probe for a peer of a socket. */
static uint64_t sum (probe_t p, const void *socket, uint32_t peer, int arg)
{
    uint64_t all = 0;
    for (int n = 0; n < atomic_load (&hits->count); n++) {
        const hit_t *hit = &hits->all[n];
        if (hit->probe == p && hit->args[0] == (uintptr_t) socket && hit->args[1] == peer)
            all += hit->args[arg];
    }
    return all;
}

/* --------------------------------------------------------------------- cases */

static void the_notes_name_them (void)
{
    find_probes ();
    for (int p = 0; p < PROBES; p++)
        CHECK (memcmp (probes[p].at, no_operation, TRAP_BYTES) == 0 && *probes[p].semaphore == 0);
}

static void do_connections (void)
{
    void *ctx = zt_ctx (), *server = zt_fast_socket (ctx), *client = zt_fast_socket (ctx);
    char at[64];
    zt_set_int (server, ZLINK_STREAM_MAX_CONNECTIONS, 1);
    const int port = zt_bind (server);
    snprintf (at, sizeof at, "tcp://127.0.0.1:%d", port);
    zt_connect (client, port);
    const uint32_t accepted = zt_fast_event (server, ZLINK_STREAM_CONNECTED),
                   dialled = zt_fast_event (client, ZLINK_STREAM_CONNECTED);
    ZT_UNTIL (find (ACCEPT, server, accepted) && find (ACCEPT, client, dialled));
    CHECK_EQ (find (ACCEPT, server, accepted)->args[3], 0);
    CHECK_EQ (find (ACCEPT, client, dialled)->args[3], 1);
    CHECK (strncmp (find (ACCEPT, server, accepted)->text, "tcp://127.0.0.1:", 16) == 0);
    CHECK (strcmp (find (ACCEPT, server, accepted)->text, at) != 0); /* the client's */
    CHECK_STR (find (ACCEPT, client, dialled)->text, at);

    const int second = zt_client (port);
    ZT_UNTIL (find (TURN_AWAY, server, 0));
    CHECK_EQ (find (TURN_AWAY, server, 0)->args[2], ZLINK_STREAM_REASON_LIMIT);
    CHECK (strncmp (find (TURN_AWAY, server, 0)->text, "tcp://127.0.0.1:", 16) == 0);
    close (second);

    CHECK (!find (CLOSE, server, 0) && !find (CLOSE, client, 0));
    zt_close (client);
    CHECK_EQ (zt_fast_event (server, ZLINK_STREAM_DISCONNECTED), accepted);
    ZT_UNTIL (find (CLOSE, server, accepted) && find (CLOSE, client, dialled));
    CHECK_EQ (find (CLOSE, server, accepted)->args[3], ZLINK_STREAM_REASON_PEER_CLOSED);
    CHECK_EQ (find (CLOSE, client, dialled)->args[3], ZLINK_STREAM_REASON_CLOSED_HERE);
    CHECK_EQ (find (CLOSE, server, accepted)->args[4], 0);
    CHECK_STR (find (CLOSE, client, dialled)->text, at);
    zt_close (server);
    zt_term (ctx);
}

/* Frames that a client sends and gets back, whose lengths are 1 to FRAMES. */
static const uint64_t all_bytes = FRAMES * (FRAMES + 1) / 2 + 4 * FRAMES;

static void are_counted (const void *socket, uint32_t peer)
{
    static const probe_t of_frames[] = {FRAME_IN, FRAME_TAKEN, FRAME_OUT};
    for (int i = 0; i < 3; i++) {
        ZT_UNTIL (sum (of_frames[i], socket, peer, 3) == all_bytes);
        CHECK_EQ (sum (of_frames[i], socket, peer, 2), FRAMES);
    }
}

static void do_frames (void)
{
    zt_fast_t f = zt_fast_open ();
    uint8_t body[FRAMES + 1];
    for (size_t size = 1; size <= FRAMES; size++) {
        zt_fill (body, size, (uint32_t) size);
        zt_write_frame (f.fd, body, size);
        zt_fast_expect (f.s, f.peer, body, size);
        zt_fast_send (f.s, f.peer, body, size);
        zt_fast_read (f.fd, (uint32_t) size, size);
    }
    are_counted (f.s, f.peer);
    zt_fast_close (&f);
}

static void do_frames_of_a_batch (void)
{
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msgs[FRAMES];
    uint8_t body[FRAMES + 1];
    for (size_t size = 1; size <= FRAMES; size++) {
        zt_fill (body, size, (uint32_t) size);
        zt_write_frame (f.fd, body, size);
    }
    zt_fast_init_all (msgs, FRAMES);
    for (int got = 0; got < FRAMES;) {
        const int more = zlink_stream_recv_batch (f.s, msgs + got, (size_t) (FRAMES - got), 0);
        CHECK (more > 0);
        got += more;
    }
    CHECK_EQ (zlink_stream_send_batch (f.s, msgs, FRAMES, 0), FRAMES);
    for (size_t size = 1; size <= FRAMES; size++)
        zt_fast_read (f.fd, (uint32_t) size, size);
    are_counted (f.s, f.peer);
    zt_fast_close_all (msgs, FRAMES);
    zt_fast_close (&f);
}

static void do_frames_in_the_mode_compat (void)
{
    zt_pair_t p = zt_pair ();
    uint8_t body[FRAMES + 1], got[FRAMES + 1];
    zt_fill (body, 1, 1);
    for (size_t size = 1; size <= FRAMES; size++) {
        zt_fill (body, size, (uint32_t) size);
        zt_write_frame (p.fd, body, size);
        zt_expect (p.server, &p.id, body, size);
        zt_send (p.server, &p.id, body, size);
        CHECK_EQ (zt_read_frame (p.fd, got, sizeof got), size);
    }
    are_counted (p.server, zt_id_number (&p.id));
    zt_pair_end (&p);
}

static void do_refusals (void)
{
    enum
    {
        hwm = 4,
        size = 20000,
        most = 10000
    };
    static uint8_t body[size];
    zt_fast_t f = zt_fast_open_small (hwm);
    int sent = 0;
    CHECK (!find (REFUSE, f.s, 0));
    while (zt_fast_try (f.s, f.peer, body, size, ZLINK_DONTWAIT) == size)
        CHECK (++sent < most);
    CHECK_EQ (errno, EAGAIN);
    ZT_UNTIL (find (REFUSE, f.s, f.peer));
    CHECK_EQ (sum (REFUSE, f.s, f.peer, 2), size);
    zt_fast_close (&f);
}

/* Of each io thread, the role goes from nobody to somebody and back. */
static void do_drivers_take_turns (void)
{
    zt_fast_t f = zt_fast_open ();
    for (uint32_t i = 0; i < FRAMES; i++) {
        zt_write_frame (f.fd, &i, sizeof i);
        zt_fast_expect (f.s, f.peer, &i, sizeof i);
        zt_fast_send (f.s, f.peer, &i, sizeof i);
        CHECK_EQ (zt_read_frame (f.fd, &i, sizeof i), sizeof i);
    }
    zt_fast_close (&f);
    int changes = 0;
    for (int n = 0; n < atomic_load (&hits->count); n++) {
        const hit_t *hit = &hits->all[n], *then = hit + 1, *end = &hits->all[atomic_load (&hits->count)];
        if (hit->probe != DRIVER)
            continue;
        changes++;
        CHECK (hit->args[1] <= 3);
        while (then < end && (then->probe != DRIVER || then->args[0] != hit->args[0]))
            then++;
        if (then < end)
            CHECK ((then->args[1] == 0) != (hit->args[1] == 0));
    }
    CHECK (changes > 2);
}

/* How many of the pages around the probes are in memory; 0: nobody can tell. */
static int resident_pages (void)
{
    uint64_t entries[PAGES];
    const off_t first = (off_t) ((long) (uintptr_t) probes[0].at / sysconf (_SC_PAGESIZE) - PAGES / 2);
    int found = 0, fd = open ("/proc/self/pagemap", O_RDONLY);
    if (fd < 0 || pread (fd, entries, sizeof entries, first * 8) != (ssize_t) sizeof entries)
        memset (entries, 0, sizeof entries);
    for (int i = 0; i < PAGES; i++)
        found += (int) (entries[i] >> 63);
    close (fd);
    return found;
}

/* Reads a byte of each page around the probes. AddressSanitizer would take what lies between two variables there for a fault. */
__attribute__ ((no_sanitize_address)) static void touch_pages (void)
{
    for (int i = -PAGES / 2; i < PAGES / 2; i++)
        (void) *(const volatile uint8_t *) &probes[0].at[i * sysconf (_SC_PAGESIZE)];
}

/* Nobody passes a probe at which nobody looks; what the system has put into its place stays when the library gives its pages back. */
static void do_unwatched (void)
{
    touch_pages ();
    const bool can_tell = resident_pages () > PAGES / 2;
    zt_fast_t f = zt_fast_open ();
    if (can_tell)
        ZT_UNTIL (resident_pages () < PAGES / 2);
    uint8_t body[8] = {1, 2};
    for (int i = 0; i < FRAMES; i++) {
        zt_write_frame (f.fd, body, sizeof body);
        zt_fast_expect (f.s, f.peer, body, sizeof body);
        zt_fast_send (f.s, f.peer, body, sizeof body);
        CHECK_EQ (zt_read_frame (f.fd, body, sizeof body), sizeof body);
    }
    zt_fast_close (&f);
    for (int p = 0; can_tell && p < PROBES; p++)
        CHECK_MEM (probes[p].at, trap, TRAP_BYTES);
}

#define CASE(name, traced)                                   \
    static void name (void) { alone (do_##name, (traced)); }
CASE (connections, true)
CASE (frames, true)
CASE (frames_of_a_batch, true)
CASE (frames_in_the_mode_compat, true)
CASE (refusals, true)
CASE (drivers_take_turns, true)
CASE (unwatched, false)

static const zt_case_t cases[] = {
  ZT_CASE (the_notes_name_them),
  ZT_CASE (connections),
  ZT_CASE (frames),
  ZT_CASE (frames_of_a_batch),
  ZT_CASE (frames_in_the_mode_compat),
  ZT_CASE (refusals),
  ZT_CASE (drivers_take_turns),
  ZT_CASE (unwatched),
};

ZT_MAIN (cases)
