/* SPDX-License-Identifier: MPL-2.0 */
/* Settings of a scenario program: a table of named values, each read from an
 * environment variable (CONNECT_CONCURRENCY) and then from a flag of the same
 * name (--connect-concurrency), which wins. */
#ifndef SCENARIO_SETTINGS_H
#define SCENARIO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

enum setting_kind
{
    SETTING_INTEGER, /* long */
    SETTING_SECONDS, /* double */
    SETTING_TEXT     /* const char *, into argv or the environment */
};

struct setting
{
    const char *name; /* as in the environment: upper case, underscores */
    enum setting_kind kind;
    bool flag_only;  /* too common a name to be taken from the environment */
    void *value;     /* holds the default before, the result after */
    double min, max; /* inclusive range of a number */
    const char *help;
};

enum settings_result
{
    SETTINGS_OK,
    SETTINGS_HELP, /* --help was asked for and printed */
    SETTINGS_BAD   /* the error was printed to stderr */
};

enum settings_result settings_read (const struct setting *table,
                                    size_t count,
                                    int argc,
                                    char **argv);

#endif
