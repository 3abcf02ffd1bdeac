/* Loads the records of the files into memory, in the order in which they were
 * stored. They are in no such order in the files, so that most of what an
 * addition reads is not in the caches of the processor: it is fetched some
 * records before its turn.
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#include "base/array.h"
#include "base/time.h"
#include "net/durable/durable.h"
#include "records/memory/memory_load.h"
#include "records/peers/peers.h"

#include <stdlib.h>

enum {
  FIRST_CAP = 1024,
  LINE = 64, /* bytes of a line of the cache */
  /* How many records before its turn a step of one is done. */
  STEP = 12,
  AHEAD = (KAD_MEMORY_LOAD_STEPS + 1) * STEP
};

/* A record of the files, to be added in the order in which they were stored. */
struct loaded {
  uint64_t order;
  uint64_t hash; /* of its key in the store in memory, once it is fetched */
  const uint8_t *meta;
  const uint8_t *record;
  uint32_t record_len;
  uint32_t meta_len;
};

struct load {
  struct kad_durable *durable;
  struct loaded *items;
  size_t count;
  size_t cap;
  size_t entries; /* those that are no peers */
  bool has_copy;  /* of a database with corrupt records */
};

/* Leaves a corrupt record out, and of the database, once it is copied. */
static int remove_corrupt(struct load *load, const uint8_t *name) {
  struct kad_durable *durable = load->durable;
  durable->stats.disk_corrupt++;
  if (!load->has_copy) {
    load->has_copy = kad_durable_files_rescue_database(&durable->files);
  }
  return load->has_copy ? kad_changes_remove(&durable->batch, name) : 0;
}

static int list_record(void *data, const uint8_t *name,
                       const struct kad_image *image) {
  struct load *load = data;
  const size_t id_size = load->durable->id_size;
  if (image == NULL) {
    return remove_corrupt(load, name);
  }
  if (load->count == load->cap &&
      KAD_ARRAY_RESERVE(&load->durable->allocator, &load->items, &load->cap,
                        load->cap > 0 ? 2 * load->cap : FIRST_CAP) != 0) {
    return KAD_ENOMEM;
  }
  load->entries += !kad_peers_is_type(kad_image_type(image, id_size));
  load->items[load->count++] = (struct loaded){
      .order = image->order,
      .meta = image->meta.data,
      .record = image->record.data,
      .record_len = (uint32_t)image->record.len,
      .meta_len = (uint32_t)image->meta.len,
  };
  return 0;
}

static int compare(const void *a, const void *b) {
  const struct loaded *first = a;
  const struct loaded *second = b;
  return first->order < second->order ? -1 : first->order > second->order;
}

/* Converts a time of the store's clock to that of a clock that shows `now` when
 * the store's shows `disk_now`. */
static kad_time_ms from_disk(kad_time_ms at, kad_time_ms disk_now,
                             kad_time_ms now) {
  if (at == KAD_TIME_NEVER) {
    return at;
  }
  return at >= disk_now ? kad_time_add(now, at - disk_now)
                        : kad_time_since(disk_now - at, now);
}

static void meta_from_disk(struct kad_record_meta *meta, kad_time_ms disk_now,
                           kad_time_ms now) {
  meta->stored_at = from_disk(meta->stored_at, disk_now, now);
  meta->expires_at = from_disk(meta->expires_at, disk_now, now);
  meta->republish_at = from_disk(meta->republish_at, disk_now, now);
}

static struct kad_image image_of(const struct loaded *item) {
  return (struct kad_image){
      .meta = {.data = item->meta, .len = item->meta_len},
      .record = {.data = item->record, .len = item->record_len},
      .order = item->order,
  };
}

static int add_record(struct kad_durable *durable, const struct loaded *item,
                      kad_time_ms now) {
  const struct kad_image image = image_of(item);
  struct kad_record record;
  struct kad_record_meta meta;
  kad_record_handle handle;
  durable->order = item->order;
  int error = KAD_EMALFORMED;
  if (kad_image_read(&image, durable->id_size, &record, &meta)) {
    meta_from_disk(&meta, now + durable->shift, now);
    error = kad_store_add(durable->memory, &record, &meta, &handle);
  }
  durable->stats.disk_loaded += error == 0;
  durable->stats.disk_corrupt += error == KAD_EMALFORMED;
  return error == KAD_ENOMEM ? error : 0;
}

/* Fetches the bytes of an image. */
static void fetch_image(const struct loaded *item) {
  __builtin_prefetch(item->meta);
  for (size_t at = 0; at < item->record_len; at += LINE) {
    __builtin_prefetch(item->record + at);
  }
}

/* Does what is to be done before the turn of the item `next`: a step of each of
 * those that come next. */
static void fetch(const struct load *load, size_t next) {
  const struct kad_store *memory = load->durable->memory;
  struct kad_id key;
  size_t i = next + AHEAD;
  if (i < load->count) {
    fetch_image(&load->items[i]);
  }
  i -= STEP;
  if (i < load->count) {
    const struct kad_image image = image_of(&load->items[i]);
    kad_image_key(&image, load->durable->id_size, &key);
    load->items[i].hash = kad_memory_load_hash(memory, &key);
  }
  for (unsigned step = 0; step < KAD_MEMORY_LOAD_STEPS; step++, i -= STEP) {
    if (i < load->count) {
      kad_memory_load_fetch(memory, load->items[i].hash, step);
    }
  }
}

static int add_all(const struct load *load) {
  struct kad_durable *const durable = load->durable;
  const kad_time_ms now = durable->env.now(durable->env.state);
  int error = 0;
  kad_memory_load_expect(durable->memory, load->entries);
  for (size_t i = 0; i < load->count && error == 0; i++) {
    fetch(load, i);
    error = add_record(durable, &load->items[i], now);
  }
  return error;
}

/* Lists the records of the files, then adds them to memory. A walk that meets
 * damage ends early: what it has found is kept. */
static int load_records(struct kad_durable *durable, int *damage) {
  struct load load = {.durable = durable};
  int error = kad_durable_files_walk(&durable->files, list_record, &load);
  *damage = error;
  error = error == KAD_ENOMEM ? error : 0;
  if (load.count > 0) {
    qsort(load.items, load.count, sizeof *load.items, compare);
  }
  error = error == 0 ? add_all(&load) : error;
  KAD_ARRAY_FREE(&durable->allocator, &load.items, &load.cap);
  return error;
}

int kad_durable_load(struct kad_durable *durable, bool *is_damaged,
                     struct kad_problem *problem) {
  int damage = 0;
  const int error = load_records(durable, &damage);
  *is_damaged = error == 0 && damage != 0;
  if (*is_damaged) {
    return kad_durable_files_replace_database(&durable->files, problem);
  }
  kad_durable_files_end_read(&durable->files);
  return error;
}
