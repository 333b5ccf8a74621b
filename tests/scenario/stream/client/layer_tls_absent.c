/* SPDX-License-Identifier: MPL-2.0 */
/* In the place of layer_tls.c where there is no OpenSSL to build with. */
#include "layer.h"

const struct layer_kind layer_tls = {.prepare = NULL};
