/* The functions of the store. All but those that change it are those of the
 * store in memory. */
#include "base/time.h"
#include "net/durable/durable.h"

#include <assert.h>
#include <string.h>

/* ---------------------------------------------------------------- time -- */

/* Converts a time of the node's clock to the store's. */
static kad_time_ms to_disk(const struct kad_durable *durable, kad_time_ms at) {
  return at == KAD_TIME_NEVER ? at : at + durable->shift;
}

static void meta_to_disk(const struct kad_durable *durable,
                         const struct kad_record_meta *meta,
                         struct kad_record_meta *out) {
  *out = *meta;
  out->stored_at = to_disk(durable, meta->stored_at);
  out->expires_at = to_disk(durable, meta->expires_at);
  out->republish_at = to_disk(durable, meta->republish_at);
}

static kad_time_ms now(const struct kad_durable *durable) {
  return durable->env.now(durable->env.state);
}

/* ------------------------------------------------------------- changing -- */

/* Makes room for a change of `size` bytes. If it is large, it is written
 * before its commit, which bounds the memory. Returns 0 or KAD_ENOMEM. */
static int reserve(struct kad_durable *durable, size_t size) {
  if (durable->batch.len >= KAD_DURABLE_BATCH_BYTES) {
    (void)kad_durable_write(durable);
  }
  return kad_changes_reserve(&durable->batch, size);
}

/* Returns true if the disk refuses to write, also now. */
static bool is_refused(struct kad_durable *durable) {
  return kad_durable_refuses(durable) &&
         (kad_durable_must_wait(durable) || kad_durable_write(durable) != 0 ||
          kad_durable_refuses(durable));
}

enum {
  CHANGE_MAX = 32 + KAD_IMAGE_MAX /* more than the bytes of any change */
};

/* Adds a record to the batch. Returns 0 or KAD_ENOMEM. */
static int put(struct kad_durable *durable, const struct kad_record *record,
               const struct kad_record_meta *meta) {
  uint8_t name[KAD_IMAGE_NAME_SIZE];
  struct kad_record_meta on_disk;
  kad_image_name(durable->files.info.secret, record, name);
  meta_to_disk(durable, meta, &on_disk);
  return kad_changes_put(&durable->batch, name, record, &on_disk,
                         ++durable->order, durable->id_size);
}

int kad_durable_save(struct kad_durable *durable, kad_record_handle handle) {
  struct kad_held held;
  const int error = reserve(durable, CHANGE_MAX);
  if (error != 0 || !kad_store_read(durable->memory, handle, &held)) {
    return error;
  }
  return put(durable, &held.record, &held.meta);
}

static int durable_add(void *state, const struct kad_record *record,
                       const struct kad_record_meta *meta,
                       kad_record_handle *handle) {
  struct kad_durable *durable = state;
  if (durable->is_finished || is_refused(durable)) {
    return KAD_EFULL;
  }
  int error = reserve(durable, CHANGE_MAX);
  if (error == 0) {
    error = kad_store_add(durable->memory, record, meta, handle);
  }
  if (error != 0) {
    return error;
  }
  error = put(durable, record, meta);
  assert(error == 0);
  (void)error;
  return 0;
}

/* Returns true if new times of a record are dropped: the disk has refused to
 * write for long. The old ones stay on the disk; the new ones were not
 * acknowledged. */
static bool drops_meta(const struct kad_durable *durable) {
  return kad_durable_refuses(durable) &&
         durable->batch.len >= KAD_DURABLE_PENDING_BYTES;
}

static void durable_set_meta(void *state, kad_record_handle handle,
                             const struct kad_record_meta *meta) {
  struct kad_durable *durable = state;
  uint8_t name[KAD_IMAGE_NAME_SIZE];
  struct kad_record_meta on_disk;
  struct kad_held held;
  if (!kad_store_read(durable->memory, handle, &held)) {
    return;
  }
  const bool is_renewed = held.meta.stored_at != meta->stored_at;
  kad_image_name(durable->files.info.secret, &held.record, name);
  kad_store_set_meta(durable->memory, handle, meta);
  if (durable->is_finished || drops_meta(durable)) {
    return;
  }
  meta_to_disk(durable, meta, &on_disk);
  durable->order += is_renewed;
  if (reserve(durable, CHANGE_MAX) != 0 ||
      kad_changes_set_meta(&durable->batch, name, &on_disk,
                           is_renewed ? durable->order : 0) != 0) {
    durable->is_incomplete = true;
  }
}

static void durable_remove(void *state, kad_record_handle handle) {
  struct kad_durable *durable = state;
  uint8_t name[KAD_IMAGE_NAME_SIZE];
  struct kad_held held;
  if (!kad_store_read(durable->memory, handle, &held)) {
    return;
  }
  kad_image_name(durable->files.info.secret, &held.record, name);
  kad_store_remove(durable->memory, handle);
  if (durable->is_finished) {
    return;
  }
  if (reserve(durable, CHANGE_MAX) != 0 ||
      kad_changes_remove(&durable->batch, name) != 0) {
    durable->is_incomplete = true;
  }
}

/* ------------------------------------------------------------ committing -- */

/* Returns how a commit ends that need not wait for a flush. */
static int commit_status(struct kad_durable *durable) {
  const bool is_incomplete = durable->is_incomplete;
  const int status = kad_durable_write(durable);
  durable->is_incomplete = false;
  if (is_incomplete) {
    return KAD_ENOMEM;
  }
  return status == 0 && kad_durable_refuses(durable) ? KAD_ESYSTEM : status;
}

static void durable_commit(void *state, kad_time_ms node_now,
                           void (*committed)(void *data, int status),
                           void *data) {
  struct kad_durable *durable = state;
  durable->lag = now(durable) - node_now;
  if (durable->is_finished) {
    if (committed != NULL) {
      committed(data, KAD_ECLOSED);
    }
    return;
  }
  if (committed == NULL) {
    durable->waiter = (struct kad_durable_waiter){0};
    (void)kad_durable_write(durable);
    return;
  }
  assert(durable->waiter.committed == NULL);
  const int status = commit_status(durable);
  const struct kad_segment *const segment =
      &durable->files.segments[durable->active];
  const bool has_failed = (durable->failing & KAD_DURABLE_CAUSE_FLUSH) != 0;
  const bool waits = durable->config.sync == KAD_DURABLE_SYNC_COMMIT &&
                     segment->synced < segment->end &&
                     (status == 0 || has_failed) &&
                     !kad_durable_must_wait(durable);
  if (!waits) {
    kad_durable_turn(durable);
    committed(data, status);
    return;
  }
  durable->waiter =
      (struct kad_durable_waiter){.committed = committed, .data = data};
  kad_durable_flush(durable);
}

/* -------------------------------------------------------------- reading -- */

static struct kad_store *memory_of(void *state) {
  const struct kad_durable *durable = state;
  return durable->memory;
}

static bool durable_read(void *state, kad_record_handle handle,
                         struct kad_held *held) {
  return kad_store_read(memory_of(state), handle, held);
}

static size_t durable_find(void *state, const struct kad_id *key,
                           struct kad_slice type, size_t skip,
                           kad_record_handle *handles, size_t cap) {
  return kad_store_find(memory_of(state), key, type, skip, handles, cap);
}

static kad_record_handle durable_due_expire(void *state, kad_time_ms *at) {
  return kad_store_due_expire(memory_of(state), at);
}

static kad_record_handle durable_due_republish(void *state, kad_time_ms *at) {
  return kad_store_due_republish(memory_of(state), at);
}

static kad_record_handle durable_next(void *state, uint64_t *cursor) {
  return kad_store_next(memory_of(state), cursor);
}

static size_t durable_count(void *state) {
  return kad_store_count(memory_of(state));
}

static size_t durable_bytes(void *state) {
  return kad_store_bytes(memory_of(state));
}

static size_t durable_count_of(void *state, const struct kad_address *origin) {
  return kad_store_count_of(memory_of(state), origin);
}

static size_t durable_count_signed(void *state, const uint8_t *publisher) {
  const struct kad_store *memory = memory_of(state);
  return memory->count_signed(memory->state, publisher);
}

static uint64_t durable_failures(void *state) {
  const struct kad_durable *durable = state;
  return durable->stats.disk_failures;
}

static kad_record_handle durable_victim(void *state,
                                        const struct kad_id *self) {
  return kad_store_victim(memory_of(state), self);
}

static size_t durable_types(void *state, struct kad_type_count *counts,
                            size_t cap) {
  return kad_store_types(memory_of(state), counts, cap);
}

void kad_durable_init_store(struct kad_durable *durable) {
  durable->store = (struct kad_store){
      .state = durable,
      .add = durable_add,
      .set_meta = durable_set_meta,
      .remove = durable_remove,
      .read = durable_read,
      .find = durable_find,
      .due_expire = durable_due_expire,
      .due_republish = durable_due_republish,
      .next = durable_next,
      .count = durable_count,
      .bytes = durable_bytes,
      .count_of = durable_count_of,
      .victim = durable_victim,
      .count_signed = durable_count_signed,
      .failures = durable_failures,
      .commit = durable_commit,
      .types = durable_types,
  };
}

struct kad_store *kad_durable_store(struct kad_durable *durable) {
  return durable != NULL ? &durable->store : NULL;
}

void kad_durable_stats(const struct kad_durable *durable,
                       struct kad_durable_counters *stats) {
  if (durable == NULL || stats == NULL) {
    return;
  }
  *stats = durable->stats;
  stats->disk_failing = durable->failing != 0;
  stats->disk_journal_bytes =
      durable->files.segments[0].end + durable->files.segments[1].end;
}
