/* SPDX-License-Identifier: MPL-2.0 */
#include "tally.h"

#include "protocol_error.h"

#include <stdio.h>
#include <string.h>

#define MAX_INCOMPLETE_RATIO 0.01

void tally_error (struct tally *tally, int error)
{
    if (error < 0 || error >= TALLY_ERRORS)
        error = TALLY_ERRORS - 1;
    tally->errors[error]++;
}

double tally_incomplete_ratio (const struct tally *tally)
{
    if (tally->sent == 0)
        return 0;
    return (double) (tally->sent - tally->recv) / (double) tally->sent;
}

/* Appends an item to a list separated by semicolons. */
static void append (char *text, size_t size, const char *item)
{
    size_t used = strlen (text);
    snprintf (text + used, size - used, "%s%s", used ? ";" : "", item);
}

void tally_errors_text (const struct tally *tally, char *text, size_t size)
{
    text[0] = '\0';
    for (int error = 0; error < TALLY_ERRORS; error++) {
        if (tally->errors[error] == 0)
            continue;
        const char *name = error == 0 ? "EOF" : protocol_error_name (error);
        if (!name)
            name = strerrorname_np (error);
        char item[64];
        snprintf (item, sizeof item, "%s:%llu", name ? name : "EOTHER",
                  (unsigned long long) tally->errors[error]);
        append (text, size, item);
    }
    if (text[0] == '\0')
        append (text, size, "-");
}

bool tally_verdict (const struct tally *tally,
                    uint64_t ccu,
                    bool has_traffic,
                    char *reasons,
                    size_t size)
{
    const struct
    {
        bool failed;
        const char *reason;
    } checks[] = {
      {tally->server_ended, "server_ended"},
      {tally->deadline, "deadline"},
      {tally->connect_fail > 0, "connect_fail"},
      {tally->connect_timeout > 0, "connect_timeout"},
      {tally->connect_success != ccu, "connect_incomplete"},
      {tally->lost > 0, "connection_lost"},
      {tally->wrong_length > 0, "wrong_length"},
      {tally->wrong_bytes > 0, "wrong_bytes"},
      {tally->wrong_connection > 0, "wrong_connection"},
      {tally->wrong_number > 0, "wrong_number"},
      {tally->gating_violation > 0, "gating_violation"},
      {has_traffic && tally->recv == 0, "no_answer"},
      {tally_incomplete_ratio (tally) > MAX_INCOMPLETE_RATIO, "incomplete"},
      {tally->drain_timeout > 0, "drain_timeout"},
    };
    reasons[0] = '\0';
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (checks[i].failed)
            append (reasons, size, checks[i].reason);
    for (int error = PROTOCOL_ERROR_FIRST; error < PROTOCOL_ERROR_END; error++)
        if (tally->errors[error] > 0)
            append (reasons, size, protocol_error_name (error));
    bool passed = reasons[0] == '\0';
    if (passed)
        append (reasons, size, "-");
    return passed;
}
