/* kadenza_talkers.h: the hosts that send a node most.
 *
 *     struct kad_talker talkers[10];
 *     kad_time_ms over_ms;
 *     error = kad_node_count_talkers(node, true);
 *     …
 *     count = kad_node_talkers(node, talkers, 10, &over_ms);
 *
 * Counting is off at first: it costs some 8 KB and a look-up for each datagram.
 * The table is of fixed size. When it is full, the host that has sent least
 * makes room, so that a flood from many addresses does not push out those that
 * send much. Source: Metwally, Agrawal and El Abbadi, "Efficient computation of
 * frequent and top-k elements in data streams" (2005). */
#ifndef KADENZA_TALKERS_H
#define KADENZA_TALKERS_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_TALKERS_MAX = 128,     /* hosts that are counted at a time */
  KAD_TALKERS_PERIOD_S = 300 /* counts cover one to two of these */
};

/* What a host has sent. The numbers are those that were counted while the host
 * was in the table: they may be too low, never too high. */
struct kad_talker {
  /* Port 0. Of IPv6, a /64: the last 8 bytes are 0. */
  struct kad_address host;
  uint64_t datagrams;
  uint64_t bytes;
  uint64_t dropped; /* datagrams of these that were dropped, for any reason */
};

/* Begins to count, or ends it and forgets the counts. Has no effect if that is
 * so already. Returns 0, KAD_EINVAL without a node, or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_node_count_talkers(struct kad_node *node,
                                                  bool on);

/* Copies up to `cap` hosts that sent most datagrams lately to `out`, the first
 * most. Sets `*over_ms`, unless NULL, to the time that the counts cover.
 * Returns the number of hosts copied: 0 while nothing is counted. */
KAD_API size_t kad_node_talkers(const struct kad_node *node,
                                struct kad_talker *out, size_t cap,
                                kad_time_ms *over_ms);

#ifdef __cplusplus
}
#endif

#endif
