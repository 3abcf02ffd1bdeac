#include "records/memory/key_index.h"

/* The key of an entry with its hash. */
struct hashed_key {
  struct kad_id id;
  uint64_t hash;
};

uint64_t kad_key_index_hash(const struct kad_key_index *index,
                            const struct kad_id *key) {
  return kad_item_map_hash(index->secret, key->bytes, sizeof key->bytes);
}

static struct hashed_key key_at(const struct kad_key_index *index,
                                uint32_t number) {
  struct hashed_key key;
  kad_memory_entry_key(kad_slots_at(index->slots, number), &key.id);
  key.hash = kad_key_index_hash(index, &key.id);
  return key;
}

static uint64_t hash_of(void *state, uint32_t number) {
  return key_at(state, number).hash;
}

static uint32_t *link_of(void *state, uint32_t number) {
  const struct kad_key_index *index = state;
  return &kad_slots_at(index->slots, number)->chain;
}

void kad_key_index_init(struct kad_key_index *index,
                        const struct kad_slots *slots, const uint8_t *secret) {
  *index = (struct kad_key_index){
      .slots = slots,
      .secret = secret,
      .map = {.state = index, .link = link_of, .hash = hash_of},
  };
}

void kad_key_index_clear(struct kad_key_index *index,
                         const struct kad_allocator *allocator) {
  kad_item_map_deinit(&index->map, allocator);
}

int kad_key_index_reserve(struct kad_key_index *index,
                          const struct kad_allocator *allocator) {
  return kad_item_map_reserve(&index->map, allocator);
}

static uint32_t find_newest(const struct kad_key_index *index,
                            const struct kad_id *key, unsigned type,
                            uint64_t hash) {
  uint32_t number = kad_item_map_first(&index->map, hash);
  while (number != KAD_NO_ITEM) {
    const struct kad_memory_entry *entry = kad_slots_at(index->slots, number);
    if (entry->type == type && kad_memory_entry_has_key(entry, key)) {
      return number;
    }
    number = entry->chain;
  }
  return KAD_NO_ITEM;
}

uint32_t kad_key_index_find(const struct kad_key_index *index,
                            const struct kad_id *key, unsigned type) {
  return find_newest(index, key, type, kad_key_index_hash(index, key));
}

void kad_key_index_fetch(const struct kad_key_index *index, uint64_t hash,
                         unsigned step) {
  if (step == 0) {
    kad_item_map_fetch(&index->map, hash);
    return;
  }
  const uint32_t number = kad_item_map_first(&index->map, hash);
  if (number == KAD_NO_ITEM) {
    return;
  }
  if (step == 1) {
    __builtin_prefetch(&index->slots->items[number]);
    return;
  }
  const struct kad_memory_entry *const entry =
      kad_slots_at(index->slots, number);
  __builtin_prefetch(entry);
  __builtin_prefetch(entry->tail);
}

void kad_key_index_add(struct kad_key_index *index, uint32_t number) {
  struct kad_memory_entry *entry = kad_slots_at(index->slots, number);
  const struct hashed_key key = key_at(index, number);
  uint32_t newest = find_newest(index, &key.id, entry->type, key.hash);
  if (newest == KAD_NO_ITEM) {
    entry->older = number;
    entry->newer = number;
    entry->siblings = 1;
    kad_item_map_add(&index->map, key.hash, number);
    return;
  }
  struct kad_memory_entry *next = kad_slots_at(index->slots, newest);
  entry->older = newest;
  entry->newer = next->newer;
  entry->siblings = next->siblings + 1;
  kad_slots_at(index->slots, next->newer)->older = number;
  next->newer = number;
  kad_item_map_replace(&index->map, key.hash, newest, number);
}

void kad_key_index_remove(struct kad_key_index *index, uint32_t number) {
  const struct kad_memory_entry *entry = kad_slots_at(index->slots, number);
  const struct hashed_key key = key_at(index, number);
  uint32_t newest = find_newest(index, &key.id, entry->type, key.hash);
  uint32_t siblings = kad_slots_at(index->slots, newest)->siblings - 1;
  if (siblings == 0) {
    kad_item_map_remove(&index->map, key.hash, number);
    return;
  }
  kad_slots_at(index->slots, entry->newer)->older = entry->older;
  kad_slots_at(index->slots, entry->older)->newer = entry->newer;
  if (newest == number) {
    newest = entry->older;
    kad_item_map_replace(&index->map, key.hash, number, newest);
  }
  kad_slots_at(index->slots, newest)->siblings = siblings;
}

void kad_key_index_renew(struct kad_key_index *index, uint32_t number) {
  kad_key_index_remove(index, number);
  kad_key_index_add(index, number);
}
