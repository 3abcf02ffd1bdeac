#include "routing/replacement_cache.h"

#include "base/address.h"
#include "base/allocator.h"

#include <assert.h>
#include <string.h>

enum {
  FIRST_CAP = 2,
  SECURE = 1, /* flags of a packed contact */
  REACHABLE = 2
};

void kad_replacement_cache_init(struct kad_replacement_cache *cache,
                                unsigned id_bits, unsigned family) {
  *cache = (struct kad_replacement_cache){
      .id_size = (uint8_t)(id_bits / 8),
      .ip_size = family == 4 ? 4 : 16,
  };
  cache->size =
      (uint8_t)(cache->id_size + cache->ip_size + sizeof(uint16_t) +
                2 * sizeof(uint8_t) + sizeof(uint16_t) + sizeof(kad_time_ms));
}

void kad_replacement_cache_deinit(struct kad_replacement_cache *cache,
                                  const struct kad_allocator *allocator) {
  kad_release(allocator, cache->packed, (size_t)cache->cap * cache->size);
}

static uint8_t *packed_at(const struct kad_replacement_cache *cache,
                          size_t index) {
  return cache->packed + index * cache->size;
}

static void write_bytes(uint8_t **out, const void *bytes, size_t size) {
  memcpy(*out, bytes, size);
  *out += size;
}

static void read_bytes(const uint8_t **in, void *bytes, size_t size) {
  memcpy(bytes, *in, size);
  *in += size;
}

static void pack(const struct kad_replacement_cache *cache,
                 const struct kad_table_entry *entry, uint8_t *out) {
  const struct kad_address *address = &entry->contact.address;
  const uint8_t flags = (uint8_t)((entry->is_secure ? SECURE : 0) |
                                  (entry->reachable ? REACHABLE : 0));
  write_bytes(&out, &entry->last_seen, sizeof entry->last_seen);
  write_bytes(&out, &entry->rtt_ms, sizeof entry->rtt_ms);
  write_bytes(&out, &address->port, sizeof address->port);
  write_bytes(&out, &address->via, sizeof address->via);
  write_bytes(&out, &flags, sizeof flags);
  write_bytes(&out, address->ip, cache->ip_size);
  write_bytes(&out, entry->contact.id.bytes, cache->id_size);
}

void kad_replacement_cache_get(const struct kad_replacement_cache *cache,
                               size_t index, struct kad_table_entry *entry) {
  assert(index < cache->count);
  const uint8_t *in = packed_at(cache, index);
  *entry = (struct kad_table_entry){0};
  struct kad_address *address = &entry->contact.address;
  address->family = cache->ip_size == 4 ? 4 : 6;
  read_bytes(&in, &entry->last_seen, sizeof entry->last_seen);
  read_bytes(&in, &entry->rtt_ms, sizeof entry->rtt_ms);
  read_bytes(&in, &address->port, sizeof address->port);
  read_bytes(&in, &address->via, sizeof address->via);
  uint8_t flags = 0;
  read_bytes(&in, &flags, sizeof flags);
  entry->is_secure = (flags & SECURE) != 0;
  entry->reachable = (flags & REACHABLE) != 0;
  read_bytes(&in, address->ip, cache->ip_size);
  read_bytes(&in, entry->contact.id.bytes, cache->id_size);
}

/* Returns true if `a` is moved into the bucket before `b`. */
static bool is_better(const struct kad_table_entry *a,
                      const struct kad_table_entry *b) {
  if (a->is_secure != b->is_secure) {
    return a->is_secure;
  }
  if (a->last_seen != b->last_seen) {
    return a->last_seen > b->last_seen;
  }
  return kad_table_entry_is_faster(a, b);
}

/* Returns the index of the contact that would enter first or, unless `first`,
 * last; `count` if the cache is empty. */
static size_t find_extreme(const struct kad_replacement_cache *cache,
                           bool first) {
  size_t index = cache->count;
  struct kad_table_entry found = {0};
  for (size_t i = 0; i < cache->count; i++) {
    struct kad_table_entry entry;
    kad_replacement_cache_get(cache, i, &entry);
    if (index == cache->count ||
        (first ? is_better(&entry, &found) : is_better(&found, &entry))) {
      index = i;
      found = entry;
    }
  }
  return index;
}

/* Makes room for one more contact. */
static int reserve(struct kad_replacement_cache *cache,
                   const struct kad_allocator *allocator, size_t max) {
  if (cache->count < cache->cap) {
    return 0;
  }
  size_t cap = cache->cap == 0 ? FIRST_CAP : (size_t)cache->cap * 2;
  cap = cap < max ? cap : max;
  uint8_t *packed =
      kad_resize(allocator, cache->packed, (size_t)cache->cap * cache->size,
                 cap * cache->size);
  if (packed == NULL) {
    return KAD_ENOMEM;
  }
  cache->packed = packed;
  cache->cap = (uint8_t)cap;
  return 0;
}

int kad_replacement_cache_add(struct kad_replacement_cache *cache,
                              const struct kad_allocator *allocator,
                              const struct kad_table_entry *entry, size_t max) {
  assert(max > 0 && max <= UINT8_MAX);
  if (cache->count < max) {
    const int error = reserve(cache, allocator, max);
    if (error != 0) {
      return error;
    }
  }
  kad_replacement_cache_drop(cache, &entry->contact);
  if (cache->count == max) {
    kad_replacement_cache_remove(cache, find_extreme(cache, false));
  }
  pack(cache, entry, packed_at(cache, cache->count));
  cache->count++;
  return 0;
}

void kad_replacement_cache_remove(struct kad_replacement_cache *cache,
                                  size_t index) {
  assert(index < cache->count);
  const size_t after = cache->count - index - 1;
  memmove(packed_at(cache, index), packed_at(cache, index + 1),
          after * cache->size);
  cache->count--;
}

void kad_replacement_cache_drop(struct kad_replacement_cache *cache,
                                const struct kad_contact *contact) {
  size_t i = 0;
  while (i < cache->count) {
    struct kad_table_entry entry;
    kad_replacement_cache_get(cache, i, &entry);
    if (kad_id_equal(&entry.contact.id, &contact->id) ||
        kad_address_equal(&entry.contact.address, &contact->address)) {
      kad_replacement_cache_remove(cache, i);
    } else {
      i++;
    }
  }
}

size_t kad_replacement_cache_find(const struct kad_replacement_cache *cache,
                                  const struct kad_contact *contact) {
  size_t i = 0;
  while (i < cache->count) {
    struct kad_table_entry entry;
    kad_replacement_cache_get(cache, i, &entry);
    if (kad_contact_equal(&entry.contact, contact)) {
      break;
    }
    i++;
  }
  return i;
}

void kad_replacement_cache_seen(struct kad_replacement_cache *cache,
                                size_t index, kad_time_ms now) {
  struct kad_table_entry entry;
  kad_replacement_cache_get(cache, index, &entry);
  entry.last_seen = now;
  pack(cache, &entry, packed_at(cache, index));
}

size_t kad_replacement_cache_best(const struct kad_replacement_cache *cache) {
  return find_extreme(cache, true);
}
