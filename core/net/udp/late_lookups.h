/* Look-ups that have found addresses when their names had already failed: a
 * name server, or another source of the system's resolver, may take longer than
 * a name waits. The next name with that host takes what they have found.
 */
#ifndef KAD_NET_UDP_LATE_LOOKUPS_H
#define KAD_NET_UDP_LATE_LOOKUPS_H

#include "net/udp/name_lookup.h"

enum {
  KAD_LATE_LOOKUPS_MAX = 16,  /* of a network; the oldest is lost */
  KAD_LATE_LOOKUP_MS = 120000 /* after which it counts no more */
};

struct kad_late_lookup {
  struct kad_name_lookup *lookup;
  kad_time_ms at; /* when it ended */
};

/* Zero-initialise it. */
struct kad_late_lookups {
  struct kad_late_lookup items[KAD_LATE_LOOKUPS_MAX]; /* oldest first */
  size_t count;
};

/* Keeps a look-up that has found addresses, which the list then owns, in place
 * of an earlier one of its host. */
void kad_late_lookups_keep(struct kad_late_lookups *late,
                           struct kad_name_lookup *lookup, kad_time_ms now);

/* Removes the look-up of `host`; the caller owns it. Returns NULL if there is
 * none, or it is too old. */
struct kad_name_lookup *kad_late_lookups_take(struct kad_late_lookups *late,
                                              const char *host,
                                              kad_time_ms now);

/* Frees all look-ups. */
void kad_late_lookups_clear(struct kad_late_lookups *late);

#endif
