/* A hash table for keys that strangers choose, keyed by SipHash-2-4 with a
 * secret, so that no stranger can choose keys that collide. Entries are
 * intrusive; the map allocates its bucket array alone.
 *
 *     struct thing {
 *       struct kad_map_entry entry;
 *       struct kad_id id;
 *     };
 *     uint64_t hash = kad_map_hash(&map, id.bytes, sizeof id.bytes);
 *     for (e = kad_map_first(&map, hash); e != NULL; e = kad_map_after(e)) {
 *       struct thing *thing = kad_container_of(e, struct thing, entry);
 *       if (kad_id_equal(&thing->id, &id)) { … }
 *     }
 *
 * A number that the program itself chooses, at random or in sequence, may be
 * its own hash; kad_map_first then finds exactly its entry.
 */
#ifndef KAD_BASE_MAP_H
#define KAD_BASE_MAP_H

#include "kadenza.h"

enum {
  KAD_MAP_SECRET_SIZE = 16
};

/* An entry of a map, embedded in its user's struct. */
struct kad_map_entry {
  struct kad_map_entry *next; /* in the same bucket */
  uint64_t hash;
};

struct kad_map {
  struct kad_allocator allocator;
  uint8_t secret[KAD_MAP_SECRET_SIZE];
  struct kad_map_entry **buckets; /* a power of two of them; NULL when empty */
  size_t bucket_count;
  size_t count;
};

/* Makes an empty map. Allocates nothing yet. Copies: `allocator`, `secret`
 * (KAD_MAP_SECRET_SIZE random bytes; NULL if no stranger chooses the keys). */
void kad_map_init(struct kad_map *map, const struct kad_allocator *allocator,
                  const uint8_t *secret);

/* Frees the bucket array. The entries belong to the caller. */
void kad_map_deinit(struct kad_map *map);

/* Returns the keyed hash of `len` bytes. */
uint64_t kad_map_hash(const struct kad_map *map, const void *bytes, size_t len);

/* Adds `entry` under `hash`. Returns 0, or KAD_ENOMEM if there is no memory for
 * the first bucket array. A map that cannot grow gets slower. */
KAD_MUST_CHECK int kad_map_add(struct kad_map *map, struct kad_map_entry *entry,
                               uint64_t hash);

/* Removes `entry`, which must be in the map. */
void kad_map_remove(struct kad_map *map, struct kad_map_entry *entry);

/* Returns an entry, or NULL when the map is empty. `*from`, 0 at first, notes
 * how far the map is empty already, so that to empty it all takes time for its
 * size only:
 *
 *     size_t from = 0;
 *     while ((entry = kad_map_any(&map, &from)) != NULL) {
 *       kad_map_remove(&map, entry);
 *     }
 */
struct kad_map_entry *kad_map_any(const struct kad_map *map, size_t *from);

/* Returns the first entry with `hash`, or NULL; then the next one. Where the
 * hash is the whole key, there is only one. */
struct kad_map_entry *kad_map_first(const struct kad_map *map, uint64_t hash);
struct kad_map_entry *kad_map_after(const struct kad_map_entry *entry);

#endif
