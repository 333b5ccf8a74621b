/* SPDX-License-Identifier: MPL-2.0 */
/*
 * USDT probes: an instruction that does nothing, and a note in the file that says where it is
 * and where its arguments are. The system replaces the instruction while a tracer looks, and counts
 * the tracers in zl_probes. Nothing calls zl_probe as long as nobody looks.
 *
 * The form of a note (section .note.stapsdt, type 3, owner "stapsdt"): the address of the
 * instruction, that of the section .stapsdt.base, by which a tool sees that both have been moved,
 * that of the semaphore, then three texts: provider, name, arguments. An argument is its size in
 * bytes, "@", and the operand of the assembler that has it.
 */
#include "probe.h"

/* The section must have bytes in the file: by their place there the system finds it in memory. */
uint32_t zl_probes[ZL_PROBE_COUNT] __attribute__ ((section (".probes"), used));

__asm__ (".pushsection .stapsdt.base,\"a\",%progbits\n"
         "zl_stapsdt_base: .space 1\n"
         ".popsection\n");

#define NOTE(name, arguments)                            \
    "990: nop\n"                                         \
    ".pushsection .note.stapsdt,\"\",%%note\n"           \
    ".balign 4\n"                                        \
    ".4byte 992f - 991f, 994f - 993f, 3\n"               \
    "991: .asciz \"stapsdt\"\n"                          \
    "992: .balign 4\n"                                   \
    "993: .8byte 990b, zl_stapsdt_base, zl_probes+%c0\n" \
    ".asciz \"zlink\"\n"                                 \
    ".asciz \"" name "\"\n"                              \
    ".asciz \"" arguments "\"\n"                         \
    "994: .balign 4\n"                                   \
    ".popsection\n"

#define PROBE(number, name, arguments, ...)                                                 \
    __asm__ volatile (NOTE (name, arguments) : : "i"(4 * (number)), __VA_ARGS__ : "memory")
#define IN(value) "r"((uint64_t) (value))

/* Not inlined, so that each probe is in one place. */
__attribute__ ((noinline)) void
zl_probe (int probe, uint64_t socket, uint32_t peer, uint64_t a, uint64_t b, const char *text)
{
    const uintptr_t says = (uintptr_t) text;
    switch (probe) {
        case ZL_PROBE_ACCEPT:
            PROBE (ZL_PROBE_ACCEPT, "accept", "8@%1 8@%2 8@%3 8@%4", IN (socket), IN (peer), IN (says), IN (a));
            break;
        case ZL_PROBE_CLOSE:
            PROBE (ZL_PROBE_CLOSE, "close", "8@%1 8@%2 8@%3 8@%4 8@%5", IN (socket), IN (peer), IN (says), IN (a), IN (b));
            break;
        case ZL_PROBE_TURN_AWAY:
            PROBE (ZL_PROBE_TURN_AWAY, "turn_away", "8@%1 8@%2 8@%3", IN (socket), IN (says), IN (a));
            break;
        case ZL_PROBE_FRAME_IN:
            PROBE (ZL_PROBE_FRAME_IN, "frame_in", "8@%1 8@%2 8@%3 8@%4", IN (socket), IN (peer), IN (a), IN (b));
            break;
        case ZL_PROBE_FRAME_TAKEN:
            PROBE (ZL_PROBE_FRAME_TAKEN, "frame_taken", "8@%1 8@%2 8@%3 8@%4", IN (socket), IN (peer), IN (a), IN (b));
            break;
        case ZL_PROBE_FRAME_OUT:
            PROBE (ZL_PROBE_FRAME_OUT, "frame_out", "8@%1 8@%2 8@%3 8@%4", IN (socket), IN (peer), IN (a), IN (b));
            break;
        case ZL_PROBE_REFUSE:
            PROBE (ZL_PROBE_REFUSE, "refuse", "8@%1 8@%2 8@%3", IN (socket), IN (peer), IN (a));
            break;
        case ZL_PROBE_DRIVER:
            PROBE (ZL_PROBE_DRIVER, "driver", "8@%1 8@%2", IN (socket), IN (a));
            break;
    }
}
