/* Names, looked up by the system's resolver in a thread of libuv's.
 *
 * Tested by tests/unit/net/network_test.c. */
#ifndef KAD_NET_UDP_RESOLVE_H
#define KAD_NET_UDP_RESOLVE_H

#include "net/udp.h"

/* `resolve` of struct kad_network_methods. */
int kad_udp_resolve(struct kad_network *network, const char *host,
                    uint16_t port, kad_resolved_fn resolved, void *data);

/* Cancels the look-ups that have not begun. The others end without a call of
 * `resolved`. */
void kad_udp_resolve_cancel(struct kad_udp *udp);

#endif
