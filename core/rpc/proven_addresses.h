/* The addresses that have proven lately that they receive what is sent to them:
 * they answered a query of ours, or sent a token of ours. A reply to another
 * address may be many times smaller only (node/reply_bound.h), because the
 * sender of its query may have forged the address.
 *
 * A table keyed by SipHash, in sets of four. It starts with 128 bytes. When a
 * proof that still counts would be overwritten, the table doubles, up to 64 KB;
 * then, or out of memory, the oldest proof of the set is overwritten.
 *
 * Tested by tests/unit/rpc/proven_addresses_test.c. */
#ifndef KAD_RPC_PROVEN_ADDRESSES_H
#define KAD_RPC_PROVEN_ADDRESSES_H

#include "kadenza.h"

enum {
  KAD_PROVEN_S = 600,   /* a proof counts for so long */
  KAD_PROVEN_MAX = 8192 /* addresses */
};

/* The table. Initialise it with kad_proven_addresses_init. */
struct kad_proven_addresses {
  struct kad_allocator allocator;
  const uint8_t *secret;
  struct kad_proven_set *sets; /* or NULL */
  size_t set_count;            /* a power of two */
};

/* Makes an empty table without allocating. Copies: `allocator`. Borrows:
 * `secret`, KAD_MAP_SECRET_SIZE random bytes. */
void kad_proven_addresses_init(struct kad_proven_addresses *proven,
                               const struct kad_allocator *allocator,
                               const uint8_t *secret);

/* Frees the table. It is empty afterwards. */
void kad_proven_addresses_deinit(struct kad_proven_addresses *proven);

/* Notes that `address`, whatever its port, has proven that it receives what is
 * sent to it. Without memory for the first sets, it has no effect. */
void kad_proven_addresses_add(struct kad_proven_addresses *proven,
                              const struct kad_address *address,
                              kad_time_ms now);

/* Returns true if `address` has proven that within the last KAD_PROVEN_S. */
bool kad_proven_addresses_has(const struct kad_proven_addresses *proven,
                              const struct kad_address *address,
                              kad_time_ms now);

#endif
