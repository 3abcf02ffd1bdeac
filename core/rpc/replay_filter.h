/* The nonces of the sealed datagrams that a node has received or sent lately. A
 * datagram with a nonce among them is a replay.
 *
 * Two generations of a hash table: the young one takes new nonces; when it is
 * full, or older than the span, it becomes the old one, and the old one is
 * forgotten. So a nonce is remembered for the span at least, unless there are
 * more than KAD_REPLAY_MAX in it, or no memory; then for less. Each table
 * starts with 512 bytes and grows to 1 MB.
 *
 * Only members of the overlay choose nonces that get here, so the table needs
 * no secret of its own.
 *
 * Tested by tests/unit/rpc/replay_filter_test.c. */
#ifndef KAD_RPC_REPLAY_FILTER_H
#define KAD_RPC_REPLAY_FILTER_H

#include "kadenza.h"

enum {
  KAD_REPLAY_MAX = 65536 /* nonces of a generation */
};

struct kad_replay_generation {
  uint64_t *slots; /* the first 8 bytes of a nonce; 0: free */
  size_t cap;      /* slots: a power of two, or 0 */
  size_t count;
};

/* The filter. Initialise it with kad_replay_filter_init. */
struct kad_replay_filter {
  struct kad_allocator allocator;
  struct kad_replay_generation young;
  struct kad_replay_generation old;
  kad_time_ms span_ms;
  kad_time_ms began_at; /* the young generation */
};

/* Makes an empty filter without allocating, which remembers for `span_ms`.
 * Copies: `allocator`. */
void kad_replay_filter_init(struct kad_replay_filter *filter,
                            const struct kad_allocator *allocator,
                            kad_time_ms span_ms, kad_time_ms now);

/* Frees the tables. */
void kad_replay_filter_deinit(struct kad_replay_filter *filter);

/* Remembers `nonce`, of at least 8 random bytes. Returns false if it was there
 * already. Without memory for the first slots, returns true. */
bool kad_replay_filter_admit(struct kad_replay_filter *filter,
                             const uint8_t *nonce, kad_time_ms now);

#endif
