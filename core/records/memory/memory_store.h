/* A record store in memory. Lost when it is freed. */
#ifndef KAD_RECORDS_MEMORY_MEMORY_STORE_H
#define KAD_RECORDS_MEMORY_MEMORY_STORE_H

#include "records/store.h"

enum {
  KAD_MEMORY_STORE_SECRET_SIZE = 16
};

/* Makes a memory store.
 *
 * Of a record whose value has a length but no bytes (`data` is NULL), it keeps
 * the length: the value is elsewhere, and counts in `bytes` and for `victim`.
 *
 * `secret` is KAD_MEMORY_STORE_SECRET_SIZE random bytes for its hash tables.
 * Copies `allocator` and `secret`. Returns 0 or KAD_ENOMEM.
 *
 * It allocates at most 24 bytes for a peer of IPv4 and 40 for one of IPv6 in a
 * swarm of 100, and 300 for a plain value of 100 bytes, even if each comes from
 * another address. `bytes` is an upper bound of its memory, apart from a few
 * hundred bytes, about 45 for a type, and indexes of records that are gone,
 * which stay until it is empty. It holds records of at most 255 types at a
 * time; `add` returns KAD_EFULL for one more. `victim` looks at the 128 records
 * of a user that expire first, or at 128 of the swarms with a peer of a host.
 * What a host has stored as peers and as other records is compared with the
 * others separately. */
KAD_MUST_CHECK int kad_memory_store_new(const struct kad_allocator *allocator,
                                        const uint8_t *secret,
                                        struct kad_store **store);

/* Frees a memory store and its records. NULL is ignored. */
void kad_memory_store_free(struct kad_store *store);

#endif
