/* The replacement cache of a bucket: contacts that have answered us and may
 * enter the bucket later. A table has about as many of them as contacts, but
 * few are ever used, so they are kept packed.
 *
 * Tested by tests/unit/routing/table_test.c. Source: Kademlia §4.1. */
#ifndef KAD_ROUTING_REPLACEMENT_CACHE_H
#define KAD_ROUTING_REPLACEMENT_CACHE_H

#include "routing/table_entry.h"

struct kad_replacement_cache {
  uint8_t *packed; /* room for `cap`, or NULL */
  uint8_t count;
  uint8_t cap;
  uint8_t id_size; /* bytes */
  uint8_t ip_size; /* bytes */
  uint8_t size;    /* bytes of a packed contact */
};

/* Makes an empty cache for ids of `id_bits` and addresses of `family`. */
void kad_replacement_cache_init(struct kad_replacement_cache *cache,
                                unsigned id_bits, unsigned family);

/* Frees the memory of the cache. */
void kad_replacement_cache_deinit(struct kad_replacement_cache *cache,
                                  const struct kad_allocator *allocator);

/* Unpacks the contact `index` into `*entry`. */
void kad_replacement_cache_get(const struct kad_replacement_cache *cache,
                               size_t index, struct kad_table_entry *entry);

/* Adds a contact. It replaces those with the same id or address and, if there
 * are `max` others, the worst: one that is not secure, or the one seen longest
 * ago. Copies: contact, rtt_ms, last_seen, is_secure and reachable of `entry`.
 * Returns 0, or KAD_ENOMEM with nothing changed. */
KAD_MUST_CHECK int kad_replacement_cache_add(
    struct kad_replacement_cache *cache, const struct kad_allocator *allocator,
    const struct kad_table_entry *entry, size_t max);

/* Removes the contact `index`; later ones move up by one. */
void kad_replacement_cache_remove(struct kad_replacement_cache *cache,
                                  size_t index);

/* Removes all contacts with the id or the address of `contact`. */
void kad_replacement_cache_drop(struct kad_replacement_cache *cache,
                                const struct kad_contact *contact);

/* Finds a contact by id and address. Returns its index; `count` if none. */
size_t kad_replacement_cache_find(const struct kad_replacement_cache *cache,
                                  const struct kad_contact *contact);

/* Notes that the contact `index` was seen at `now`. */
void kad_replacement_cache_seen(struct kad_replacement_cache *cache,
                                size_t index, kad_time_ms now);

/* Finds the contact to enter the bucket next: a secure one, if there is any; of
 * these the one seen last and, among equals, the one with the lowest round-trip
 * time. Returns its index, or
 * `count` if the cache is empty. */
size_t kad_replacement_cache_best(const struct kad_replacement_cache *cache);

#endif
