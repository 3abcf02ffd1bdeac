/* How many records and bytes each origin has in a memory store. There is an
 * account for each IPv4 address, for each IPv6 /64 (a host can use all of its
 * addresses) and for our own user. An account has a ring of its entries,
 * earliest first. */
#ifndef KAD_RECORDS_MEMORY_ORIGINS_H
#define KAD_RECORDS_MEMORY_ORIGINS_H

#include "records/memory/item.h"
#include "records/memory/slots.h"

/* An account. Its address is the origin of any of its entries. It is closed
 * with its last entry. */
struct kad_origin {
  uint64_t bytes;    /* of its entries; 0: the account is free */
  uint32_t earliest; /* entry */
  uint32_t records;
  uint32_t place; /* in the heap by bytes */
  uint32_t chain; /* next in the hash bucket, or next free account */
};

/* The accounts. Must not move after kad_origins_init. */
struct kad_origins {
  const struct kad_slots *slots;
  const uint8_t *secret;
  struct kad_origin *items;
  size_t cap;
  size_t used; /* accounts that have been open */
  uint32_t free;
  uint32_t own; /* the account of our own user, or KAD_NO_ITEM */
  struct kad_item_map map;
  struct kad_item_heap by_bytes; /* largest first, our own user last */
};

enum {
  /* Bytes that an account takes at most besides its entries: a place in the
   * array, one in the heap and a bucket, in arrays that grow by an eighth. */
  KAD_ORIGIN_OVERHEAD = 36,
  /* Entries of the largest account that kad_origins_victim compares. */
  KAD_VICTIM_SAMPLE = 128
};

/* Makes no accounts and allocates nothing. Borrows: `slots`, `secret`. */
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

/* Adds entry `number` of `bytes` to the account of `address`, as its latest.
 * The caller has reserved room for an account. */
void kad_origins_add(struct kad_origins *origins, uint32_t number,
                     const struct kad_address *address, size_t bytes);

/* Removes entry `number`, which was added with `bytes`, from its account. */
void kad_origins_remove(struct kad_origins *origins, uint32_t number,
                        size_t bytes);

/* Makes entry `number` the latest of its account. */
void kad_origins_renew(struct kad_origins *origins, uint32_t number);

/* Returns the entry to remove when room is needed, or KAD_NO_ITEM. It is in the
 * account with the most bytes, our own user's last. Of the KAD_VICTIM_SAMPLE
 * earliest entries there it shares the shortest prefix with `self`; of several,
 * it expires first. */
uint32_t kad_origins_victim(const struct kad_origins *origins,
                            const struct kad_id *self);

#endif
