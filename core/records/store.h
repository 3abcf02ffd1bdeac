/* The record store of a node: its interface is in kadenza_store.h. */
#ifndef KAD_RECORDS_STORE_H
#define KAD_RECORDS_STORE_H

#include "kadenza_store.h"

/* Call the function of `store` that has the same name. */
KAD_MUST_CHECK static inline int kad_store_add(
    const struct kad_store *store, const struct kad_record *record,
    const struct kad_record_meta *meta, kad_record_handle *handle) {
  return store->add(store->state, record, meta, handle);
}
static inline void kad_store_set_meta(const struct kad_store *store,
                                      kad_record_handle handle,
                                      const struct kad_record_meta *meta) {
  store->set_meta(store->state, handle, meta);
}
static inline void kad_store_remove(const struct kad_store *store,
                                    kad_record_handle handle) {
  store->remove(store->state, handle);
}
static inline bool kad_store_read(const struct kad_store *store,
                                  kad_record_handle handle,
                                  struct kad_held *held) {
  return store->read(store->state, handle, held);
}
static inline size_t kad_store_find(const struct kad_store *store,
                                    const struct kad_id *key,
                                    struct kad_slice type, size_t skip,
                                    kad_record_handle *handles, size_t cap) {
  return store->find(store->state, key, type, skip, handles, cap);
}
static inline kad_record_handle kad_store_due_expire(
    const struct kad_store *store, kad_time_ms *at) {
  return store->due_expire(store->state, at);
}
static inline kad_record_handle kad_store_due_republish(
    const struct kad_store *store, kad_time_ms *at) {
  return store->due_republish(store->state, at);
}
static inline kad_record_handle kad_store_next(const struct kad_store *store,
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

/* Returns 0 for a store that does not count its types. */
static inline size_t kad_store_types(const struct kad_store *store,
                                     struct kad_type_count *counts,
                                     size_t cap) {
  return store->types != NULL ? store->types(store->state, counts, cap) : 0;
}

/* Returns 0 for a store that cannot fail. */
static inline uint64_t kad_store_failures(const struct kad_store *store) {
  return store->failures != NULL ? store->failures(store->state) : 0;
}
static inline void kad_store_close(const struct kad_store *store) {
  if (store->close != NULL) {
    store->close(store->state);
  }
}

/* Calls `victim`, which must not be NULL. */
static inline kad_record_handle kad_store_victim(const struct kad_store *store,
                                                 const struct kad_id *self) {
  return store->victim(store->state, self);
}

/* Calls `count_signed`, which must not be NULL. */
static inline size_t kad_store_count_signed(const struct kad_store *store,
                                            const uint8_t *publisher) {
  return store->count_signed(store->state, publisher);
}

#endif
