/* uv.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "net/udp/udp_failure.h"

#include <errno.h>

bool kad_udp_failure_is_of_route(int error) {
  switch (error) {
  case EADDRNOTAVAIL: /* the local address is gone */
  case EHOSTUNREACH:
  case EINVAL: /* the local address is gone, or another network's */
  case ENETDOWN:
  case ENETUNREACH:
  case ENODEV: /* the interface is gone */
  case ENXIO:
    return true;
  default:
    return false;
  }
}

static uint64_t *find_counter(struct kad_socket_stats *stats, int error) {
  switch (error) {
  case EACCES:
    return &stats->send_eacces;
  case EADDRNOTAVAIL:
    return &stats->send_eaddrnotavail;
  case EAGAIN:
    return &stats->send_eagain;
  case ECONNREFUSED:
    return &stats->send_econnrefused;
  case EHOSTUNREACH:
    return &stats->send_ehostunreach;
  case EINVAL:
    return &stats->send_einval;
  case EMSGSIZE:
    return &stats->send_emsgsize;
  case ENETDOWN:
    return &stats->send_enetdown;
  case ENETUNREACH:
    return &stats->send_enetunreach;
  case ENOBUFS:
    return &stats->send_enobufs;
  case EPERM:
    return &stats->send_eperm;
  default:
    return &stats->send_other;
  }
}

void kad_udp_failure_count(struct kad_udp_member *member, int error,
                           const struct kad_address *to) {
  (*find_counter(&member->stats, error))++;
  member->failure.count++;
  member->failure.error = error;
  member->failure.to = *to;
}
