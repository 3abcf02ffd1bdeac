/* kadenza_tap.h: a look at the datagrams of a node, for programs that show
 * what it does. Without a tap a datagram costs a test of a pointer more. */
#ifndef KADENZA_TAP_H
#define KADENZA_TAP_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kad_tap_event {
  KAD_TAP_RECEIVED, /* it will be served, or dropped after all */
  KAD_TAP_SENT,
  KAD_TAP_DROPPED
};

/* A datagram. Borrowed until the call returns. */
struct kad_tapped {
  enum kad_tap_event event;
  const struct kad_address *peer; /* the sender or the receiver */
  struct kad_slice message;       /* opened, if the node is sealed; what was
                                     dropped is as it came */
  const char *reason; /* of what was dropped: the name of its counter, without
                         "dropped_"; else NULL */
};

/* Sees a datagram. It must not call the node, but it may set a tap. */
typedef void (*kad_tap_fn)(void *data, const struct kad_tapped *tapped);

/* Calls `tap(data, …)` for every datagram of the node, in their order: before a
 * received one is served, and again if it was dropped after that; before one is
 * sent. What a policy drops later, after a wait, is not seen to be dropped.
 * NULL: for none, as at first. */
KAD_API void kad_node_set_tap(struct kad_node *node, kad_tap_fn tap,
                              void *data);

#ifdef __cplusplus
}
#endif

#endif
