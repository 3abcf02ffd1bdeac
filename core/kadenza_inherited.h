/* kadenza_inherited.h: nodes on sockets that another program has bound.
 *
 * A service manager or a parent process may bind the UDP sockets of a node and
 * hand their descriptors over: the node needs no right to bind a low port, and
 * datagrams wait in the sockets while it restarts. */
#ifndef KADENZA_INHERITED_H
#define KADENZA_INHERITED_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns why a node cannot use the descriptor `fd`, such as "is not a UDP
 * socket": a text that follows the name of the descriptor and is always valid.
 * Returns NULL if a node can use it, and sets `*address`, unless NULL, to what
 * the socket is bound to. Changes nothing. */
KAD_API const char *kad_inherited_socket_problem(int fd,
                                                 struct kad_address *address);

/* Opens a node, as kad_network_open_node does, on `count` (1 … 8) UDP sockets
 * that are bound already. An IPv6 socket must not take IPv4 (IPV6_V6ONLY).
 * Owns: the descriptors, once this returns 0; the node closes them. They become
 * non-blocking, and close when the process starts another program.
 * Returns 0, an error of kad_node_new, or, with the descriptors still the
 * caller's,
 *   KAD_EINVAL   no or too many sockets, one that is given twice or that
 *                kad_inherited_socket_problem refuses, or another network than
 *                one of UDP sockets
 *   KAD_ESYSTEM  the loop cannot watch one: see kad_network_failure
 *   KAD_ECLOSED  the network is being freed */
KAD_API KAD_MUST_CHECK int kad_network_open_on_sockets(
    struct kad_network *network, const struct kad_config *config,
    const int *sockets, size_t count, struct kad_node **node);

#ifdef __cplusplus
}
#endif

#endif
