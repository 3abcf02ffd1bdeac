/* Rate limits on what strangers ask: token buckets in a table, keyed by SipHash
 * of the address and of its subnet, and two for all together. The table begins
 * with half a KB and doubles, up to about 100 KB, when it would have to forget
 * a bucket that is not full again; so a node that few ask stays small. At its
 * greatest, or out of memory, it forgets the fullest one, which has least to
 * remember. */
#ifndef KAD_RPC_LIMITER_H
#define KAD_RPC_LIMITER_H

#include "kadenza.h"

struct kad_limiter;

/* What is allowed; 0 is any number. */
struct kad_limiter_config {
  uint32_t queries_per_s;         /* in all; burst: one second's worth */
  uint32_t queries_per_s_address; /* of one address, whatever its ports; burst:
                                     four seconds' worth, so that a client may
                                     join in a hurry */
  uint32_t queries_per_s_subnet;  /* of one /24 or /64; burst: as an address */
  uint64_t bytes_per_s; /* of replies in all; burst: one second's worth, and at
                           least one datagram */
  bool allow_local; /* local addresses each have their own allowance, without
                       one of their subnet */
};

/* Makes a limiter. Copies: `config`, `allocator`, `secret` (16
 * random bytes). Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_limiter_new(const struct kad_limiter_config *config,
                                   const struct kad_allocator *allocator,
                                   const uint8_t *secret, kad_time_ms now,
                                   struct kad_limiter **limiter);

/* Frees the limiter. NULL is ignored. */
void kad_limiter_free(struct kad_limiter *limiter);

/* Returns the bytes that the limiter takes up now. */
size_t kad_limiter_size(const struct kad_limiter *limiter);

/* Takes one query of `from` off its allowances. Returns false when one of them
 * is used up, and takes nothing off any: drop the query. So an address over its
 * own allowance takes nothing off the others', and silences nobody else. */
bool kad_limiter_query(struct kad_limiter *limiter,
                       const struct kad_address *from, kad_time_ms now);

/* Takes a reply of `bytes` off the allowance of bytes. Returns false when it is
 * used up: do not send it. */
bool kad_limiter_reply(struct kad_limiter *limiter, size_t bytes,
                       kad_time_ms now);

#endif
