/* For what uv.h needs. */
#define _GNU_SOURCE

#include "net/udp/udp_route.h"

#include "base/address.h"
#include "net/udp/udp.h"
#include "net/udp/udp_failure.h"
#include "net/udp/udp_interface.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
  BROKEN_MS = 5000 /* how long a local address that was refused is not used */
};

static socklen_t size_of(const struct kad_address *address) {
  return address->family == 4 ? sizeof(struct sockaddr_in)
                              : sizeof(struct sockaddr_in6);
}

/* Connects a socket that is bound to `local`, unless NULL, to `to`, which sends
 * nothing, and sets `*chosen` to its local address. Returns 0 or an errno. */
static int probe(const struct kad_address *local, const struct kad_address *to,
                 struct kad_address *chosen) {
  union kad_socket_address system;
  const int family = to->family == 4 ? AF_INET : AF_INET6;
  const int fd = socket(family, SOCK_DGRAM, 0);
  if (fd < 0) {
    return errno;
  }
  int error = 0;
  if (local != NULL) {
    struct kad_address any_port = *local;
    any_port.port = 0;
    kad_udp_address_to_system(&any_port, &system);
    error = bind(fd, &system.any, size_of(local)) == 0 ? 0 : errno;
  }
  kad_udp_address_to_system(to, &system);
  if (error == 0 && connect(fd, &system.any, size_of(to)) != 0) {
    error = errno;
  }
  socklen_t len = sizeof system;
  if (error == 0 && getsockname(fd, &system.any, &len) != 0) {
    error = errno;
  }
  (void)close(fd);
  if (error == 0) {
    kad_udp_address_from_system(&system.any, chosen);
  }
  return error;
}

bool kad_udp_route_is_possible(const struct kad_udp_socket *socket,
                               const struct kad_address *to) {
  const struct kad_address *bound =
      &socket->member->base.addresses[socket->index];
  struct kad_address chosen;
  if (bound->family != to->family) {
    return false;
  }
  if (!socket->is_loopback || kad_udp_address_is_loopback(to)) {
    return true;
  }
  /* The system takes an address of its own for one that it reaches itself. */
  return probe(NULL, to, &chosen) == 0 &&
         (kad_address_same_ip(&chosen, to) ||
          kad_udp_address_is_loopback(&chosen));
}

/* Returns the number of leading bits that the addresses share. */
static unsigned shared_bits(const struct kad_address *a,
                            const struct kad_address *b) {
  unsigned bits = 0;
  while (bits < 128 &&
         ((a->ip[bits / 8] ^ b->ip[bits / 8]) >> (7 - bits % 8) & 1) == 0) {
    bits++;
  }
  return bits;
}

/* How well a socket fits a receiver: the more, the better. */
enum {
  FITS_NOT = 0,
  FITS_SOMEHOW = 1, /* and the more leading bits are shared, the better */
  FITS_ANY = 1000,  /* a wildcard socket: the system chooses the address */
  FITS_BEST = 1001  /* bound to the address that the system would choose */
};

static unsigned rate(const struct kad_udp_socket *socket,
                     const struct kad_address *to,
                     const struct kad_address *chosen) {
  const struct kad_address *bound =
      &socket->member->base.addresses[socket->index];
  if (bound->family != to->family) {
    return FITS_NOT;
  }
  if (chosen->family != 0 && kad_address_same_ip(bound, chosen)) {
    return FITS_BEST;
  }
  if (socket->is_wildcard) {
    return FITS_ANY;
  }
  return kad_udp_route_is_possible(socket, to)
             ? FITS_SOMEHOW + shared_bits(bound, to)
             : FITS_NOT;
}

/* Returns the socket that fits best, the first of equals; NULL if none can
 * reach `to`. */
static struct kad_udp_socket *choose_socket(struct kad_udp_member *member,
                                            const struct kad_address *to) {
  struct kad_address chosen = {0};
  struct kad_udp_socket *best = NULL;
  unsigned best_rating = FITS_NOT;
  (void)probe(NULL, to, &chosen);
  for (size_t i = 0; i < member->base.address_count; i++) {
    const unsigned rating = rate(&member->sockets[i], to, &chosen);
    if (rating > best_rating) {
      best = &member->sockets[i];
      best_rating = rating;
    }
  }
  return best;
}

/* Returns the only socket of the family of `to` if that may be used without a
 * probe; NULL if there are others. */
static struct kad_udp_socket *only_socket(struct kad_udp_member *member,
                                          const struct kad_address *to) {
  struct kad_udp_socket *only = NULL;
  for (size_t i = 0; i < member->base.address_count; i++) {
    if (member->base.addresses[i].family == to->family) {
      if (only != NULL) {
        return NULL;
      }
      only = &member->sockets[i];
    }
  }
  return only != NULL && (!only->is_loopback || kad_udp_address_is_loopback(to))
             ? only
             : NULL;
}

/* Sets `*route` to the one that `to->via` stands for. Returns false if that has
 * become another one. */
static bool find_known(struct kad_udp_member *member,
                       const struct kad_address *to,
                       struct kad_udp_route *route) {
  const size_t count = member->base.address_count;
  const size_t i = to->via - 1U;
  if (i < count) {
    *route = (struct kad_udp_route){.socket = &member->sockets[i]};
    return member->base.addresses[i].family == to->family;
  }
  const struct kad_udp_source_entry *entry =
      kad_udp_sources_at(&member->sources, i - count);
  if (entry == NULL ||
      member->base.addresses[entry->source.socket].family != to->family) {
    return false;
  }
  const bool is_broken =
      entry->broken_to > uv_now(&kad_udp_of(member->base.network)->loop);
  *route = (struct kad_udp_route){
      .socket = &member->sockets[entry->source.socket],
      .ip = entry->source.has_ip && !is_broken ? entry->source.ip : NULL,
      .interface = entry->source.interface,
  };
  return true;
}

bool kad_udp_route_find(struct kad_udp_member *member,
                        const struct kad_address *to,
                        struct kad_udp_route *route) {
  if (to->via > 0 && find_known(member, to, route)) {
    return true;
  }
  struct kad_udp_socket *socket = only_socket(member, to);
  if (socket == NULL) {
    socket = choose_socket(member, to);
  }
  *route = (struct kad_udp_route){.socket = socket};
  return socket != NULL;
}

void kad_udp_route_broke(struct kad_udp_member *member,
                         const struct kad_address *to) {
  const size_t first = member->base.address_count + 1;
  struct kad_udp_source_entry *entry =
      to->via < first ? NULL
                      : kad_udp_sources_at(&member->sources, to->via - first);
  if (entry != NULL) {
    entry->broken_to =
        uv_now(&kad_udp_of(member->base.network)->loop) + BROKEN_MS;
  }
}

/* Returns true if the system has a route from `socket` to `to`. A link-local
 * address is on every link. */
static bool has_route(const struct kad_udp_socket *socket,
                      const struct kad_address *to) {
  const struct kad_address *bound =
      &socket->member->base.addresses[socket->index];
  struct kad_address chosen;
  return kad_udp_route_is_possible(socket, to) &&
         (kad_udp_is_link_local(to) ||
          !kad_udp_failure_is_of_route(
              probe(socket->is_wildcard ? NULL : bound, to, &chosen)));
}

int kad_udp_route_check(struct kad_member *base, const struct kad_address *to) {
  const struct kad_udp_member *member = kad_udp_member_of(base);
  int result = KAD_EFAMILY;
  for (size_t i = 0; i < base->address_count && result != 0; i++) {
    if (base->addresses[i].family == to->family) {
      result = has_route(&member->sockets[i], to) ? 0 : KAD_ENOROUTE;
    }
  }
  return result;
}
