/* The index is a memory store whose records have the number of their record in
 * place of a sequence number. A plain value of a few bytes is in the index; of
 * others it has the publisher, and the length of all other parts, which counts
 * for quotas.
 *
 * Whatever is read from the backend is checked: an application's files may have
 * been changed by another program. */
#include "base/allocator.h"
#include "base/array.h"
#include "kadenza_backend.h"
#include "records/backed/reads.h"
#include "records/backed/retries.h"
#include "records/memory/memory_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)KAD_BACKED_SECRET_SIZE == (int)KAD_MEMORY_STORE_SECRET_SIZE,
              "the index is a memory store");

enum {
  SEQ_SIZE = 8,
  FIRST_RESTORED = 64,   /* room in a list at first */
  UNREADABLE_MS = 600000 /* a record that cannot be read is not due earlier */
};

/* A record that was restored, until all are ordered. */
struct restored {
  int64_t order;
  kad_record_handle handle;
};

struct backed {
  struct kad_store store;
  struct kad_backend backend;
  struct kad_allocator allocator;
  struct kad_store *index;
  uint64_t last_number;
  uint64_t failures;
  struct kad_reads reads;
  struct kad_retries retries;
  struct restored *restored;
  size_t restored_count;
  size_t restored_cap;
};

static bool slice_fits(struct kad_slice slice, size_t max) {
  return slice.len <= max && (slice.data != NULL || slice.len == 0);
}

/* Returns true if a record of an application has no part that is too long. */
static bool fits(const struct kad_record *record) {
  return slice_fits(record->type, KAD_TYPE_NAME_MAX) &&
         slice_fits(record->value, KAD_VALUE_MAX) &&
         slice_fits(record->salt, KAD_SALT_MAX);
}

/* ----------------------------------------------------------- the index -- */

/* Returns true for a record that the index has whole. */
static bool is_inline(const struct kad_record *record) {
  return record->value.len <= KAD_BACKED_INLINE_MAX && record->salt.len == 0 &&
         record->publisher == NULL && record->signature == NULL &&
         !record->has_seq;
}

/* Returns the bytes of the parts that the index does not have. */
static size_t size_outside(const struct kad_record *record) {
  return record->value.len + record->salt.len +
         (record->signature != NULL ? KAD_SIGNATURE_SIZE : 0U) +
         (record->has_seq ? SEQ_SIZE : 0U);
}

/* Returns what the index keeps of a record. */
static struct kad_record to_index(const struct kad_record *record,
                                  uint64_t number) {
  struct kad_record kept = {
      .key = record->key,
      .type = record->type,
      .publisher = record->publisher,
      .seq = (int64_t)number,
      .has_seq = true,
  };
  kept.value = is_inline(record)
                   ? record->value
                   : (struct kad_slice){.len = size_outside(record)};
  return kept;
}

static bool is_outside(const struct kad_record *kept) {
  return kept->publisher != NULL ||
         (kept->value.data == NULL && kept->value.len > 0);
}

static bool is_same_publisher(const uint8_t *a, const uint8_t *b) {
  return a == NULL || b == NULL ? a == b
                                : memcmp(a, b, KAD_PUBLISHER_SIZE) == 0;
}

/* Turns what the index has of a record that is inline into the record. */
static void from_index(struct kad_record *record) {
  record->has_seq = false;
  record->seq = 0;
}

/* --------------------------------------------------------- the backend -- */

/* Returns false, and counts a failure, if `error` is one. */
static bool succeeds(struct backed *backed, int error) {
  backed->failures += error != 0;
  return error == 0;
}

/* Returns true if `record`, which the backend returned, can be the one of which
 * the index has `kept`. */
static bool is_the_record(const struct kad_record *record,
                          const struct kad_record *kept) {
  return kad_id_equal(&record->key, &kept->key) &&
         kad_slice_equal(record->type, kept->type) && fits(record) &&
         is_same_publisher(record->publisher, kept->publisher) &&
         size_outside(record) == kept->value.len;
}

static void tell_mismatch(const struct backed *backed, uint64_t number) {
  const struct kad_backend *const backend = &backed->backend;
  if (backend->mismatched != NULL) {
    backend->mismatched(backend->state, number);
  }
}

/* A record that cannot be read is republished later, so that others are not
 * behind it; one that is lost never. In the index this moves nothing that is
 * borrowed. */
static void note_unreadable(struct backed *backed, const struct kad_held *held,
                            int error) {
  struct kad_record_meta meta = held->meta;
  if (error == KAD_ENOTFOUND) {
    kad_retries_add(
        &backed->retries, &backed->allocator,
        (struct kad_retry){.kind = KAD_RETRY_FORGET, .handle = held->handle});
    meta.republish_at = KAD_TIME_NEVER;
  } else if (meta.republish_at < KAD_TIME_NEVER - UNREADABLE_MS) {
    meta.republish_at += UNREADABLE_MS;
  }
  kad_store_set_meta(backed->index, held->handle, &meta);
}

/* Gets the record of which `held` has the part in the index. Returns NULL if
 * that fails. */
static const struct kad_record *get_record(struct backed *backed,
                                           const struct kad_held *held) {
  const struct kad_record *const known =
      kad_reads_find(&backed->reads, held->handle);
  if (known != NULL) {
    return known;
  }
  struct kad_record found = {.ttl = 0};
  int error = backed->backend.get(backed->backend.state,
                                  (uint64_t)held->record.seq, &found);
  if (error == 0 && !is_the_record(&found, &held->record)) {
    error = KAD_EMALFORMED;
    tell_mismatch(backed, (uint64_t)held->record.seq);
  }
  const struct kad_record *const copy =
      error == 0 ? kad_reads_add(&backed->reads, &backed->allocator,
                                 held->handle, &found)
                 : NULL;
  if (copy == NULL) {
    backed->failures++;
    note_unreadable(backed, held, error);
  }
  return copy;
}

/* Reads a record, whole. Returns false if there is none or it cannot be read.
 */
static bool read_whole(struct backed *backed, kad_record_handle handle,
                       struct kad_held *held) {
  if (!kad_store_read(backed->index, handle, held)) {
    return false;
  }
  if (!is_outside(&held->record)) {
    from_index(&held->record);
    return true;
  }
  const struct kad_slice type = held->record.type;
  const struct kad_record *const record = get_record(backed, held);
  if (record == NULL) {
    return false;
  }
  held->record = *record;
  held->record.type = type;
  return true;
}

/* Keeps the meta of a held record in the backend. Returns 0 or an error. */
static int keep_meta(struct backed *backed, const struct kad_held *kept) {
  const struct kad_backend *const backend = &backed->backend;
  const uint64_t number = (uint64_t)kept->record.seq;
  struct kad_held held;
  if (backend->set_meta != NULL) {
    return backend->set_meta(backend->state, number, &kept->meta);
  }
  return read_whole(backed, kept->handle, &held)
             ? backend->put(backend->state, number, &held.record, &kept->meta)
             : KAD_ESYSTEM;
}

/* Makes a change in the backend. Returns 0 or an error. */
static int make_change(struct backed *backed, const struct kad_retry *change) {
  const struct kad_backend *const backend = &backed->backend;
  struct kad_held kept;
  switch (change->kind) {
  case KAD_RETRY_REMOVE:
    return backend->remove(backend->state, change->number);
  case KAD_RETRY_META:
    return kad_store_read(backed->index, change->handle, &kept)
               ? keep_meta(backed, &kept)
               : 0;
  case KAD_RETRY_FORGET:
    kad_store_remove(backed->index, change->handle);
    return 0;
  }
  return 0;
}

/* Makes a change, or notes it for later if that fails. */
static void try_change(struct backed *backed, struct kad_retry change) {
  if (!succeeds(backed, make_change(backed, &change))) {
    kad_retries_add(&backed->retries, &backed->allocator, change);
  }
}

/* Tries one of the changes that failed. */
static void retry_one(struct backed *backed) {
  struct kad_retry change;
  if (kad_retries_take(&backed->retries, &change)) {
    try_change(backed, change);
  }
}

/* Ends a change of the store: what was read is not borrowed any more. */
static void end_change(struct backed *backed) {
  retry_one(backed);
  kad_reads_clear(&backed->reads, &backed->allocator);
}

/* ----------------------------------------------------------- the store -- */

/* Replaces what was read, which `record` may borrow, by a copy of `record`. */
static void keep_copy(struct backed *backed, kad_record_handle handle,
                      const struct kad_record *record) {
  struct kad_reads before = backed->reads;
  backed->reads = (struct kad_reads){.count = 0};
  if (!is_inline(record)) {
    (void)kad_reads_add(&backed->reads, &backed->allocator, handle, record);
  }
  kad_reads_clear(&before, &backed->allocator);
}

/* The backend is first: the index may move what the record borrows. The engine
 * reads the new record at once, which needs no call of the backend. */
static int backed_add(void *state, const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      kad_record_handle *handle) {
  struct backed *backed = state;
  const struct kad_backend *const backend = &backed->backend;
  if (backed->last_number >= KAD_BACKED_NUMBER_MAX) {
    return KAD_EFULL;
  }
  const uint64_t number = ++backed->last_number;
  const struct kad_record kept = to_index(record, number);
  int error = backend->put(backend->state, number, record, meta);
  if (succeeds(backed, error)) {
    error = kad_store_add(backed->index, &kept, meta, handle);
  }
  if (error != 0) { /* the backend may have kept it, or a part of it */
    try_change(backed,
               (struct kad_retry){.kind = KAD_RETRY_REMOVE, .number = number});
    end_change(backed);
    return error;
  }
  keep_copy(backed, *handle, record);
  retry_one(backed);
  return 0;
}

static void backed_set_meta(void *state, kad_record_handle handle,
                            const struct kad_record_meta *meta) {
  struct backed *backed = state;
  struct kad_held kept;
  if (kad_store_read(backed->index, handle, &kept)) {
    kad_store_set_meta(backed->index, handle, meta);
    try_change(backed,
               (struct kad_retry){.kind = KAD_RETRY_META, .handle = handle});
    end_change(backed);
  }
}

static void backed_remove(void *state, kad_record_handle handle) {
  struct backed *backed = state;
  struct kad_held kept;
  if (kad_store_read(backed->index, handle, &kept)) {
    const uint64_t number = (uint64_t)kept.record.seq;
    kad_store_remove(backed->index, handle);
    try_change(backed,
               (struct kad_retry){.kind = KAD_RETRY_REMOVE, .number = number});
    end_change(backed);
  }
}

static bool backed_read(void *state, kad_record_handle handle,
                        struct kad_held *held) {
  return read_whole(state, handle, held);
}

static size_t backed_find(void *state, const struct kad_id *key,
                          struct kad_slice type, size_t skip,
                          kad_record_handle *handles, size_t cap) {
  const struct backed *backed = state;
  return kad_store_find(backed->index, key, type, skip, handles, cap);
}

static kad_record_handle backed_due_expire(void *state, kad_time_ms *at) {
  const struct backed *backed = state;
  return kad_store_due_expire(backed->index, at);
}

static kad_record_handle backed_due_republish(void *state, kad_time_ms *at) {
  const struct backed *backed = state;
  return kad_store_due_republish(backed->index, at);
}

static size_t backed_types(void *state, struct kad_type_count *counts,
                           size_t cap) {
  struct backed *backed = state;
  return kad_store_types(backed->index, counts, cap);
}

static kad_record_handle backed_next(void *state, uint64_t *cursor) {
  const struct backed *backed = state;
  return kad_store_next(backed->index, cursor);
}

static size_t backed_count(void *state) {
  const struct backed *backed = state;
  return kad_store_count(backed->index);
}

static size_t backed_bytes(void *state) {
  const struct backed *backed = state;
  return kad_store_bytes(backed->index);
}

static size_t backed_count_of(void *state, const struct kad_address *origin) {
  const struct backed *backed = state;
  return kad_store_count_of(backed->index, origin);
}

static kad_record_handle backed_victim(void *state, const struct kad_id *self) {
  const struct backed *backed = state;
  return kad_store_victim(backed->index, self);
}

static void backed_commit(void *state, kad_time_ms now,
                          void (*committed)(void *data, int status),
                          void *data) {
  struct backed *backed = state;
  const int status = backed->backend.commit(backed->backend.state);
  (void)now;
  (void)succeeds(backed, status);
  if (committed != NULL) {
    committed(data, status);
  }
}

static size_t backed_count_signed(void *state, const uint8_t *publisher) {
  const struct backed *backed = state;
  return kad_store_count_signed(backed->index, publisher);
}

static uint64_t backed_failures(void *state) {
  const struct backed *backed = state;
  return backed->failures;
}

/* Tries each change that failed once more, and ends the backend. */
static void backed_close(void *state) {
  struct backed *backed = state;
  const struct kad_allocator allocator = backed->allocator;
  for (size_t left = backed->retries.count; left > 0; left--) {
    retry_one(backed);
  }
  if (backed->backend.commit != NULL) {
    (void)backed->backend.commit(backed->backend.state);
  }
  if (backed->backend.close != NULL) {
    backed->backend.close(backed->backend.state);
  }
  kad_reads_clear(&backed->reads, &allocator);
  kad_retries_deinit(&backed->retries, &allocator);
  KAD_ARRAY_FREE(&allocator, &backed->restored, &backed->restored_cap);
  kad_memory_store_free(backed->index);
  kad_release(&allocator, backed, sizeof *backed);
}

static const struct kad_store functions = {
    .add = backed_add,
    .set_meta = backed_set_meta,
    .remove = backed_remove,
    .read = backed_read,
    .find = backed_find,
    .due_expire = backed_due_expire,
    .due_republish = backed_due_republish,
    .next = backed_next,
    .types = backed_types,
    .count = backed_count,
    .bytes = backed_bytes,
    .count_of = backed_count_of,
    .victim = backed_victim,
    .failures = backed_failures,
    .count_signed = backed_count_signed,
    .close = backed_close,
};

/* -------------------------------------------------------------- public -- */

int kad_backed_store_new(const struct kad_backend *backend,
                         const struct kad_allocator *allocator,
                         const uint8_t *secret, struct kad_store **store) {
  if (backend == NULL || backend->put == NULL || backend->get == NULL ||
      backend->remove == NULL) {
    return KAD_EINVAL;
  }
  if (allocator == NULL || allocator->resize == NULL || secret == NULL ||
      store == NULL) {
    return KAD_EINVAL;
  }
  struct backed *backed = kad_alloc_zero(allocator, sizeof *backed);
  if (backed == NULL) {
    return KAD_ENOMEM;
  }
  backed->store = functions;
  backed->store.state = backed;
  backed->store.commit = backend->commit != NULL ? backed_commit : NULL;
  backed->backend = *backend;
  backed->allocator = *allocator;
  if (kad_memory_store_new(allocator, secret, &backed->index) != 0) {
    kad_release(allocator, backed, sizeof *backed);
    return KAD_ENOMEM;
  }
  *store = &backed->store;
  return 0;
}

void kad_backed_store_free(struct kad_store *store) {
  if (store != NULL) {
    kad_store_close(store);
  }
}

static bool is_valid(const struct kad_record *record,
                     const struct kad_record_meta *meta) {
  const unsigned family = meta->origin.family;
  return record->type.len > 0 && fits(record) &&
         (family == 0 || family == 4 || family == 6) &&
         meta->stored_at <= meta->expires_at;
}

int kad_backed_store_restore(struct kad_store *store, uint64_t number,
                             const struct kad_record *record,
                             const struct kad_record_meta *meta,
                             int64_t order) {
  if (store == NULL || record == NULL || meta == NULL || number == 0 ||
      number > KAD_BACKED_NUMBER_MAX || !is_valid(record, meta)) {
    return KAD_EINVAL;
  }
  struct backed *backed = store->state;
  const struct kad_record kept = to_index(record, number);
  kad_record_handle handle = 0;
  if (backed->restored_count == backed->restored_cap &&
      KAD_ARRAY_RESERVE(&backed->allocator, &backed->restored,
                        &backed->restored_cap,
                        2 * backed->restored_cap + FIRST_RESTORED) != 0) {
    return KAD_ENOMEM;
  }
  const int error = kad_store_add(backed->index, &kept, meta, &handle);
  if (error != 0) {
    return error;
  }
  backed->restored[backed->restored_count++] =
      (struct restored){.order = order, .handle = handle};
  if (number > backed->last_number) {
    backed->last_number = number;
  }
  return 0;
}

static int compare_orders(const void *a, const void *b) {
  const struct restored *x = a;
  const struct restored *y = b;
  if (x->order != y->order) {
    return x->order < y->order ? -1 : 1;
  }
  return x->handle < y->handle ? -1 : x->handle > y->handle;
}

/* Makes the record the newest of its key, and of its origin. */
static void renew(const struct backed *backed, kad_record_handle handle) {
  struct kad_held kept;
  if (kad_store_read(backed->index, handle, &kept)) {
    struct kad_record_meta meta = kept.meta;
    meta.stored_at ^= 1U;
    kad_store_set_meta(backed->index, handle, &meta);
    kad_store_set_meta(backed->index, handle, &kept.meta);
  }
}

void kad_backed_store_sort(struct kad_store *store) {
  if (store == NULL) {
    return;
  }
  struct backed *backed = store->state;
  if (backed->restored_count > 0) {
    qsort(backed->restored, backed->restored_count, sizeof *backed->restored,
          compare_orders);
  }
  for (size_t i = 0; i < backed->restored_count; i++) {
    renew(backed, backed->restored[i].handle);
  }
  KAD_ARRAY_FREE(&backed->allocator, &backed->restored, &backed->restored_cap);
  backed->restored_count = 0;
}
