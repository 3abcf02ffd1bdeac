#include "records/memory/keys.h"

/* An entry's key with its hash, which every call about it needs. */
struct hashed {
  struct kad_id id;
  uint64_t hash;
};

static uint64_t hash_id(const struct kad_keys *keys, const struct kad_id *id) {
  return kad_index_hash(keys->secret, id->bytes, sizeof id->bytes);
}

static struct hashed key_at(const struct kad_keys *keys, uint32_t number) {
  struct hashed key;
  kad_memory_entry_key(kad_slots_at(keys->slots, number), &key.id);
  key.hash = hash_id(keys, &key.id);
  return key;
}

static uint64_t hash_of(void *state, uint32_t number) {
  return key_at(state, number).hash;
}

static uint32_t *link_of(void *state, uint32_t number) {
  const struct kad_keys *keys = state;
  return &kad_slots_at(keys->slots, number)->chain;
}

void kad_keys_init(struct kad_keys *keys, const struct kad_slots *slots,
                   const uint8_t *secret) {
  *keys = (struct kad_keys){
      .slots = slots,
      .secret = secret,
      .index = {.state = keys, .link = link_of, .hash = hash_of},
  };
}

void kad_keys_clear(struct kad_keys *keys,
                    const struct kad_allocator *allocator) {
  kad_index_deinit(&keys->index, allocator);
}

int kad_keys_reserve(struct kad_keys *keys,
                     const struct kad_allocator *allocator) {
  return kad_index_reserve(&keys->index, allocator);
}

static uint32_t find_newest(const struct kad_keys *keys,
                            const struct kad_id *key, unsigned type,
                            uint64_t hash) {
  uint32_t number = kad_index_first(&keys->index, hash);
  while (number != KAD_NO_ITEM) {
    const struct kad_memory_entry *entry = kad_slots_at(keys->slots, number);
    if (entry->type == type && kad_memory_entry_has_key(entry, key)) {
      return number;
    }
    number = entry->chain;
  }
  return KAD_NO_ITEM;
}

uint32_t kad_keys_find(const struct kad_keys *keys, const struct kad_id *key,
                       unsigned type) {
  return find_newest(keys, key, type, hash_id(keys, key));
}

void kad_keys_add(struct kad_keys *keys, uint32_t number) {
  struct kad_memory_entry *entry = kad_slots_at(keys->slots, number);
  const struct hashed key = key_at(keys, number);
  uint32_t newest = find_newest(keys, &key.id, entry->type, key.hash);
  if (newest == KAD_NO_ITEM) {
    entry->older = number;
    entry->newer = number;
    entry->siblings = 1;
    kad_index_add(&keys->index, key.hash, number);
    return;
  }
  struct kad_memory_entry *next = kad_slots_at(keys->slots, newest);
  entry->older = newest;
  entry->newer = next->newer;
  entry->siblings = next->siblings + 1;
  kad_slots_at(keys->slots, next->newer)->older = number;
  next->newer = number;
  kad_index_replace(&keys->index, key.hash, newest, number);
}

void kad_keys_remove(struct kad_keys *keys, uint32_t number) {
  const struct kad_memory_entry *entry = kad_slots_at(keys->slots, number);
  const struct hashed key = key_at(keys, number);
  uint32_t newest = find_newest(keys, &key.id, entry->type, key.hash);
  uint32_t siblings = kad_slots_at(keys->slots, newest)->siblings - 1;
  if (siblings == 0) {
    kad_index_remove(&keys->index, key.hash, number);
    return;
  }
  kad_slots_at(keys->slots, entry->newer)->older = entry->older;
  kad_slots_at(keys->slots, entry->older)->newer = entry->newer;
  if (newest == number) {
    newest = entry->older;
    kad_index_replace(&keys->index, key.hash, number, newest);
  }
  kad_slots_at(keys->slots, newest)->siblings = siblings;
}

void kad_keys_renew(struct kad_keys *keys, uint32_t number) {
  kad_keys_remove(keys, number);
  kad_keys_add(keys, number);
}
