/* A record store of an application: an array of slots, which is searched from
 * end to end. array_store.c runs a node with it.
 *
 *     struct array_store array;
 *     if (array_store_init(&array, kad_allocator_default(), 256) == 0) {
 *       config.store = &array.store;
 *       ... the node opens, runs and is freed ...
 *       array_store_deinit(&array);
 *     } */
#ifndef ARRAY_STORE_H
#define ARRAY_STORE_H

#include <kadenza_store.h>
#include <string.h>

/* A record, with the bytes that it points to. */
struct slot {
  kad_record_handle handle; /* 0: the slot is free */
  uint64_t age;             /* the record with the greatest is the newest */
  struct kad_held held;
  uint8_t type[KAD_TYPE_NAME_MAX];
  uint8_t value[KAD_VALUE_MAX];
  uint8_t salt[KAD_SALT_MAX];
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
};

struct array_store {
  struct kad_store store;
  struct kad_allocator allocator;
  struct slot *slots;
  size_t capacity;
  size_t count;
  kad_record_handle last_handle; /* handles are not used again */
  uint64_t last_age;
};

static struct slot *find_slot(struct array_store *array,
                              kad_record_handle handle) {
  for (size_t i = 0; i < array->capacity; i++) {
    if (array->slots[i].handle == handle) {
      return &array->slots[i];
    }
  }
  return NULL;
}

/* Copies `slice` to `bytes`, and returns the copy. */
static struct kad_slice copy_slice(uint8_t *bytes, struct kad_slice slice) {
  if (slice.len > 0) {
    memcpy(bytes, slice.data, slice.len);
  }
  return (struct kad_slice){.data = bytes, .len = slice.len};
}

/* Copies `size` bytes of a field that may be absent, and returns the copy. */
static const uint8_t *copy_bytes(uint8_t *bytes, const uint8_t *from,
                                 size_t size) {
  return from != NULL ? memcpy(bytes, from, size) : NULL;
}

static int add(void *state, const struct kad_record *record,
               const struct kad_record_meta *meta, kad_record_handle *handle) {
  struct array_store *array = state;
  struct slot *slot = find_slot(array, 0);
  if (slot == NULL) {
    return KAD_EFULL;
  }
  slot->handle = ++array->last_handle;
  slot->age = ++array->last_age;
  slot->held = (struct kad_held){
      .handle = slot->handle, .record = *record, .meta = *meta};
  struct kad_record *copy = &slot->held.record;
  copy->type = copy_slice(slot->type, record->type);
  copy->value = copy_slice(slot->value, record->value);
  copy->salt = copy_slice(slot->salt, record->salt);
  copy->publisher =
      copy_bytes(slot->publisher, record->publisher, KAD_PUBLISHER_SIZE);
  copy->signature =
      copy_bytes(slot->signature, record->signature, KAD_SIGNATURE_SIZE);
  array->count++;
  *handle = slot->handle;
  return 0;
}

static void set_meta(void *state, kad_record_handle handle,
                     const struct kad_record_meta *meta) {
  struct array_store *array = state;
  struct slot *slot = handle != 0 ? find_slot(array, handle) : NULL;
  if (slot == NULL) {
    return;
  }
  if (slot->held.meta.stored_at != meta->stored_at) {
    slot->age = ++array->last_age;
  }
  slot->held.meta = *meta;
}

static void remove_record(void *state, kad_record_handle handle) {
  struct array_store *array = state;
  struct slot *slot = handle != 0 ? find_slot(array, handle) : NULL;
  if (slot != NULL) {
    slot->handle = 0;
    array->count--;
  }
}

static bool read_record(void *state, kad_record_handle handle,
                        struct kad_held *held) {
  const struct slot *slot = handle != 0 ? find_slot(state, handle) : NULL;
  if (slot == NULL) {
    return false;
  }
  *held = slot->held;
  return true;
}

static bool is_of(const struct slot *slot, const struct kad_id *key,
                  struct kad_slice type) {
  return slot->handle != 0 && kad_id_equal(&slot->held.record.key, key) &&
         kad_slice_equal(slot->held.record.type, type);
}

static size_t find(void *state, const struct kad_id *key, struct kad_slice type,
                   size_t skip, kad_record_handle *handles, size_t cap) {
  const struct array_store *array = state;
  uint64_t age = UINT64_MAX; /* of the last record found */
  size_t found = 0;
  for (;; found++) {
    const struct slot *newest = NULL;
    for (size_t i = 0; i < array->capacity; i++) {
      const struct slot *slot = &array->slots[i];
      if (is_of(slot, key, type) && slot->age < age &&
          (newest == NULL || slot->age > newest->age)) {
        newest = slot;
      }
    }
    if (newest == NULL) {
      return found;
    }
    age = newest->age;
    if (found >= skip && found - skip < cap) {
      handles[found - skip] = newest->handle;
    }
  }
}

static kad_record_handle due_expire(void *state, kad_time_ms *at) {
  const struct array_store *array = state;
  kad_record_handle first = 0;
  *at = KAD_TIME_NEVER;
  for (size_t i = 0; i < array->capacity; i++) {
    const struct slot *slot = &array->slots[i];
    if (slot->handle != 0 && slot->held.meta.expires_at < *at) {
      first = slot->handle;
      *at = slot->held.meta.expires_at;
    }
  }
  return first;
}

static kad_record_handle due_republish(void *state, kad_time_ms *at) {
  const struct array_store *array = state;
  kad_record_handle first = 0;
  *at = KAD_TIME_NEVER;
  for (size_t i = 0; i < array->capacity; i++) {
    const struct slot *slot = &array->slots[i];
    if (slot->handle != 0 && slot->held.meta.republish_at < *at) {
      first = slot->handle;
      *at = slot->held.meta.republish_at;
    }
  }
  return first;
}

/* The cursor is the index of the next slot. */
static kad_record_handle next(void *state, uint64_t *cursor) {
  const struct array_store *array = state;
  while (*cursor < array->capacity) {
    const struct slot *slot = &array->slots[(*cursor)++];
    if (slot->handle != 0) {
      return slot->handle;
    }
  }
  return 0;
}

static size_t count(void *state) {
  const struct array_store *array = state;
  return array->count;
}

static size_t bytes(void *state) {
  const struct array_store *array = state;
  return array->count * sizeof *array->slots;
}

/* Returns true for addresses of one host: an IPv4 address or an IPv6 /64. */
static bool is_same_host(const struct kad_address *a,
                         const struct kad_address *b) {
  const size_t size = a->family == 6 ? 8 : a->family == 4 ? 4 : 0;
  return a->family == b->family && memcmp(a->ip, b->ip, size) == 0;
}

static size_t count_of(void *state, const struct kad_address *origin) {
  const struct array_store *array = state;
  size_t records = 0;
  for (size_t i = 0; i < array->capacity; i++) {
    const struct slot *slot = &array->slots[i];
    records +=
        slot->handle != 0 && is_same_host(&slot->held.meta.origin, origin);
  }
  return records;
}

static size_t count_signed(void *state, const uint8_t *publisher) {
  const struct array_store *array = state;
  size_t records = 0;
  for (size_t i = 0; i < array->capacity; i++) {
    const struct kad_held *held = &array->slots[i].held;
    records +=
        array->slots[i].handle != 0 && held->meta.origin.family != 0 &&
        held->record.publisher != NULL &&
        memcmp(held->record.publisher, publisher, KAD_PUBLISHER_SIZE) == 0;
  }
  return records;
}

/* Makes an empty store with room for `capacity` records. Copies: `allocator`.
 * Returns 0 or KAD_ENOMEM. */
static inline int array_store_init(struct array_store *array,
                                   struct kad_allocator allocator,
                                   size_t capacity) {
  struct slot *slots = allocator.resize(allocator.state, NULL, 0,
                                        capacity * sizeof *array->slots);
  if (slots == NULL) {
    return KAD_ENOMEM;
  }
  memset(slots, 0, capacity * sizeof *slots);
  *array = (struct array_store){
      .store = {.state = array,
                .add = add,
                .set_meta = set_meta,
                .remove = remove_record,
                .read = read_record,
                .find = find,
                .due_expire = due_expire,
                .due_republish = due_republish,
                .next = next,
                .count = count,
                .bytes = bytes,
                .count_of = count_of,
                .count_signed = count_signed}, /* no victim: KAD_EFULL */
      .allocator = allocator,
      .slots = slots,
      .capacity = capacity,
  };
  return 0;
}

/* Frees the records. */
static inline void array_store_deinit(struct array_store *array) {
  array->allocator.resize(array->allocator.state, array->slots,
                          array->capacity * sizeof *array->slots, 0);
}

#endif
