/* SPDX-License-Identifier: MPL-2.0 */
/* The bare echo, as a limit for the other servers: bytes are sent back as they were
 * read, with no look at frames; over tls decrypted and encrypted, over ws unmasked. */
#include "loop.h"
#include "process.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

struct program
{
    struct loop_settings loop;
    const char *transport, *certificate, *key;
};

/* 0, or the exit code. */
static int choose_protocol (struct program *program)
{
    const char *name = program->transport;
    bool web = strcmp (name, "ws") == 0 || strcmp (name, "wss") == 0;
    bool tls = strcmp (name, "tls") == 0 || strcmp (name, "wss") == 0;
    if (!web && !tls && strcmp (name, "tcp") != 0) {
        fprintf (stderr, "there is no bare echo over %s\n", name);
        return 2;
    }
    program->loop.protocol = web ? &ws_protocol : NULL;
    if (!tls)
        return 0;
    program->loop.protocol =
      tls_protocol (program->loop.protocol, program->certificate, program->key,
                    (size_t) program->loop.buffer_size);
    return program->loop.protocol ? 0 : 2;
}

int main (int argc, char **argv)
{
    struct program program = {.loop = {.listener = LISTENER_DEFAULTS,
                                       .io_threads = 2,
                                       .buffer_size = 65536},
                              .transport = "tcp"};
    const struct setting table[] = {
      LISTENER_SETTINGS (program.loop.listener),
      {"IO_THREADS", SETTING_INTEGER, false, &program.loop.io_threads, 1, 1024,
       "threads"},
      {"BUFFER", SETTING_INTEGER, true, &program.loop.buffer_size, 4096,
       1 << 30, "bytes of a thread's read buffer"},
      {"TRANSPORT", SETTING_TEXT, true, &program.transport, 0, 0,
       "tcp, tls, ws or wss"},
      {"TLS_CERT", SETTING_TEXT, false, &program.certificate, 0, 0,
       "PEM file of the certificate"},
      {"TLS_KEY", SETTING_TEXT, false, &program.key, 0, 0,
       "PEM file of its key"},
    };
    enum settings_result settings =
      settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    program.loop.max_descriptors = process_raise_descriptor_limit ();
    if (program.loop.max_descriptors < 0) {
        perror ("descriptor limit");
        return 1;
    }
    int code = choose_protocol (&program);
    return code ? code : loop_serve (&program.loop);
}
