/* Shows datagrams to the tap of the program (kadenza_tap.h).
 * Tested by tests/unit/node/tap_test.c. */
#ifndef KAD_ENGINE_TAP_H
#define KAD_ENGINE_TAP_H

#include "engine/node.h"

/* Shows a datagram, if there is a tap. */
static inline void kad_tap_note(const struct kad_node *node,
                                enum kad_tap_event event,
                                const struct kad_address *peer,
                                struct kad_slice message) {
  if (node->tap != NULL) {
    const struct kad_tapped tapped = {
        .event = event, .peer = peer, .message = message};
    node->tap(node->tap_data, &tapped);
  }
}

/* Shows that a datagram was dropped, if a counter of dropped ones is higher
 * than in `before`. */
void kad_tap_note_drop(const struct kad_node *node,
                       const struct kad_stats *before,
                       const struct kad_address *from,
                       struct kad_slice datagram);

#endif
