/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The service layers above sockets (registry, discovery, gateway, receiver,
 * spot) are not in this library. Programs and bindings that were made for a
 * library with them resolve their functions when they load, so these are here
 * and fail: NULL or -1, errno ENOTSUP, and zlink_error_detail () is "services
 * are not in this library". No argument is looked at. Handles are void *, and
 * so are pointers to structures, which this header does not describe.
 *
 * zlink.h does not include this header. doc/api/services.md lists the functions.
 */
#ifndef ZLINK_SERVICES_H_INCLUDED
#define ZLINK_SERVICES_H_INCLUDED

#include <zlink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- registry */

ZLINK_EXPORT void *zlink_registry_new (void *context);
ZLINK_EXPORT int zlink_registry_set_endpoints (void *registry,
                                               const char *pub,
                                               const char *router);
ZLINK_EXPORT int zlink_registry_set_id (void *registry, uint32_t id);
ZLINK_EXPORT int zlink_registry_add_peer (void *registry, const char *endpoint);
ZLINK_EXPORT int zlink_registry_set_heartbeat (void *registry,
                                               uint32_t interval_ms,
                                               uint32_t timeout_ms);
ZLINK_EXPORT int zlink_registry_set_broadcast_interval (void *registry,
                                                        uint32_t interval_ms);
ZLINK_EXPORT int zlink_registry_setsockopt (
  void *registry, int role, int option, const void *optval, size_t optvallen);
ZLINK_EXPORT int zlink_registry_start (void *registry);
ZLINK_EXPORT int zlink_registry_destroy (void **registry_p);

/* --------------------------------------------------------------- discovery */

ZLINK_EXPORT void *zlink_discovery_new_typed (void *context, uint16_t type);
ZLINK_EXPORT int zlink_discovery_connect_registry (void *discovery,
                                                   const char *endpoint);
ZLINK_EXPORT int zlink_discovery_subscribe (void *discovery,
                                            const char *service);
ZLINK_EXPORT int zlink_discovery_unsubscribe (void *discovery,
                                              const char *service);
ZLINK_EXPORT int zlink_discovery_get_receivers (void *discovery,
                                                const char *service,
                                                void *receivers,
                                                size_t *count);
ZLINK_EXPORT int zlink_discovery_receiver_count (void *discovery,
                                                 const char *service);
ZLINK_EXPORT int zlink_discovery_service_available (void *discovery,
                                                    const char *service);
ZLINK_EXPORT int zlink_discovery_setsockopt (
  void *discovery, int role, int option, const void *optval, size_t optvallen);
ZLINK_EXPORT int zlink_discovery_destroy (void **discovery_p);

/* ----------------------------------------------------------------- gateway */

ZLINK_EXPORT void *
zlink_gateway_new (void *context, void *discovery, const char *routing_id);
ZLINK_EXPORT void *zlink_gateway_router (void *gateway);
ZLINK_EXPORT int zlink_gateway_send (void *gateway,
                                     const char *service,
                                     zlink_msg_t *parts,
                                     size_t count,
                                     int flags);
ZLINK_EXPORT int zlink_gateway_send_rid (void *gateway,
                                         const char *service,
                                         const zlink_routing_id_t *routing_id,
                                         zlink_msg_t *parts,
                                         size_t count,
                                         int flags);
ZLINK_EXPORT int zlink_gateway_recv (void *gateway,
                                     zlink_msg_t **parts,
                                     size_t *count,
                                     int flags,
                                     char *service);
ZLINK_EXPORT int zlink_gateway_set_lb_strategy (void *gateway,
                                                const char *service,
                                                int strategy);
ZLINK_EXPORT int zlink_gateway_set_tls_client (void *gateway,
                                               const char *ca,
                                               const char *hostname,
                                               int trust_system);
ZLINK_EXPORT int zlink_gateway_setsockopt (void *gateway,
                                           int option,
                                           const void *optval,
                                           size_t optvallen);
ZLINK_EXPORT int zlink_gateway_connection_count (void *gateway,
                                                 const char *service);
ZLINK_EXPORT int zlink_gateway_destroy (void **gateway_p);

/* ---------------------------------------------------------------- receiver */

ZLINK_EXPORT void *zlink_receiver_new (void *context, const char *routing_id);
ZLINK_EXPORT void *zlink_receiver_router (void *receiver);
ZLINK_EXPORT int zlink_receiver_bind (void *receiver, const char *endpoint);
ZLINK_EXPORT int zlink_receiver_connect_registry (void *receiver,
                                                  const char *endpoint);
ZLINK_EXPORT int zlink_receiver_register (void *receiver,
                                          const char *service,
                                          const char *endpoint,
                                          uint32_t weight);
ZLINK_EXPORT int zlink_receiver_register_result (void *receiver,
                                                 const char *service,
                                                 int *status,
                                                 char *endpoint,
                                                 char *message);
ZLINK_EXPORT int zlink_receiver_update_weight (void *receiver,
                                               const char *service,
                                               uint32_t weight);
ZLINK_EXPORT int zlink_receiver_unregister (void *receiver,
                                            const char *service);
ZLINK_EXPORT int zlink_receiver_set_tls_server (void *receiver,
                                                const char *cert,
                                                const char *key);
ZLINK_EXPORT int zlink_receiver_setsockopt (
  void *receiver, int role, int option, const void *optval, size_t optvallen);
ZLINK_EXPORT int zlink_receiver_destroy (void **receiver_p);

/* -------------------------------------------------------------------- spot */

ZLINK_EXPORT void *zlink_spot_node_new (void *context);
ZLINK_EXPORT int zlink_spot_node_bind (void *node, const char *endpoint);
ZLINK_EXPORT int zlink_spot_node_connect_registry (void *node,
                                                   const char *endpoint);
ZLINK_EXPORT int zlink_spot_node_connect_peer_pub (void *node,
                                                   const char *endpoint);
ZLINK_EXPORT int zlink_spot_node_disconnect_peer_pub (void *node,
                                                      const char *endpoint);
ZLINK_EXPORT int zlink_spot_node_register (void *node,
                                           const char *service,
                                           const char *endpoint);
ZLINK_EXPORT int zlink_spot_node_unregister (void *node, const char *service);
ZLINK_EXPORT int zlink_spot_node_set_discovery (void *node,
                                                void *discovery,
                                                const char *service);
ZLINK_EXPORT int zlink_spot_node_set_tls_server (void *node,
                                                 const char *cert,
                                                 const char *key);
ZLINK_EXPORT int zlink_spot_node_set_tls_client (void *node,
                                                 const char *ca,
                                                 const char *hostname,
                                                 int trust_system);
ZLINK_EXPORT int zlink_spot_node_setsockopt (
  void *node, int role, int option, const void *optval, size_t optvallen);
ZLINK_EXPORT int zlink_spot_node_destroy (void **node_p);

ZLINK_EXPORT void *zlink_spot_pub_new (void *node);
ZLINK_EXPORT int zlink_spot_pub_publish (void *pub,
                                         const char *topic,
                                         zlink_msg_t *parts,
                                         size_t count,
                                         int flags);
ZLINK_EXPORT int zlink_spot_pub_setsockopt (void *pub,
                                            int option,
                                            const void *optval,
                                            size_t optvallen);
ZLINK_EXPORT int zlink_spot_pub_destroy (void **pub_p);

ZLINK_EXPORT void *zlink_spot_sub_new (void *node);
ZLINK_EXPORT int zlink_spot_sub_subscribe (void *sub, const char *topic);
ZLINK_EXPORT int zlink_spot_sub_subscribe_pattern (void *sub,
                                                   const char *pattern);
ZLINK_EXPORT int zlink_spot_sub_unsubscribe (void *sub, const char *topic);
ZLINK_EXPORT int zlink_spot_sub_set_handler (void *sub,
                                             void (*handler) (const char *topic,
                                                              size_t topic_len,
                                                              const zlink_msg_t *parts,
                                                              size_t count,
                                                              void *arg),
                                             void *arg);
ZLINK_EXPORT int zlink_spot_sub_recv (void *sub,
                                      zlink_msg_t **parts,
                                      size_t *count,
                                      int flags,
                                      char *topic,
                                      size_t *topic_len);
ZLINK_EXPORT int zlink_spot_sub_setsockopt (void *sub,
                                            int option,
                                            const void *optval,
                                            size_t optvallen);
ZLINK_EXPORT int zlink_spot_sub_destroy (void **sub_p);

#ifdef __cplusplus
}
#endif

#endif
