/* The sealing of a node: between the codec and the network, on the one way out
 * and the one way in of datagrams. Nothing of a datagram is read before it is
 * opened.
 *
 *     message ─► encode ─► seal ─► env.send
 *     datagram ─► open ─► not too old or new? ─► not seen before? ─► decode
 *
 * A datagram counts for KAD_SEAL_WINDOW_S before and after the time in it, by
 * the wall clock of the receiver, and once (rpc/replay_filter.h); at its sender
 * never. So a replay has no effect, and none can have one later than twice the
 * window, even if nonces had to be forgotten.
 *
 * A node without network keys has no sealing: the functions then pass
 * datagrams through.
 *
 * Tested by tests/unit/rpc/sealing_test.c. */
#ifndef KAD_RPC_SEALING_H
#define KAD_RPC_SEALING_H

#include "rpc/replay_filter.h"
#include "wire/seal.h"

struct kad_sealing {
  struct kad_seal seal;
  struct kad_replay_filter filter;
  struct kad_seal_notice notices[KAD_SEAL_NOTICES_MAX];
  size_t notice_count;
  uint64_t first_notice; /* its number, from 0 */
};

/* Makes the sealing of `node` with `keys`, or none for NULL. Returns 0 or
 * KAD_ENOMEM. */
KAD_MUST_CHECK int kad_sealing_new(struct kad_node *node,
                                   const struct kad_network_keys *keys);

/* Wipes the keys, and frees the sealing, if there is one. */
void kad_sealing_free(struct kad_node *node);

/* Replaces the keys of a sealed node. Its notices begin again. */
void kad_sealing_set_keys(struct kad_sealing *sealing,
                          const struct kad_network_keys *keys);

/* Returns the bytes that a datagram of the node grows by: KAD_SEAL_OVERHEAD, or
 * 0. */
size_t kad_sealing_overhead(const struct kad_node *node);

/* Returns what is sent for `message`: itself, or, sealed, `datagram`, which has
 * room for kad_sealing_overhead more bytes. */
struct kad_slice kad_sealing_close(struct kad_node *node,
                                   struct kad_slice message, uint8_t *datagram);

/* Sets `*datagram`, received from `from`, to the message in it, which is in
 * `room`, of as many bytes, if the node is sealed. Returns false, and counts
 * it, if it must be dropped. */
bool kad_sealing_open(struct kad_node *node, const struct kad_address *from,
                      struct kad_slice *datagram, uint8_t *room);

#endif
