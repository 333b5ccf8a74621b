/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a program or a binding finds that was made for a library with services:
 * every name of the headers is there when it loads, and services are refused.
 * This program is linked to resolve its names at its start.
 */
#include "ztest.h"

#include <dlfcn.h>
#include <stdio.h>
#include <zlink_services.h>

typedef void (function) (void);

typedef struct
{
    const char *name;
    function *linked;
} name_t;

#define NAME(name) {#name, (function *) name},
static const name_t names[] = {
#include "names.h"
};
#undef NAME

enum
{
    NAMES = sizeof names / sizeof *names,
    SERVICES = 63,
    OTHERS_LEAST = 65 /* of the library whose callers load here */
};

static bool is_service (const char *name)
{
    static const char *const layers[] = {"zlink_registry_", "zlink_discovery_",
                                         "zlink_gateway_", "zlink_receiver_",
                                         "zlink_spot_"};

    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strncmp (name, layers[i], strlen (layers[i])) == 0)
            return true;
    return false;
}

static void every_name_resolves (void)
{
    void *library = dlopen (LIBRARY, RTLD_NOW | RTLD_LOCAL);
    int services = 0;

    CHECK (library != NULL);
    for (int i = 0; i < NAMES; i++) {
        uintptr_t found = (uintptr_t) dlsym (library, names[i].name);
        if (found != (uintptr_t) names[i].linked)
            fprintf (stderr, "not found: %s\n", names[i].name);
        CHECK (found && found == (uintptr_t) names[i].linked);
        services += is_service (names[i].name);
    }
    CHECK_EQ (services, SERVICES);
    CHECK (NAMES - services >= OTHERS_LEAST);
}

#define CHECK_REFUSED(call)                                                    \
    do {                                                                       \
        errno = 0;                                                             \
        call;                                                                  \
        CHECK_STR (zlink_error_detail (), "services are not in this library"); \
    } while (0)

static void services_are_refused (void)
{
    void *ctx = zt_ctx ();
    void *handle = NULL;
    zlink_msg_t part, *parts = &part;
    size_t count = 1;
    char text[256] = "untouched";

    CHECK_OK (zlink_msg_init (&part));
    CHECK_REFUSED (CHECK_NULL (zlink_registry_new (ctx), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_discovery_new_typed (ctx, 1), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_gateway_new (ctx, NULL, "gw"), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_gateway_router (NULL), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_receiver_new (ctx, "r"), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_receiver_router (NULL), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_spot_node_new (ctx), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_spot_pub_new (NULL), ENOTSUP));
    CHECK_REFUSED (CHECK_NULL (zlink_spot_sub_new (NULL), ENOTSUP));

    CHECK_REFUSED (CHECK_FAIL (zlink_registry_destroy (&handle), ENOTSUP));
    CHECK_REFUSED (
      CHECK_FAIL (zlink_gateway_send (NULL, "s", &part, 1, 0), ENOTSUP));
    CHECK_REFUSED (
      CHECK_FAIL (zlink_spot_sub_recv (NULL, &parts, &count, 0, text, &count),
                  ENOTSUP));
    CHECK_EQ (count, 1);
    CHECK_STR (text, "untouched");
    CHECK (parts == &part);
    CHECK_OK (zlink_msg_close (&part));
    zt_term (ctx);
}

/* All that return an int, called as a binding does that found them by name. */
static void every_call_fails (void)
{
    int calls = 0;

    for (int i = 0; i < NAMES; i++) {
        const char *last = strrchr (names[i].name, '_');
        if (!is_service (names[i].name) || strcmp (last, "_new") == 0
            || strcmp (last, "_typed") == 0 || strcmp (last, "_router") == 0)
            continue;
        CHECK_REFUSED (
          CHECK_FAIL (((int (*) (void)) names[i].linked) (), ENOTSUP));
        calls++;
    }
    CHECK_EQ (calls, 54);
}

static const zt_case_t cases[] = {
  ZT_CASE (every_name_resolves),
  ZT_CASE (services_are_refused),
  ZT_CASE (every_call_fails),
};

ZT_MAIN (cases)
