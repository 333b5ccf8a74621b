// SPDX-License-Identifier: MPL-2.0
// As consumer.c, from C++, which also tries the C linkage of a callback.
#include <zlink.h>

extern "C" void count (int, void *calls)
{
    ++*static_cast<int *> (calls);
}

static bool timers_work ()
{
    int calls = 0;
    void *timers = zlink_timers_new ();
    const bool ran = zlink_timers_add (timers, 0, count, &calls) == 1
                     && zlink_timers_execute (timers) == 0 && calls == 1;
    return zlink_timers_destroy (&timers) == 0 && ran;
}

int main ()
{
    int major, minor, patch;
    zlink_version (&major, &minor, &patch);
    if (ZLINK_MAKE_VERSION (major, minor, patch) != ZLINK_VERSION)
        return 1;
    void *context = zlink_ctx_new ();
    return context && zlink_ctx_term (context) == 0 && timers_work () ? 0 : 1;
}
