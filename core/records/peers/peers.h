/* The records of type `peers` in a memory store: swarms, and how many peers
 * each host has.
 * Tested by tests/unit/records/peers/peers_test.c. */
#ifndef KAD_RECORDS_MEMORY_PEERS_H
#define KAD_RECORDS_MEMORY_PEERS_H

#include "base/address.h"
#include "records/peers/hosts.h"
#include "records/peers/swarms.h"

/* Must not move after kad_peers_init. */
struct kad_peers {
  struct kad_swarms swarms;
  struct kad_hosts hosts[KAD_FAMILIES];
};

/* Makes no peers and allocates nothing. Borrows: `secret`. */
void kad_peers_init(struct kad_peers *peers, const uint8_t *secret);

/* Frees every peer. Older handles stay stale. */
void kad_peers_clear(struct kad_peers *peers,
                     const struct kad_allocator *allocator);

/* Returns true if records of `type` are in swarms. */
bool kad_peers_is_type(struct kad_slice type);

/* Adds a row as the newest of the swarm of `key`, and sets `*handle`.
 * Returns 0, or, with nothing changed,
 *   KAD_ENOMEM  out of memory
 *   KAD_EFULL   the times of the row do not fit: it has to be an entry */
KAD_MUST_CHECK int kad_peers_add(struct kad_peers *peers,
                                 const struct kad_allocator *allocator,
                                 const struct kad_id *key,
                                 const struct kad_swarm_row *row,
                                 kad_record_handle *handle);

/* Removes a row that was just read. */
void kad_peers_remove(struct kad_peers *peers,
                      const struct kad_allocator *allocator, uint32_t number,
                      const struct kad_swarm_row *old);

/* Replaces a row that was just read by one with the same handle and host, or by
 * an entry, which needs no more room; as the newest if `renews`.
 * Returns 0, or, with nothing changed,
 *   KAD_ENOMEM  out of memory
 *   KAD_EFULL   the times of the row do not fit: it has to be an entry */
KAD_MUST_CHECK int kad_peers_replace(struct kad_peers *peers,
                                     const struct kad_allocator *allocator,
                                     uint32_t number,
                                     const struct kad_swarm_row *old,
                                     const struct kad_swarm_row *row,
                                     bool renews);

/* Returns the number of rows under `key`, and copies handles as `find` of a
 * store does. */
size_t kad_peers_find(struct kad_peers *peers, const struct kad_id *key,
                      size_t skip, kad_record_handle *handles, size_t cap);

/* Returns the number of peers of the host of `origin`, entries not included. */
size_t kad_peers_count_of(const struct kad_peers *peers,
                          const struct kad_address *origin);

/* Returns an upper bound of the memory of all. Unit: bytes. */
size_t kad_peers_bytes(const struct kad_peers *peers);

/* Returns the peer to remove when room is needed, or 0. It is one of the host
 * whose peers take the most bytes, which are about `*bytes`. Of the swarms that
 * are looked at, a number of them, its key shares the shortest prefix with
 * `self`; of several, the peer expires first. */
kad_record_handle kad_peers_victim(struct kad_peers *peers,
                                   const struct kad_id *self, size_t *bytes);

#endif
