/* SPDX-License-Identifier: MPL-2.0 */
#include "protocol_error.h"

#include <stddef.h>

const char *protocol_error_name (int error)
{
    static const char *const names[] = {
      "tls_certificate", "tls_failed", "tls_closed",
      "ws_refused", "ws_bad_upgrade", "ws_bad_accept",
      "ws_masked_frame", "ws_bad_opcode", "ws_reserved_bits",
      "ws_bad_control", "ws_closed"};
    _Static_assert (sizeof names / sizeof names[0]
                      == PROTOCOL_ERROR_END - PROTOCOL_ERROR_FIRST,
                    "every error has a name");
    if (error < PROTOCOL_ERROR_FIRST || error >= PROTOCOL_ERROR_END)
        return NULL;
    return names[error - PROTOCOL_ERROR_FIRST];
}
