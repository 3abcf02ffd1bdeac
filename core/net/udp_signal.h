/* Signals of the process.
 *
 * Tested by tests/unit/net/network_test.c. */
#ifndef KAD_NET_UDP_SIGNAL_H
#define KAD_NET_UDP_SIGNAL_H

#include "net/udp.h"

/* `on_signal` of struct kad_network_methods. */
int kad_udp_signal_start(struct kad_network *network, int number,
                         void (*fire)(void *data), void *data);

/* Closes every signal handle. */
void kad_udp_signal_close(struct kad_udp *udp);

#endif
