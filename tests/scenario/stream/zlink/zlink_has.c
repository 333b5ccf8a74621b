/* SPDX-License-Identifier: MPL-2.0 */
/* Whether libzlink has a capability, such as a transport. Exit code: 0 it has,
 * 1 it has not, and says so, 2 wrong use. */
#include <zlink.h>

#include <stdio.h>

int main (int argc, char **argv)
{
    if (argc != 2) {
        fprintf (stderr, "usage: %s CAPABILITY\n", argv[0]);
        return 2;
    }
    if (zlink_has (argv[1]))
        return 0;
    printf ("libzlink has no %s\n", argv[1]);
    return 1;
}
