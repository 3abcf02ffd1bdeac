/* kadenza_socket.h: what the UDP sockets of a node could not send or receive.
 *
 * A send that fails stops nothing: the datagram is lost, as in any network, and
 * counted by its error. An address that has gone, or a socket that has no route
 * to the receiver, is no failure while another local address or socket of the
 * node has one: the datagram leaves from there. */
#ifndef KADENZA_SOCKET_H
#define KADENZA_SOCKET_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Counters of the sockets of a node since its start. Name, text. Each name but
 * the last three is that of a value of errno. */
#define KAD_SOCKET_STATS_MAP(X)                                             \
  X(send_eacces, "datagrams not sent: permission denied (EACCES)")          \
  X(send_eaddrnotavail, "datagrams not sent: no local address "             \
                        "(EADDRNOTAVAIL)")                                  \
  X(send_eagain, "datagrams not sent: the socket's buffer is full "         \
                 "(EAGAIN)")                                                \
  X(send_econnrefused, "datagrams not sent: refused (ECONNREFUSED)")        \
  X(send_ehostunreach, "datagrams not sent: no route to the host "          \
                       "(EHOSTUNREACH)")                                    \
  X(send_einval, "datagrams not sent: no route from the local address "     \
                 "(EINVAL)")                                                \
  X(send_emsgsize, "datagrams not sent: too long for the route (EMSGSIZE)") \
  X(send_enetdown, "datagrams not sent: the interface is down (ENETDOWN)")  \
  X(send_enetunreach, "datagrams not sent: no socket has a route "          \
                      "(ENETUNREACH)")                                      \
  X(send_enobufs, "datagrams not sent: the interface's queue is full "      \
                  "(ENOBUFS)")                                              \
  X(send_eperm, "datagrams not sent: a firewall refuses them (EPERM)")      \
  X(send_other, "datagrams not sent: another error")                        \
  X(send_rerouted, "datagrams sent from another local address or socket")   \
  X(receive_errors, "errors of sockets while they receive")

struct kad_socket_stats {
#define KAD_SOCKET_STATS_FIELD(name, text) uint64_t name;
  KAD_SOCKET_STATS_MAP(KAD_SOCKET_STATS_FIELD)
#undef KAD_SOCKET_STATS_FIELD
};

/* A datagram that could not be sent. */
struct kad_send_failure {
  uint64_t count; /* of all datagrams that were not sent; 0: none so far */
  int error;      /* the value of errno for the latest */
  struct kad_address to;
  char error_name[24]; /* such as "EINVAL" */
  char error_text[64]; /* such as "invalid argument" */
};

/* Sets `*stats` to the counters of the node's sockets, and `*failure`, unless
 * NULL, to the latest failure. All are 0 for a node without UDP sockets.
 * Returns 0, or KAD_EINVAL for a node of another network. */
KAD_API int kad_network_socket_stats(const struct kad_network *network,
                                     const struct kad_node *node,
                                     struct kad_socket_stats *stats,
                                     struct kad_send_failure *failure);

#ifdef __cplusplus
}
#endif

#endif
