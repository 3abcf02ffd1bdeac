/* Nodes on descriptors: sockets that they can use, others, and none. */
#define _POSIX_C_SOURCE 200809L

#include "calls.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  SOCKETS_MAX = 10 /* a node takes at most 8 */
};

/* Returns a socket that is bound to a free port of this machine, or not. */
static int make_socket(struct kad_calls *it) {
  const int type = kad_values_below(it, 8) > 0 ? SOCK_DGRAM : SOCK_STREAM;
  const int family = kad_values_below(it, 8) > 0 ? AF_INET : AF_UNIX;
  const struct sockaddr_in any = {
      .sin_family = AF_INET,
      .sin_addr = {htonl(INADDR_LOOPBACK)},
  };
  const int fd = socket(family, type, 0);
  if (fd >= 0 && kad_values_below(it, 8) > 0) {
    (void)bind(fd, (const struct sockaddr *)&any, sizeof any);
  }
  return fd;
}

void kad_calls_special_kad_network_open_on_sockets(struct kad_calls *it) {
  struct kad_calls_node *place = kad_calls_room(it);
  struct kad_network *network = kad_calls_network(it);
  struct kad_node *node = NULL;
  const size_t made = kad_values_below(it, SOCKETS_MAX + 1);
  int sockets[SOCKETS_MAX + 1];
  for (size_t i = 0; i < made; i++) {
    sockets[i] = make_socket(it);
  }
  sockets[made] = made > 0 && kad_values_below(it, 2) > 0 ? sockets[0] : -1;
  const size_t count = made + (kad_values_below(it, 8) == 0 ? 1 : 0);
  if (place != NULL &&
      kad_network_open_on_sockets(network, kad_values_config(it), sockets,
                                  count, &node) == 0) {
    *place = (struct kad_calls_node){node, network};
    return;
  }
  for (size_t i = 0; i < made; i++) {
    (void)close(sockets[i]);
  }
}
