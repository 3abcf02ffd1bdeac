/* A record is one block (entry.h) with a number (slots.h), or, if it is a peer
 * that stored itself, a row of a swarm (peers.h). The entries of one key and
 * type form a ring (key_index.h), and so do those of one host and of one
 * publisher (accounts.h). Two heaps find what is due. All of these link by
 * number, which takes half of the memory of pointers and allows blocks to move.
 * A peer that a row cannot hold, such as one that another host stored, is an
 * entry. Its row in the swarm has its place and its handle.
 *
 * Room is reserved in every part before anything changes, so that running out
 * of memory leaves the store as it was. */
#include "records/memory/memory_store.h"

#include "base/address.h"
#include "base/allocator.h"
#include "records/memory/memory.h"

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

static struct kad_memory_entry *entry_at(const struct kad_memory *memory,
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
static void clear(struct kad_memory *memory) {
  const struct kad_allocator *allocator = &memory->allocator;
  kad_key_index_clear(&memory->keys, allocator);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_deinit(&memory->due[i], allocator);
  }
  kad_accounts_clear(&memory->hosts, allocator);
  kad_accounts_clear(&memory->publishers, allocator);
  kad_type_list_clear(&memory->types, allocator);
  kad_slots_clear(&memory->slots, allocator);
  kad_peers_clear(&memory->peers, allocator);
}

static void clear_if_empty(struct kad_memory *memory) {
  if (memory->slots.count == 0 && memory->peers.swarms.rows == 0) {
    clear(memory);
  }
}

/* Makes room for the accounts of a new entry. Returns 0 or KAD_ENOMEM. */
static int reserve_accounts(struct kad_memory *memory,
                            const struct kad_record *record,
                            const struct kad_address *origin) {
  const struct kad_allocator *allocator = &memory->allocator;
  const int status = kad_accounts_reserve(&memory->hosts, allocator);
  return status != 0 || record->publisher == NULL || origin->family == 0
             ? status
             : kad_accounts_reserve(&memory->publishers, allocator);
}

static int reserve(struct kad_memory *memory, const struct kad_record *record,
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
static void open_accounts(struct kad_memory *memory, uint32_t number) {
  struct kad_memory_entry *entry = entry_at(memory, number);
  kad_accounts_add(&memory->hosts, number, cost_of(entry));
  if (kad_memory_entry_of_publisher(entry) != NULL) {
    kad_accounts_add(&memory->publishers, number, cost_of(entry));
  }
}

static void close_accounts(struct kad_memory *memory, uint32_t number) {
  struct kad_memory_entry *entry = entry_at(memory, number);
  kad_accounts_remove(&memory->hosts, number, cost_of(entry));
  if (kad_memory_entry_of_publisher(entry) != NULL) {
    kad_accounts_remove(&memory->publishers, number, cost_of(entry));
  }
}

static void renew_accounts(struct kad_memory *memory, uint32_t number) {
  kad_accounts_renew(&memory->hosts, number);
  if (kad_memory_entry_of_publisher(entry_at(memory, number)) != NULL) {
    kad_accounts_renew(&memory->publishers, number);
  }
}

/* Adds an entry to all parts but the key index. */
static uint32_t insert(struct kad_memory *memory,
                       struct kad_memory_entry *entry) {
  uint32_t number = kad_slots_add(&memory->slots, entry);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_add(&memory->due[i], number);
  }
  open_accounts(memory, number);
  memory->types.items[entry->type].records++;
  memory->bytes += cost_of(entry);
  return number;
}

static int make_entry(struct kad_memory *memory,
                      const struct kad_record *record,
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

/* Removes an entry from all parts but the key index, and frees it. */
static void drop(struct kad_memory *memory, uint32_t number) {
  struct kad_memory_entry *entry = entry_at(memory, number);
  size_t cost = cost_of(entry);
  close_accounts(memory, number);
  for (size_t i = 0; i < KAD_MEMORY_DUE_COUNT; i++) {
    kad_item_heap_remove(&memory->due[i], number);
  }
  memory->types.items[entry->type].records--;
  memory->bytes -= cost;
  kad_slots_remove(&memory->slots, number);
  kad_release(&memory->allocator, entry, kad_memory_entry_size_held(entry));
}

static int add_entry(struct kad_memory *memory, const struct kad_record *record,
                     const struct kad_record_meta *meta,
                     kad_record_handle *handle) {
  struct kad_memory_entry *entry = NULL;
  const int status = make_entry(memory, record, meta, &entry);
  if (status == 0) {
    const uint32_t number = insert(memory, entry);
    kad_key_index_add(&memory->keys, number);
    *handle = kad_slots_handle(&memory->slots, number);
  }
  return status;
}

/* Moves an entry to the account of another origin, in a new block because the
 * address may be longer. Returns 0 or KAD_ENOMEM. */
static int change_origin(struct kad_memory *memory, uint32_t number,
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

static void set_entry_meta(struct kad_memory *memory, uint32_t number,
                           const struct kad_record_meta *meta) {
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
    if (!kad_slots_is_renamed(&memory->slots, number)) {
      kad_key_index_renew(&memory->keys, number);
    }
    renew_accounts(memory, number);
  }
}

/* ----------------------------------------------------------------- peers -- */

/* Adds a peer as an entry with a row in its swarm. */
static int add_peer_entry(struct kad_memory *memory,
                          const struct kad_record *record,
                          const struct kad_record_meta *meta,
                          kad_record_handle *handle) {
  struct kad_memory_entry *entry = NULL;
  int status = make_entry(memory, record, meta, &entry);
  if (status != 0) {
    return status;
  }
  const uint32_t number = insert(memory, entry);
  const struct kad_swarm_row row = {.entry = number};
  status = kad_peers_add(&memory->peers, &memory->allocator, &record->key, &row,
                         handle);
  if (status != 0) {
    drop(memory, number);
    return status;
  }
  kad_slots_rename(&memory->slots, number, *handle);
  return 0;
}

static int add_peer(struct kad_memory *memory, const struct kad_record *record,
                    const struct kad_record_meta *meta,
                    kad_record_handle *handle) {
  struct kad_swarm_row row;
  const int status = kad_swarm_row_of(record, meta, &row)
                         ? kad_peers_add(&memory->peers, &memory->allocator,
                                         &record->key, &row, handle)
                         : KAD_EFULL;
  return status == KAD_EFULL ? add_peer_entry(memory, record, meta, handle)
                             : status;
}

/* Makes the record of a peer that is no entry. */
static void make_peer(const struct kad_memory *memory, uint32_t swarm,
                      const struct kad_swarm_row *row,
                      struct kad_record *record) {
  *record = (struct kad_record){
      .key = kad_swarms_at(&memory->peers.swarms, swarm)->key,
      .type = kad_slice_of("peers"),
      .value = row->value,
  };
}

/* Makes an entry of a peer whose new meta does not fit in a row. Out of memory
 * it stays as it is. */
static void turn_into_entry(struct kad_memory *memory, kad_record_handle handle,
                            uint32_t swarm, const struct kad_swarm_row *old,
                            const struct kad_record_meta *meta, bool renews) {
  struct kad_record record;
  struct kad_memory_entry *entry = NULL;
  struct kad_swarm_row row = {.serial = old->serial};
  make_peer(memory, swarm, old, &record);
  if (make_entry(memory, &record, meta, &entry) != 0) {
    return;
  }
  row.entry = insert(memory, entry);
  kad_slots_rename(&memory->slots, row.entry, handle);
  const int status = kad_peers_replace(&memory->peers, &memory->allocator,
                                       swarm, old, &row, renews);
  assert(status == 0);
  (void)status;
}

static void set_peer_meta(struct kad_memory *memory, kad_record_handle handle,
                          const struct kad_record_meta *meta) {
  struct kad_swarm_row old;
  struct kad_swarm_row row;
  struct kad_record record;
  struct kad_record_meta before;
  uint32_t swarm = 0;
  if (!kad_swarms_read(&memory->peers.swarms, handle, &swarm, &old)) {
    return;
  }
  if (old.entry != KAD_NO_ITEM) {
    kad_memory_entry_meta(entry_at(memory, old.entry), &before);
    set_entry_meta(memory, old.entry, meta);
    if (before.stored_at != meta->stored_at) {
      kad_swarms_replace(&memory->peers.swarms, swarm, &old, &old, true);
    }
    return;
  }
  const bool renews = old.stored_at != meta->stored_at;
  make_peer(memory, swarm, &old, &record);
  int status = KAD_EFULL;
  if (kad_swarm_row_of(&record, meta, &row)) {
    row.serial = old.serial;
    status = kad_peers_replace(&memory->peers, &memory->allocator, swarm, &old,
                               &row, renews);
  }
  if (status == KAD_EFULL) {
    turn_into_entry(memory, handle, swarm, &old, meta, renews);
  }
}

/* -------------------------------------------------------------- the store --
 */

static int memory_add(void *state, const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      kad_record_handle *handle) {
  struct kad_memory *memory = state;
  const int status = kad_peers_is_type(record->type)
                         ? add_peer(memory, record, meta, handle)
                         : add_entry(memory, record, meta, handle);
  if (status != 0) {
    clear_if_empty(memory);
  }
  return status;
}

static void memory_remove(void *state, kad_record_handle handle) {
  struct kad_memory *memory = state;
  struct kad_swarm_row row;
  uint32_t swarm = 0;
  const uint32_t number = kad_slots_find(&memory->slots, handle);
  if (number != KAD_NO_ITEM) {
    kad_key_index_remove(&memory->keys, number);
    drop(memory, number);
  } else if (kad_swarms_read(&memory->peers.swarms, handle, &swarm, &row)) {
    if (row.entry != KAD_NO_ITEM) {
      drop(memory, row.entry);
    }
    kad_peers_remove(&memory->peers, &memory->allocator, swarm, &row);
  }
  clear_if_empty(memory);
}

static void memory_set_meta(void *state, kad_record_handle handle,
                            const struct kad_record_meta *meta) {
  struct kad_memory *memory = state;
  const uint32_t number = kad_slots_find(&memory->slots, handle);
  if (number == KAD_NO_ITEM) {
    set_peer_meta(memory, handle, meta);
  } else {
    set_entry_meta(memory, number, meta);
  }
}

static void read_entry(const struct kad_memory *memory, uint32_t number,
                       struct kad_held *held) {
  const struct kad_memory_entry *entry = entry_at(memory, number);
  const struct kad_listed_type *type = &memory->types.items[entry->type];
  kad_memory_entry_record(entry, &held->record);
  held->record.type = (struct kad_slice){type->name, type->len};
  kad_memory_entry_meta(entry, &held->meta);
}

static bool memory_read(void *state, kad_record_handle handle,
                        struct kad_held *held) {
  struct kad_memory *memory = state;
  struct kad_swarm_row row;
  uint32_t swarm = 0;
  uint32_t number = kad_slots_find(&memory->slots, handle);
  held->handle = handle;
  if (number == KAD_NO_ITEM) {
    if (!kad_swarms_read(&memory->peers.swarms, handle, &swarm, &row)) {
      return false;
    }
    if (row.entry == KAD_NO_ITEM) {
      make_peer(memory, swarm, &row, &held->record);
      kad_swarm_row_meta(&row, &held->meta);
      return true;
    }
    number = row.entry;
  }
  read_entry(memory, number, held);
  return true;
}

static size_t memory_find(void *state, const struct kad_id *key,
                          struct kad_slice type, size_t skip,
                          kad_record_handle *handles, size_t cap) {
  struct kad_memory *memory = state;
  if (kad_peers_is_type(type)) {
    return kad_peers_find(&memory->peers, key, skip, handles, cap);
  }
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

static kad_record_handle first_due(const struct kad_memory *memory,
                                   enum kad_memory_due due, kad_time_ms *at) {
  uint32_t number = kad_item_heap_first(&memory->due[due]);
  *at = number == KAD_NO_ITEM ? KAD_TIME_NEVER
                              : entry_at(memory, number)->due[due];
  return *at == KAD_TIME_NEVER ? 0 : kad_slots_handle(&memory->slots, number);
}

static kad_record_handle memory_due_expire(void *state, kad_time_ms *at) {
  struct kad_memory *memory = state;
  kad_time_ms entry_at_ms;
  const kad_record_handle peer = kad_swarms_due(&memory->peers.swarms, at);
  const kad_record_handle entry =
      first_due(memory, KAD_MEMORY_DUE_EXPIRE, &entry_at_ms);
  if (entry_at_ms >= *at) {
    return peer;
  }
  *at = entry_at_ms;
  return entry;
}

static kad_record_handle memory_due_republish(void *state, kad_time_ms *at) {
  return first_due(state, KAD_MEMORY_DUE_REPUBLISH, at);
}

/* The cursor is the number of an entry, or, with `of_peers`, that of
 * kad_swarms_next. */
static kad_record_handle memory_next(void *state, uint64_t *cursor) {
  static const uint64_t of_peers = UINT64_C(1) << 63;
  const struct kad_memory *memory = state;
  for (; *cursor < memory->slots.used; ++*cursor) {
    const uint32_t number = (uint32_t)*cursor;
    if (entry_at(memory, number) != NULL) {
      ++*cursor;
      return kad_slots_handle(&memory->slots, number);
    }
  }
  uint64_t place = (*cursor & of_peers) != 0 ? *cursor - of_peers : 0;
  const kad_record_handle handle =
      kad_swarms_next(&memory->peers.swarms, &place);
  *cursor = place | of_peers;
  return handle;
}

static size_t memory_count(void *state) {
  const struct kad_memory *memory = state;
  return memory->slots.count + memory->peers.swarms.peers;
}

static size_t memory_bytes(void *state) {
  const struct kad_memory *memory = state;
  const size_t accounts =
      memory->hosts.by_bytes.count + memory->publishers.by_bytes.count;
  return memory->bytes + accounts * KAD_ACCOUNT_OVERHEAD +
         kad_peers_bytes(&memory->peers);
}

static size_t memory_count_of(void *state, const struct kad_address *origin) {
  const struct kad_memory *memory = state;
  const struct kad_account_key key = kad_account_key_of_host(origin);
  return kad_accounts_count(&memory->hosts, &key) +
         kad_peers_count_of(&memory->peers, origin);
}

static size_t memory_count_signed(void *state, const uint8_t *publisher) {
  const struct kad_memory *memory = state;
  const struct kad_account_key key = kad_account_key_of_publisher(publisher);
  return kad_accounts_count(&memory->publishers, &key);
}

static size_t memory_types(void *state, struct kad_type_count *counts,
                           size_t cap) {
  const struct kad_memory *memory = state;
  return kad_type_list_counts(&memory->types, memory->peers.swarms.peers,
                              counts, cap);
}

static kad_record_handle memory_victim(void *state, const struct kad_id *self) {
  struct kad_memory *memory = state;
  const uint64_t of_host = kad_accounts_most(&memory->hosts);
  const uint64_t of_publisher = kad_accounts_most(&memory->publishers);
  size_t of_peers = 0;
  const kad_record_handle peer =
      kad_peers_victim(&memory->peers, self, &of_peers);
  if (peer != 0 && of_peers >= of_host && of_peers >= of_publisher) {
    return peer;
  }
  const uint32_t number = kad_accounts_victim(
      of_publisher > of_host ? &memory->publishers : &memory->hosts, self);
  return number == KAD_NO_ITEM ? 0 : kad_slots_handle(&memory->slots, number);
}

int kad_memory_store_new(const struct kad_allocator *allocator,
                         const uint8_t *secret, struct kad_store **store) {
  struct kad_memory *memory = kad_alloc(allocator, sizeof *memory);
  if (memory == NULL) {
    return KAD_ENOMEM;
  }
  *memory = (struct kad_memory){
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
              .types = memory_types,
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
  kad_peers_init(&memory->peers, memory->secret);
  *store = &memory->store;
  return 0;
}

void kad_memory_store_free(struct kad_store *store) {
  if (store == NULL) {
    return;
  }
  struct kad_memory *memory = store->state;
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
