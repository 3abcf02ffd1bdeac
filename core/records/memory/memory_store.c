/* A record is one block (entry.h) with a number (slots.h). The entries of one
 * key and type form a ring (key_index.h), and so do those of one host and of
 * one publisher (accounts.h). Two heaps find what is due. All of these link by
 * number, which takes half of the memory of pointers and allows blocks to move.
 *
 * Room is reserved in every part before anything changes, so that running out
 * of memory leaves the store as it was. */
#include "records/memory/memory_store.h"

#include "base/address.h"
#include "base/allocator.h"
#include "records/memory/accounts.h"
#include "records/memory/entry.h"
#include "records/memory/item.h"
#include "records/memory/key_index.h"
#include "records/memory/slots.h"
#include "records/memory/type_list.h"

#include <assert.h>
#include <string.h>

static_assert((int)KAD_MEMORY_STORE_SECRET_SIZE ==
                  (int)KAD_ITEM_MAP_SECRET_SIZE,
              "one secret for the store and its hash tables");

enum {
  /* Bytes that an entry takes at most besides its block: a slot, two places in
   * heaps and a bucket, in arrays that grow by an eighth. */
  ENTRY_OVERHEAD = 32
};

struct memory {
  struct kad_store store;
  struct kad_allocator allocator;
  uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE];
  struct kad_slots slots;
  struct kad_type_list types;
  struct kad_key_index keys;
  struct kad_item_heap due[KAD_MEMORY_DUE_COUNT];
  struct kad_accounts hosts;
  struct kad_accounts publishers;
  size_t bytes; /* of the entries */
};

static struct kad_memory_entry *entry_at(const struct memory *memory,
                                         uint32_t number) {
  return kad_slots_at(&memory->slots, number);
}

static bool expires_before(void *state, uint32_t a, uint32_t b) {
  return entry_at(state, a)->due[KAD_MEMORY_DUE_EXPIRE] <
         entry_at(state, b)->due[KAD_MEMORY_DUE_EXPIRE];
}

static bool republishes_before(void *state, uint32_t a, uint32_t b) {
  return entry_at(state, a)->due[KAD_MEMORY_DUE_REPUBLISH] <
         entry_at(state, b)->due[KAD_MEMORY_DUE_REPUBLISH];
}

static uint32_t *expire_place(void *state, uint32_t number) {
  return &entry_at(state, number)->places[KAD_MEMORY_DUE_EXPIRE];
}

static uint32_t *republish_place(void *state, uint32_t number) {
  return &entry_at(state, number)->places[KAD_MEMORY_DUE_REPUBLISH];
}

/* Frees all parts. The slots keep their serial: old handles stay stale. */
static void clear(struct memory *memory) {
  const struct kad_allocator *allocator = &memory->allocator;
  kad_key_index_clear(&memory->keys, allocator);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_deinit(&memory->due[i], allocator);
  }
  kad_accounts_clear(&memory->hosts, allocator);
  kad_accounts_clear(&memory->publishers, allocator);
  kad_type_list_clear(&memory->types, allocator);
  kad_slots_clear(&memory->slots, allocator);
}

static void clear_if_empty(struct memory *memory) {
  if (memory->slots.count == 0) {
    clear(memory);
  }
}

/* Makes room for the accounts of a new entry. Returns 0 or KAD_ENOMEM. */
static int reserve_accounts(struct memory *memory,
                            const struct kad_record *record,
                            const struct kad_address *origin) {
  const struct kad_allocator *allocator = &memory->allocator;
  const int status = kad_accounts_reserve(&memory->hosts, allocator);
  return status != 0 || record->publisher == NULL || origin->family == 0
             ? status
             : kad_accounts_reserve(&memory->publishers, allocator);
}

static int reserve(struct memory *memory, const struct kad_record *record,
                   const struct kad_address *origin) {
  const struct kad_allocator *allocator = &memory->allocator;
  int status = kad_slots_reserve(&memory->slots, allocator);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT && status == 0; i++) {
    status = kad_item_heap_reserve(&memory->due[i], allocator);
  }
  if (status == 0) {
    status = kad_key_index_reserve(&memory->keys, allocator);
  }
  return status != 0 ? status : reserve_accounts(memory, record, origin);
}

static size_t cost_of(const struct kad_memory_entry *entry) {
  return kad_memory_entry_cost(entry) + ENTRY_OVERHEAD;
}

/* Adds an entry to its accounts. The caller has reserved room for them. */
static void open_accounts(struct memory *memory, uint32_t number) {
  struct kad_memory_entry *entry = entry_at(memory, number);
  kad_accounts_add(&memory->hosts, number, cost_of(entry));
  if (kad_memory_entry_of_publisher(entry) != NULL) {
    kad_accounts_add(&memory->publishers, number, cost_of(entry));
  }
}

static void close_accounts(struct memory *memory, uint32_t number) {
  struct kad_memory_entry *entry = entry_at(memory, number);
  kad_accounts_remove(&memory->hosts, number, cost_of(entry));
  if (kad_memory_entry_of_publisher(entry) != NULL) {
    kad_accounts_remove(&memory->publishers, number, cost_of(entry));
  }
}

static void renew_accounts(struct memory *memory, uint32_t number) {
  kad_accounts_renew(&memory->hosts, number);
  if (kad_memory_entry_of_publisher(entry_at(memory, number)) != NULL) {
    kad_accounts_renew(&memory->publishers, number);
  }
}

static uint32_t insert(struct memory *memory, struct kad_memory_entry *entry) {
  uint32_t number = kad_slots_add(&memory->slots, entry);
  kad_key_index_add(&memory->keys, number);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_add(&memory->due[i], number);
  }
  open_accounts(memory, number);
  memory->types.items[entry->type].records++;
  memory->bytes += cost_of(entry);
  return number;
}

static int make_entry(struct memory *memory, const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      struct kad_memory_entry **entry) {
  unsigned type = 0;
  int status = kad_type_list_reserve(&memory->types, &memory->allocator,
                                     record->type, &type);
  if (status == 0) {
    status = reserve(memory, record, &meta->origin);
  }
  if (status != 0) {
    return status;
  }
  struct kad_memory_entry *made = kad_alloc(
      &memory->allocator, kad_memory_entry_size(record, &meta->origin));
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  kad_memory_entry_write(made, record, (uint8_t)type, meta);
  *entry = made;
  return 0;
}

static int memory_add(void *state, const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      kad_record_handle *handle) {
  struct memory *memory = state;
  struct kad_memory_entry *entry = NULL;
  int status = make_entry(memory, record, meta, &entry);
  if (status != 0) {
    clear_if_empty(memory);
    return status;
  }
  uint32_t number = insert(memory, entry);
  *handle = kad_slots_handle(&memory->slots, number);
  return 0;
}

static void memory_remove(void *state, kad_record_handle handle) {
  struct memory *memory = state;
  uint32_t number = kad_slots_find(&memory->slots, handle);
  if (number == KAD_NO_ITEM) {
    return;
  }
  struct kad_memory_entry *entry = entry_at(memory, number);
  size_t cost = cost_of(entry);
  close_accounts(memory, number);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_remove(&memory->due[i], number);
  }
  kad_key_index_remove(&memory->keys, number);
  memory->types.items[entry->type].records--;
  memory->bytes -= cost;
  kad_slots_remove(&memory->slots, number);
  kad_release(&memory->allocator, entry, kad_memory_entry_size_held(entry));
  clear_if_empty(memory);
}

/* Moves an entry to the account of another origin, in a new block because the
 * address may be longer. Returns 0 or KAD_ENOMEM. */
static int change_origin(struct memory *memory, uint32_t number,
                         const struct kad_record_meta *meta) {
  struct kad_memory_entry *old = entry_at(memory, number);
  struct kad_record record;
  kad_memory_entry_record(old, &record);
  int status = reserve_accounts(memory, &record, &meta->origin);
  if (status != 0) {
    return status;
  }
  struct kad_memory_entry *entry = kad_alloc(
      &memory->allocator, kad_memory_entry_size(&record, &meta->origin));
  if (entry == NULL) {
    return KAD_ENOMEM;
  }
  memcpy(entry, old, offsetof(struct kad_memory_entry, tail));
  kad_memory_entry_write(entry, &record, old->type, meta);
  close_accounts(memory, number);
  memory->bytes = memory->bytes - cost_of(old) + cost_of(entry);
  memory->slots.items[number].entry = entry; /* the handle stays */
  kad_release(&memory->allocator, old, kad_memory_entry_size_held(old));
  open_accounts(memory, number);
  return 0;
}

static void memory_set_meta(void *state, kad_record_handle handle,
                            const struct kad_record_meta *meta) {
  struct memory *memory = state;
  uint32_t number = kad_slots_find(&memory->slots, handle);
  if (number == KAD_NO_ITEM) {
    return;
  }
  struct kad_record_meta before;
  struct kad_record_meta after = *meta;
  kad_memory_entry_meta(entry_at(memory, number), &before);
  if (!kad_address_same_ip(&before.origin, &after.origin) &&
      change_origin(memory, number, &after) != 0) {
    after.origin = before.origin;
  }
  kad_memory_entry_set_meta(entry_at(memory, number), &after);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_move(&memory->due[i], number);
  }
  if (after.stored_at != before.stored_at) {
    kad_key_index_renew(&memory->keys, number);
    renew_accounts(memory, number);
  }
}

static bool memory_read(void *state, kad_record_handle handle,
                        struct kad_held *held) {
  const struct memory *memory = state;
  uint32_t number = kad_slots_find(&memory->slots, handle);
  if (number == KAD_NO_ITEM) {
    return false;
  }
  const struct kad_memory_entry *entry = entry_at(memory, number);
  const struct kad_listed_type *type = &memory->types.items[entry->type];
  held->handle = handle;
  kad_memory_entry_record(entry, &held->record);
  held->record.type = (struct kad_slice){type->name, type->len};
  kad_memory_entry_meta(entry, &held->meta);
  return true;
}

static size_t memory_find(void *state, const struct kad_id *key,
                          struct kad_slice type, size_t skip,
                          kad_record_handle *handles, size_t cap) {
  const struct memory *memory = state;
  unsigned type_number = kad_type_list_find(&memory->types, type);
  if (type_number == KAD_NO_TYPE) {
    return 0;
  }
  uint32_t number = kad_key_index_find(&memory->keys, key, type_number);
  if (number == KAD_NO_ITEM) {
    return 0;
  }
  size_t total = entry_at(memory, number)->siblings;
  size_t copied = 0;
  for (size_t i = 0; i < total && copied < cap; i++) {
    if (i >= skip) {
      handles[copied] = kad_slots_handle(&memory->slots, number);
      copied++;
    }
    number = entry_at(memory, number)->older;
  }
  return total;
}

static kad_record_handle first_due(const struct memory *memory,
                                   enum kad_memory_due due, kad_time_ms *at) {
  uint32_t number = kad_item_heap_first(&memory->due[due]);
  *at = number == KAD_NO_ITEM ? KAD_TIME_NEVER
                              : entry_at(memory, number)->due[due];
  return *at == KAD_TIME_NEVER ? 0 : kad_slots_handle(&memory->slots, number);
}

static kad_record_handle memory_due_expire(void *state, kad_time_ms *at) {
  return first_due(state, KAD_MEMORY_DUE_EXPIRE, at);
}

static kad_record_handle memory_due_republish(void *state, kad_time_ms *at) {
  return first_due(state, KAD_MEMORY_DUE_REPUBLISH, at);
}

static kad_record_handle memory_next(void *state, uint64_t *cursor) {
  const struct memory *memory = state;
  for (uint64_t i = *cursor; i < memory->slots.used; i++) {
    if (entry_at(memory, (uint32_t)i) != NULL) {
      *cursor = i + 1;
      return kad_slots_handle(&memory->slots, (uint32_t)i);
    }
  }
  return 0;
}

static size_t memory_count(void *state) {
  const struct memory *memory = state;
  return memory->slots.count;
}

static size_t memory_bytes(void *state) {
  const struct memory *memory = state;
  const size_t accounts =
      memory->hosts.by_bytes.count + memory->publishers.by_bytes.count;
  return memory->bytes + accounts * KAD_ACCOUNT_OVERHEAD;
}

static size_t memory_count_of(void *state, const struct kad_address *origin) {
  const struct memory *memory = state;
  const struct kad_account_key key = kad_account_key_of_host(origin);
  return kad_accounts_count(&memory->hosts, &key);
}

static size_t memory_count_signed(void *state, const uint8_t *publisher) {
  const struct memory *memory = state;
  const struct kad_account_key key = kad_account_key_of_publisher(publisher);
  return kad_accounts_count(&memory->publishers, &key);
}

static kad_record_handle memory_victim(void *state, const struct kad_id *self) {
  const struct memory *memory = state;
  const bool is_publisher = kad_accounts_most(&memory->publishers) >
                            kad_accounts_most(&memory->hosts);
  uint32_t number = kad_accounts_victim(
      is_publisher ? &memory->publishers : &memory->hosts, self);
  return number == KAD_NO_ITEM ? 0 : kad_slots_handle(&memory->slots, number);
}

int kad_memory_store_new(const struct kad_allocator *allocator,
                         const uint8_t *secret, struct kad_store **store) {
  struct memory *memory = kad_alloc(allocator, sizeof *memory);
  if (memory == NULL) {
    return KAD_ENOMEM;
  }
  *memory = (struct memory){
      .store =
          {
              .state = memory,
              .add = memory_add,
              .set_meta = memory_set_meta,
              .remove = memory_remove,
              .read = memory_read,
              .find = memory_find,
              .due_expire = memory_due_expire,
              .due_republish = memory_due_republish,
              .next = memory_next,
              .count = memory_count,
              .bytes = memory_bytes,
              .count_of = memory_count_of,
              .victim = memory_victim,
              .count_signed = memory_count_signed,
          },
      .allocator = *allocator,
      .due[KAD_MEMORY_DUE_EXPIRE] = {.state = memory,
                                     .before = expires_before,
                                     .place = expire_place},
      .due[KAD_MEMORY_DUE_REPUBLISH] = {.state = memory,
                                        .before = republishes_before,
                                        .place = republish_place},
  };
  memcpy(memory->secret, secret, sizeof memory->secret);
  kad_slots_init(&memory->slots);
  kad_key_index_init(&memory->keys, &memory->slots, memory->secret);
  kad_accounts_init(&memory->hosts, KAD_ACCOUNTS_OF_HOSTS, &memory->slots,
                    memory->secret);
  kad_accounts_init(&memory->publishers, KAD_ACCOUNTS_OF_PUBLISHERS,
                    &memory->slots, memory->secret);
  *store = &memory->store;
  return 0;
}

void kad_memory_store_free(struct kad_store *store) {
  if (store == NULL) {
    return;
  }
  struct memory *memory = store->state;
  struct kad_allocator allocator = memory->allocator;
  for (uint32_t i = 0; i < memory->slots.used; i++) {
    struct kad_memory_entry *entry = entry_at(memory, i);
    if (entry != NULL) {
      kad_release(&allocator, entry, kad_memory_entry_size_held(entry));
    }
  }
  clear(memory);
  kad_release(&allocator, memory, sizeof *memory);
}
