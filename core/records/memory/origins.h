/* Who stored how much in a memory store: an account an address (IPv4), a /64
 * (IPv6: its holder has all of its addresses) and our own user. An account has
 * a ring of its entries, earliest first, and the largest account is known. */
#ifndef KAD_RECORDS_MEMORY_ORIGINS_H
#define KAD_RECORDS_MEMORY_ORIGINS_H

#include "records/memory/index.h"
#include "records/memory/ranking.h"
#include "records/memory/slots.h"

/* An account. Whose it is says any of its entries; it ends with the last. */
struct kad_origin {
  uint64_t bytes;    /* that its entries take; 0 in an account not in use */
  uint32_t earliest; /* entry */
  uint32_t records;
  uint32_t place; /* in the ranking by bytes */
  uint32_t chain; /* next in the bucket, or next free one */
};

/* The accounts. Must not move after kad_origins_init. */
struct kad_origins {
  const struct kad_slots *slots;
  const uint8_t *secret;
  struct kad_origin *items;
  size_t cap;
  size_t used;
  uint32_t free;
  uint32_t own; /* the account of our own user, or KAD_NO_ITEM */
  struct kad_index index;
  struct kad_ranking by_bytes; /* largest first, our own user last */
};

enum {
  /* What an account takes at most besides its entries: a place in the array, in
   * the ranking and a bucket, in arrays grown by an eighth. */
  KAD_ORIGIN_OVERHEAD = 36,
  /* Entries of the largest account that are weighed against each other when
   * one must go. */
  KAD_VICTIM_SAMPLE = 128
};

/* Makes no accounts; allocates nothing yet. Borrows: `slots`, `secret`. */
void kad_origins_init(struct kad_origins *origins,
                      const struct kad_slots *slots, const uint8_t *secret);

/* Frees every account. */
void kad_origins_clear(struct kad_origins *origins,
                       const struct kad_allocator *allocator);

/* Makes room for one more account. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_origins_reserve(struct kad_origins *origins,
                                       const struct kad_allocator *allocator);

/* Returns the account of `address`, or KAD_NO_ITEM. */
uint32_t kad_origins_find(const struct kad_origins *origins,
                          const struct kad_address *address);

/* Puts entry `number`, stored by `address`, which takes `bytes`, on the account
 * of its address as the latest. Room for an account has been reserved. */
void kad_origins_add(struct kad_origins *origins, uint32_t number,
                     const struct kad_address *address, size_t bytes);

/* Takes entry `number`, which was added with `bytes`, off its account. */
void kad_origins_remove(struct kad_origins *origins, uint32_t number,
                        size_t bytes);

/* Makes entry `number` the latest of its account. */
void kad_origins_renew(struct kad_origins *origins, uint32_t number);

/* Returns the entry that goes first when room is needed, or KAD_NO_ITEM: of the
 * account with the most bytes, our own user's last; there, of the
 * KAD_VICTIM_SAMPLE earliest entries, those that share the shortest prefix with
 * `self`; of these the one that expires first. */
uint32_t kad_origins_victim(const struct kad_origins *origins,
                            const struct kad_id *self);

/* Returns the number of accounts. */
static inline size_t kad_origins_count(const struct kad_origins *origins) {
  return origins->by_bytes.count;
}

#endif
