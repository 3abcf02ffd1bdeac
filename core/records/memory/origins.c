#include "records/memory/origins.h"

#include "base/address.h"
#include "base/array.h"

#include <assert.h>
#include <string.h>

/* The key of an account. */
struct host {
  uint8_t family;
  uint8_t prefix[8]; /* of an address; the rest is 0 */
};

static struct host host_of(const struct kad_address *address) {
  struct host host = {.family = address->family};
  memcpy(host.prefix, address->ip, kad_address_host_size(address));
  return host;
}

static struct host host_at(const struct kad_origins *origins, uint32_t item) {
  struct kad_record_meta meta;
  uint32_t entry = origins->items[item].earliest;
  kad_memory_entry_meta(kad_slots_at(origins->slots, entry), &meta);
  return host_of(&meta.origin);
}

static uint64_t hash_host(const struct kad_origins *origins,
                          const struct host *host) {
  return kad_item_map_hash(origins->secret, host, sizeof *host);
}

static uint64_t hash_of(void *state, uint32_t item) {
  const struct kad_origins *origins = state;
  struct host host = host_at(origins, item);
  return hash_host(origins, &host);
}

static uint32_t *link_of(void *state, uint32_t item) {
  struct kad_origins *origins = state;
  return &origins->items[item].chain;
}

static uint32_t *place_of(void *state, uint32_t item) {
  struct kad_origins *origins = state;
  return &origins->items[item].place;
}

static bool is_larger(void *state, uint32_t a, uint32_t b) {
  const struct kad_origins *origins = state;
  if (a == origins->own || b == origins->own) {
    return b == origins->own;
  }
  return origins->items[a].bytes > origins->items[b].bytes;
}

void kad_origins_init(struct kad_origins *origins,
                      const struct kad_slots *slots, const uint8_t *secret) {
  *origins = (struct kad_origins){
      .slots = slots,
      .secret = secret,
      .free = KAD_NO_ITEM,
      .own = KAD_NO_ITEM,
      .map = {.state = origins, .link = link_of, .hash = hash_of},
      .by_bytes = {.state = origins, .before = is_larger, .place = place_of},
  };
}

void kad_origins_clear(struct kad_origins *origins,
                       const struct kad_allocator *allocator) {
  kad_item_map_deinit(&origins->map, allocator);
  kad_item_heap_deinit(&origins->by_bytes, allocator);
  KAD_ARRAY_FREE(allocator, &origins->items, &origins->cap);
  kad_origins_init(origins, origins->slots, origins->secret);
}

int kad_origins_reserve(struct kad_origins *origins,
                        const struct kad_allocator *allocator) {
  if (origins->free == KAD_NO_ITEM && origins->used == origins->cap &&
      KAD_ARRAY_RESERVE(allocator, &origins->items, &origins->cap,
                        kad_item_grown_cap(origins->cap)) != 0) {
    return KAD_ENOMEM;
  }
  int status = kad_item_heap_reserve(&origins->by_bytes, allocator);
  return status != 0 ? status : kad_item_map_reserve(&origins->map, allocator);
}

static uint32_t find_host(const struct kad_origins *origins,
                          const struct host *host, uint64_t hash) {
  uint32_t item = kad_item_map_first(&origins->map, hash);
  while (item != KAD_NO_ITEM) {
    struct host found = host_at(origins, item);
    if (memcmp(&found, host, sizeof found) == 0) {
      return item;
    }
    item = origins->items[item].chain;
  }
  return KAD_NO_ITEM;
}

uint32_t kad_origins_find(const struct kad_origins *origins,
                          const struct kad_address *address) {
  struct host host = host_of(address);
  return find_host(origins, &host, hash_host(origins, &host));
}

static uint32_t allocate_item(struct kad_origins *origins) {
  uint32_t item = origins->free;
  if (item != KAD_NO_ITEM) {
    origins->free = origins->items[item].chain;
    return item;
  }
  assert(origins->used < origins->cap);
  item = (uint32_t)origins->used;
  origins->used++;
  return item;
}

/* Links entry `number` before the earliest of the ring, where the latest is. */
static void link_latest(struct kad_origins *origins, struct kad_origin *origin,
                        uint32_t number) {
  struct kad_memory_entry *entry = kad_slots_at(origins->slots, number);
  struct kad_memory_entry *earliest =
      kad_slots_at(origins->slots, origin->earliest);
  entry->later = origin->earliest;
  entry->earlier = earliest->earlier;
  kad_slots_at(origins->slots, earliest->earlier)->later = number;
  earliest->earlier = number;
}

static void unlink_entry(struct kad_origins *origins, struct kad_origin *origin,
                         uint32_t number) {
  const struct kad_memory_entry *entry = kad_slots_at(origins->slots, number);
  kad_slots_at(origins->slots, entry->earlier)->later = entry->later;
  kad_slots_at(origins->slots, entry->later)->earlier = entry->earlier;
  if (origin->earliest == number) {
    origin->earliest = entry->later;
  }
}

/* Opens an account with its first entry and returns it. */
static uint32_t open_account(struct kad_origins *origins, uint32_t number,
                             uint64_t hash, size_t bytes) {
  struct kad_memory_entry *entry = kad_slots_at(origins->slots, number);
  uint32_t item = allocate_item(origins);
  origins->items[item] =
      (struct kad_origin){.bytes = bytes, .earliest = number, .records = 1};
  entry->origin = item;
  entry->later = number;
  entry->earlier = number;
  kad_item_map_add(&origins->map, hash, item);
  return item;
}

void kad_origins_add(struct kad_origins *origins, uint32_t number,
                     const struct kad_address *address, size_t bytes) {
  struct host host = host_of(address);
  uint64_t hash = hash_host(origins, &host);
  uint32_t item = find_host(origins, &host, hash);
  if (item == KAD_NO_ITEM) {
    item = open_account(origins, number, hash, bytes);
    origins->own = address->family == 0 ? item : origins->own;
    kad_item_heap_add(&origins->by_bytes, item);
    return;
  }
  struct kad_origin *origin = &origins->items[item];
  kad_slots_at(origins->slots, number)->origin = item;
  link_latest(origins, origin, number);
  origin->records++;
  origin->bytes += bytes;
  kad_item_heap_move(&origins->by_bytes, item);
}

static void close_account(struct kad_origins *origins, uint32_t item) {
  kad_item_heap_remove(&origins->by_bytes, item);
  kad_item_map_remove(&origins->map, hash_of(origins, item), item);
  if (item == origins->own) {
    origins->own = KAD_NO_ITEM;
  }
  origins->items[item] = (struct kad_origin){.chain = origins->free};
  origins->free = item;
}

void kad_origins_remove(struct kad_origins *origins, uint32_t number,
                        size_t bytes) {
  uint32_t item = kad_slots_at(origins->slots, number)->origin;
  struct kad_origin *origin = &origins->items[item];
  assert(origin->bytes >= bytes);
  if (origin->records == 1) {
    close_account(origins, item);
    return;
  }
  unlink_entry(origins, origin, number);
  origin->records--;
  origin->bytes -= bytes;
  kad_item_heap_move(&origins->by_bytes, item);
}

void kad_origins_renew(struct kad_origins *origins, uint32_t number) {
  uint32_t item = kad_slots_at(origins->slots, number)->origin;
  struct kad_origin *origin = &origins->items[item];
  if (origin->records > 1) {
    unlink_entry(origins, origin, number);
    link_latest(origins, origin, number);
  }
}

/* What decides which entry is removed first: a short common prefix with us,
 * then an early expiry. */
struct removal_rank {
  unsigned prefix;
  kad_time_ms expires_at;
};

static struct removal_rank rank_of(const struct kad_memory_entry *entry,
                                   const struct kad_id *self) {
  struct kad_id key;
  kad_memory_entry_key(entry, &key);
  return (struct removal_rank){
      .prefix = kad_id_prefix(&key, self),
      .expires_at = entry->due[KAD_MEMORY_DUE_EXPIRE],
  };
}

static bool comes_before(struct removal_rank a, struct removal_rank b) {
  return a.prefix != b.prefix ? a.prefix < b.prefix
                              : a.expires_at < b.expires_at;
}

uint32_t kad_origins_victim(const struct kad_origins *origins,
                            const struct kad_id *self) {
  uint32_t largest = kad_item_heap_first(&origins->by_bytes);
  if (largest == KAD_NO_ITEM) {
    return KAD_NO_ITEM;
  }
  const struct kad_origin *origin = &origins->items[largest];
  uint32_t victim = origin->earliest;
  struct removal_rank first =
      rank_of(kad_slots_at(origins->slots, victim), self);
  uint32_t number = victim;
  for (uint32_t i = 1; i < origin->records && i < KAD_VICTIM_SAMPLE; i++) {
    number = kad_slots_at(origins->slots, number)->later;
    struct removal_rank rank =
        rank_of(kad_slots_at(origins->slots, number), self);
    if (comes_before(rank, first)) {
      victim = number;
      first = rank;
    }
  }
  return victim;
}
