/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The functions of zlink_services.h, which always fail. They are two functions under many
 * names, without parameters. A caller passes its arguments in registers and cleans up the
 * stack itself (System V on amd64, AAPCS64 on arm64), so a callee that reads no argument
 * need not declare any. For this reason the header is not included here; the test of the
 * exports compares the names.
 */
#include <errno.h>
#include <stddef.h>

#include "internal.h"

static int refuse (void)
{
    static const char why[] = "services are not in this library";

    zl_fail (ENOTSUP);
    zl_set_detail ((const unsigned char *) why, sizeof why - 1);
    return -1;
}

static void *refuse_new (void)
{
    refuse ();
    return NULL;
}

#define NEW(name) void *name (void) __attribute__ ((alias ("refuse_new")))
#define CALL(name) int name (void) __attribute__ ((alias ("refuse")))

NEW (zlink_discovery_new_typed);
NEW (zlink_gateway_new);
NEW (zlink_gateway_router);
NEW (zlink_receiver_new);
NEW (zlink_receiver_router);
NEW (zlink_registry_new);
NEW (zlink_spot_node_new);
NEW (zlink_spot_pub_new);
NEW (zlink_spot_sub_new);

CALL (zlink_discovery_connect_registry);
CALL (zlink_discovery_destroy);
CALL (zlink_discovery_get_receivers);
CALL (zlink_discovery_receiver_count);
CALL (zlink_discovery_service_available);
CALL (zlink_discovery_setsockopt);
CALL (zlink_discovery_subscribe);
CALL (zlink_discovery_unsubscribe);
CALL (zlink_gateway_connection_count);
CALL (zlink_gateway_destroy);
CALL (zlink_gateway_recv);
CALL (zlink_gateway_send);
CALL (zlink_gateway_send_rid);
CALL (zlink_gateway_set_lb_strategy);
CALL (zlink_gateway_set_tls_client);
CALL (zlink_gateway_setsockopt);
CALL (zlink_receiver_bind);
CALL (zlink_receiver_connect_registry);
CALL (zlink_receiver_destroy);
CALL (zlink_receiver_register);
CALL (zlink_receiver_register_result);
CALL (zlink_receiver_set_tls_server);
CALL (zlink_receiver_setsockopt);
CALL (zlink_receiver_unregister);
CALL (zlink_receiver_update_weight);
CALL (zlink_registry_add_peer);
CALL (zlink_registry_destroy);
CALL (zlink_registry_set_broadcast_interval);
CALL (zlink_registry_set_endpoints);
CALL (zlink_registry_set_heartbeat);
CALL (zlink_registry_set_id);
CALL (zlink_registry_setsockopt);
CALL (zlink_registry_start);
CALL (zlink_spot_node_bind);
CALL (zlink_spot_node_connect_peer_pub);
CALL (zlink_spot_node_connect_registry);
CALL (zlink_spot_node_destroy);
CALL (zlink_spot_node_disconnect_peer_pub);
CALL (zlink_spot_node_register);
CALL (zlink_spot_node_set_discovery);
CALL (zlink_spot_node_set_tls_client);
CALL (zlink_spot_node_set_tls_server);
CALL (zlink_spot_node_setsockopt);
CALL (zlink_spot_node_unregister);
CALL (zlink_spot_pub_destroy);
CALL (zlink_spot_pub_publish);
CALL (zlink_spot_pub_setsockopt);
CALL (zlink_spot_sub_destroy);
CALL (zlink_spot_sub_recv);
CALL (zlink_spot_sub_set_handler);
CALL (zlink_spot_sub_setsockopt);
CALL (zlink_spot_sub_subscribe);
CALL (zlink_spot_sub_subscribe_pattern);
CALL (zlink_spot_sub_unsubscribe);
