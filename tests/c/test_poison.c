/* SPDX-License-Identifier: MPL-2.0 */
/* A message that is used after it was closed: the memory checker has to end the
 * process with a report, as free blocks of the pools are poisoned. Only in
 * sanitized builds. */
#include "ztest.h"
#include "zfast.h"

#include <stdio.h>

static void use_after_close (void)
{
    enum
    {
        size = 600000
    }; /* more than a read buffer: it has its own */
    static uint8_t body[size];
    zt_fast_t f = zt_fast_open ();
    zlink_msg_t msg;

    zt_write_frame (f.fd, body, size);
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, f.s, 0), size);
    const volatile uint8_t *data = zlink_msg_data (&msg);
    CHECK_EQ (data[size - 1], 0);
    CHECK_OK (zlink_msg_close (&msg));
    int seen = data[size - 1];
    printf ("nobody saw the use of a closed message: %d\n", seen);
    zt_fast_close (&f);
}

static const zt_case_t cases[] = {
  ZT_CASE (use_after_close),
};

ZT_MAIN (cases)
