/* Where records are held. The engine decides what is held (record.h, type.h);
 * a store only keeps it: the memory store in memory.c, a disk store, or one of
 * an application's.
 *
 * A record in a store is named by a handle, so that another store need not keep
 * it in memory; a handle is valid until the record is removed. */
#ifndef KAD_RECORDS_STORE_H
#define KAD_RECORDS_STORE_H

#include "kadenza.h"

/* Names a held record; 0 names none, and so does the handle of a record that
 * has been removed. */
typedef uint64_t kad_handle;

/* What is kept beside a record. Times are of the engine's monotonic clock. */
struct kad_record_meta {
  kad_time_ms stored_at;     /* when this value was taken or confirmed */
  kad_time_ms expires_at;    /* when it is dropped */
  kad_time_ms republish_at;  /* when it is stored again; KAD_TIME_NEVER */
  struct kad_address origin; /* who stored it; family 0: our own user */
};

/* A held record. Its slices borrow the store until its next change. `ttl` and
 * `age` of `record` are not kept: derive them from `meta`. */
struct kad_held {
  kad_handle handle;
  struct kad_record record;
  struct kad_record_meta meta;
};

struct kad_store {
  void *state; /* given to the functions */
  /* Adds a record, which is within the limits of kad_record_check, beside those
   * held, as the newest of its key and type. Copies everything. Sets `*handle`.
   * Returns 0, KAD_ENOMEM, or KAD_EFULL when there are too many types or
   * records; nothing has changed then. */
  int (*add)(void *state, const struct kad_record *record,
             const struct kad_record_meta *meta, kad_handle *handle);
  /* Changes what is kept beside a held record. With another `stored_at` than
   * before it becomes the newest of its key and type. When memory is short the
   * origin stays as it was. */
  void (*touch)(void *state, kad_handle handle,
                const struct kad_record_meta *meta);
  /* Removes a record; one that is not there is ignored, as by touch. */
  void (*remove)(void *state, kad_handle handle);
  /* Gives a held record. Returns false if it is not there. */
  bool (*read)(void *state, kad_handle handle, struct kad_held *held);
  /* Returns how many records of `type` are held under `key`, and copies up to
   * `cap` of their handles from the `skip`th on, newest first. `handles` may be
   * NULL when `cap` is 0. */
  size_t (*find)(void *state, const struct kad_id *key, struct kad_slice type,
                 size_t skip, kad_handle *handles, size_t cap);
  /* Returns the record that expires (`due_expire`) or is republished
   * (`due_republish`) first, with its moment in `*at`; 0 for none, with
   * KAD_TIME_NEVER. */
  kad_handle (*due_expire)(void *state, kad_time_ms *at);
  kad_handle (*due_republish)(void *state, kad_time_ms *at);
  /* Gives every record once, in an order of the store's: begin with `*cursor`
   * 0, and stop when it returns 0. Changes between calls may hide or repeat
   * some. */
  kad_handle (*next)(void *state, uint64_t *cursor);
  /* Returns the records held, and the bytes that they take, overhead included:
   * 0 when none is held, and less after each removal. */
  size_t (*count)(void *state);
  size_t (*bytes)(void *state);
  /* Returns how many of the records an address has stored: port ignored, and of
   * an IPv6 address all but its /64, since its holder has the whole /64. Family
   * 0 asks for our own user's. */
  size_t (*count_of)(void *state, const struct kad_address *origin);
  /* Returns the record that goes first when room is needed; 0 for none. It is
   * of the address that takes the most bytes, our own user's last; of its
   * records those farthest from `self` (by shared prefix, as buckets are), and
   * of these the one that expires first. A store may look at a fixed number of
   * that address's earliest records only. NULL in a store that refuses instead.
   */
  kad_handle (*victim)(void *state, const struct kad_id *self);
};

/* The rest is for the engine: calls of the functions of a store. */

/* Call the function of `store` with the same name. */
KAD_MUST_CHECK static inline int kad_store_add(
    const struct kad_store *store, const struct kad_record *record,
    const struct kad_record_meta *meta, kad_handle *handle) {
  return store->add(store->state, record, meta, handle);
}
static inline void kad_store_touch(const struct kad_store *store,
                                   kad_handle handle,
                                   const struct kad_record_meta *meta) {
  store->touch(store->state, handle, meta);
}
static inline void kad_store_remove(const struct kad_store *store,
                                    kad_handle handle) {
  store->remove(store->state, handle);
}
static inline bool kad_store_read(const struct kad_store *store,
                                  kad_handle handle, struct kad_held *held) {
  return store->read(store->state, handle, held);
}
static inline size_t kad_store_find(const struct kad_store *store,
                                    const struct kad_id *key,
                                    struct kad_slice type, size_t skip,
                                    kad_handle *handles, size_t cap) {
  return store->find(store->state, key, type, skip, handles, cap);
}
static inline kad_handle kad_store_due_expire(const struct kad_store *store,
                                              kad_time_ms *at) {
  return store->due_expire(store->state, at);
}
static inline kad_handle kad_store_due_republish(const struct kad_store *store,
                                                 kad_time_ms *at) {
  return store->due_republish(store->state, at);
}
static inline kad_handle kad_store_next(const struct kad_store *store,
                                        uint64_t *cursor) {
  return store->next(store->state, cursor);
}
static inline size_t kad_store_count(const struct kad_store *store) {
  return store->count(store->state);
}
static inline size_t kad_store_bytes(const struct kad_store *store) {
  return store->bytes(store->state);
}
static inline size_t kad_store_count_of(const struct kad_store *store,
                                        const struct kad_address *origin) {
  return store->count_of(store->state, origin);
}

/* Returns the victim of a store, which must have that function. */
static inline kad_handle kad_store_victim(const struct kad_store *store,
                                          const struct kad_id *self) {
  return store->victim(store->state, self);
}

#endif
