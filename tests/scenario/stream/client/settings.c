/* SPDX-License-Identifier: MPL-2.0 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_value (const struct setting *setting,
                      const char *source,
                      const char *text)
{
    if (setting->kind == SETTING_TEXT) {
        *(const char **) setting->value = text;
        return 0;
    }
    char *end;
    double number;
    errno = 0;
    if (setting->kind == SETTING_INTEGER)
        number = (double) strtol (text, &end, 10);
    else
        number = strtod (text, &end);
    if (*text == '\0' || *end != '\0' || errno) {
        fprintf (stderr, "%s: \"%s\" is not a number\n", source, text);
        return -1;
    }
    if (!(number >= setting->min && number <= setting->max)) {
        fprintf (stderr, "%s: %s is not in the range %.0f to %.0f\n", source,
                 text, setting->min, setting->max);
        return -1;
    }
    if (setting->kind == SETTING_INTEGER)
        *(long *) setting->value = (long) number;
    else
        *(double *) setting->value = number;
    return 0;
}

/* Whether flag, without its dashes and up to len characters, is name. */
static bool names_setting (const char *name, const char *flag, size_t len)
{
    if (strlen (name) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i] == '_' ? '-' : (char) tolower ((unsigned char) name[i]);
        if (flag[i] != c)
            return false;
    }
    return true;
}

static const struct setting *find_setting (const struct setting *table,
                                           size_t count,
                                           const char *flag,
                                           size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (names_setting (table[i].name, flag, len))
            return &table[i];
    return NULL;
}

static void print_help (const struct setting *table,
                        size_t count,
                        const char *program)
{
    printf ("usage: %s [--name value]...\n", program);
    for (size_t i = 0; i < count; i++) {
        char flag[40];
        size_t len = 0;
        for (const char *c = table[i].name; *c && len < sizeof flag - 1; c++)
            flag[len++] = *c == '_' ? '-' : (char) tolower ((unsigned char) *c);
        flag[len] = '\0';
        printf ("  --%-22s %s", flag, table[i].help);
        if (table[i].kind == SETTING_INTEGER)
            printf (" [%ld]", *(long *) table[i].value);
        else if (table[i].kind == SETTING_SECONDS)
            printf (" [%g s]", *(double *) table[i].value);
        else if (*(const char **) table[i].value)
            printf (" [%s]", *(const char **) table[i].value);
        printf ("%s\n", table[i].flag_only ? "" : " (also an environment variable)");
    }
}

static int read_environment (const struct setting *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = table[i].flag_only ? NULL : getenv (table[i].name);
        if (text && *text && set_value (&table[i], table[i].name, text) != 0)
            return -1;
    }
    return 0;
}

enum settings_result settings_read (const struct setting *table,
                                    size_t count,
                                    int argc,
                                    char **argv)
{
    if (read_environment (table, count) != 0)
        return SETTINGS_BAD;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp (arg, "--help") == 0) {
            print_help (table, count, argv[0]);
            return SETTINGS_HELP;
        }
        const char *equals = strchr (arg, '=');
        size_t len = equals ? (size_t) (equals - arg) : strlen (arg);
        const struct setting *setting = NULL;
        if (strncmp (arg, "--", 2) == 0)
            setting = find_setting (table, count, arg + 2, len - 2);
        if (!setting) {
            fprintf (stderr, "unknown argument \"%s\", see --help\n", arg);
            return SETTINGS_BAD;
        }
        const char *text = equals ? equals + 1 : argv[++i];
        if (!text) {
            fprintf (stderr, "%s needs a value\n", arg);
            return SETTINGS_BAD;
        }
        if (set_value (setting, arg, text) != 0)
            return SETTINGS_BAD;
    }
    return SETTINGS_OK;
}
