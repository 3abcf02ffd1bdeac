/* The rate limits of incoming queries, of the signatures in them, and of
 * replies: a token bucket for each address, for each subnet and for all, and
 * one for the bytes of all replies. A signature takes as long as a hundred
 * queries, so it has buckets of its own. The buckets of addresses and subnets
 * are in a table, keyed by SipHash. The table starts with half a KB. When a
 * bucket that is not full would be overwritten, the table doubles, up to about
 * 100 KB; so a node with few clients stays small. At its greatest size, or out
 * of memory, the fullest bucket is overwritten, because that changes least. */
#ifndef KAD_RPC_LIMITER_H
#define KAD_RPC_LIMITER_H

#include "kadenza.h"

struct kad_limiter;

/* The limits; 0 is no limit. */
struct kad_limiter_config {
  uint32_t queries_per_s;         /* of all addresses; burst: 1 s */
  uint32_t queries_per_s_address; /* of one address with all its ports; burst:
                                     4 s, so that a client can join fast */
  uint32_t queries_per_s_subnet;  /* of one /24 or /64; burst: 4 s */
  uint32_t signatures_per_s; /* verified for all; bursts: 0.1 s, at least one
                                message full */
  uint32_t signatures_per_s_address; /* for one address */
  uint32_t signatures_per_s_subnet;  /* for one /24 or /64 */
  uint64_t bytes_per_s; /* of all replies; burst: 1 s, at least max_reply */
  uint32_t max_reply;   /* bytes of the largest reply */
  bool allow_local;     /* local addresses have no limit of their subnet */
};

/* Makes a limiter. Copies: `config`, `allocator`, `secret` (16 random bytes).
 * Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_limiter_new(const struct kad_limiter_config *config,
                                   const struct kad_allocator *allocator,
                                   const uint8_t *secret, kad_time_ms now,
                                   struct kad_limiter **limiter);

/* Frees the limiter. NULL is ignored. */
void kad_limiter_free(struct kad_limiter *limiter);

/* Returns the bytes of memory that the limiter uses now. */
size_t kad_limiter_size(const struct kad_limiter *limiter);

/* Takes a token for a query of `from` from its buckets. Returns false if one of
 * them is empty: drop the query. No token of all is taken then, so an address
 * over its own limit does not use up the tokens of others.
 * While queries of all are scarce, each subnet has a fair share of them, which
 * adapts to how many send: those that send little are served. */
bool kad_limiter_query(struct kad_limiter *limiter,
                       const struct kad_address *from, kad_time_ms now);

/* Takes tokens for the `count` signatures of a query of `from`, at most
 * KAD_RECORDS_PER_MESSAGE. Returns false, and takes none, if one of its buckets
 * has too few, or `from` has sent too many bad ones: drop the query. */
bool kad_limiter_signatures(struct kad_limiter *limiter,
                            const struct kad_address *from, uint32_t count,
                            kad_time_ms now);

/* Notes that `from` sent a bad signature. After ten of them, none of its
 * signatures is allowed until a tenth of a second has passed, for each more. */
void kad_limiter_punish(struct kad_limiter *limiter,
                        const struct kad_address *from, kad_time_ms now);

/* Takes tokens for a reply of `bytes`. Returns false if there are too few. */
bool kad_limiter_reply(struct kad_limiter *limiter, size_t bytes,
                       kad_time_ms now);

#endif
