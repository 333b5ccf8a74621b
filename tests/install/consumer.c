/* SPDX-License-Identifier: MPL-2.0 */
/* The least a caller does: the header and the library agree, a context lives
 * and ends. */
#include <zlink.h>
#include <zlink_services.h>
#include <zlink_utils.h>

int main (void)
{
    int major, minor, patch;
    void *context;

    zlink_version (&major, &minor, &patch);
    if (ZLINK_MAKE_VERSION (major, minor, patch) != ZLINK_VERSION) {
        fprintf (stderr, "the library is %d.%d.%d\n", major, minor, patch);
        return 1;
    }
    context = zlink_ctx_new ();
    if (!context || zlink_ctx_term (context) != 0) {
        fprintf (stderr, "context: %s\n", zlink_strerror (zlink_errno ()));
        return 1;
    }
    return 0;
}
