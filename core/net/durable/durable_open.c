/* Opens durable stores, and reads their records. */
#include "base/allocator.h"
#include "base/time.h"
#include "net/durable/durable.h"
#include "net/network.h"

#include <stdio.h>
#include <string.h>

static const uint64_t default_max_bytes = (uint64_t)64 << 30;

/* The clock of a new store begins late, so that what was before is no negative
 * time. */
static const kad_time_ms first_time = (kad_time_ms)1 << 40;

/* -------------------------------------------------------------- opening -- */

/* Sets the store's clock: to that of the files, and the time since. */
static void set_clock(struct kad_durable *durable) {
  const struct kad_durable_files *files = &durable->files;
  const struct kad_clock_mark *mark =
      files->list.has_clock ? &files->list.clock : &files->info.clock;
  struct kad_reading reading;
  kad_time_ms at = first_time;
  if (mark->at != 0) {
    durable->env.read_clocks(durable->env.state, &reading);
    at = kad_time_add(
        mark->at, KAD_MS_PER_S * kad_reading_elapsed(&mark->reading, &reading));
  }
  durable->shift = at - durable->env.now(durable->env.state);
}

/* Writes the info of a new database, so that it says what it is. Returns 0, an
 * errno, or an error of LMDB. */
static int describe(struct kad_durable *durable) {
  struct kad_durable_files *files = &durable->files;
  const struct kad_change_list none = {.count = 0};
  if (files->info.version == 0) {
    files->info.version = KAD_DATABASE_VERSION;
    files->info.id_size = (uint32_t)durable->id_size;
    durable->env.random(durable->env.state, files->info.secret,
                        sizeof files->info.secret);
  }
  files->info.lmdb_version = MDB_VERSION_FULL;
  return files->is_new
             ? kad_database_apply(&files->database, &none, &files->info)
             : 0;
}

/* Chooses the active segment: the later one that has something, else a new one.
 * The other, if it has something, is moved first. */
static int begin_journal(struct kad_durable *durable) {
  struct kad_segment *segments = durable->files.segments;
  const size_t later = segments[1].generation > segments[0].generation;
  durable->active = later;
  durable->generation = segments[later].generation;
  durable->began_at = durable->env.now(durable->env.state);
  if (durable->generation == 0) {
    durable->generation = durable->files.info.generation;
    return kad_durable_begin(durable, 0);
  }
  return 0;
}

static int check_width(struct kad_durable *durable,
                       struct kad_problem *problem) {
  const struct kad_durable_files *files = &durable->files;
  if (files->info.version == 0 || files->info.id_size == durable->id_size) {
    return 0;
  }
  if (problem != NULL) {
    (void)snprintf(problem->text, sizeof problem->text,
                   "%.400s: of a node with ids of %u bits, not %u: use another "
                   "folder",
                   files->folder, (unsigned)files->info.id_size * 8,
                   (unsigned)durable->id_size * 8);
  }
  return KAD_EINVAL;
}

static int database_problem(const struct kad_durable *durable, int error,
                            struct kad_problem *problem) {
  return error == 0 ? 0
                    : kad_durable_files_problem(&durable->files, problem,
                                                KAD_DURABLE_DATABASE, error);
}

/* Writes all records to the journal, and what it has to the database, which is
 * new. */
static int save_all(struct kad_durable *durable) {
  uint64_t cursor = 0;
  kad_record_handle handle;
  int error = 0;
  while (error == 0 &&
         (handle = kad_store_next(durable->memory, &cursor)) != 0) {
    error = kad_durable_save(durable, handle);
    kad_durable_turn(durable);
    kad_durable_wait(durable);
  }
  return error;
}

/* Loads the records and begins the journal. */
static int start(struct kad_durable *durable, struct kad_problem *problem) {
  struct kad_durable_files *files = &durable->files;
  bool is_damaged = false;
  set_clock(durable);
  int error = database_problem(durable, describe(durable), problem);
  error = error == 0 ? kad_durable_load(durable, &is_damaged, problem) : error;
  if (error != 0) {
    return error;
  }
  const int refused = begin_journal(durable);
  if (refused != 0) {
    return kad_durable_files_problem(files, problem, KAD_DURABLE_SEGMENT "1",
                                     refused);
  }
  if (is_damaged) {
    files->is_new = true;
    error = database_problem(durable, describe(durable), problem);
    error = error == 0 ? save_all(durable) : error;
  }
  durable->stats.disk_aside = files->aside;
  durable->stats.disk_file_bytes = kad_database_bytes(&files->database);
  return error;
}

/* Makes the parts. Returns 0 or an error of kad_durable_open. */
static int open_parts(struct kad_durable *durable, const char *folder,
                      struct kad_problem *problem) {
  uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE];
  durable->env.random(durable->env.state, secret, sizeof secret);
  int error =
      kad_memory_store_new(&durable->allocator, secret, &durable->memory);
  if (error == 0) {
    error = kad_changes_reserve(&durable->batch, KAD_FRAME_HEAD);
    durable->batch.len = KAD_FRAME_HEAD;
  }
  if (error == 0) {
    error = kad_durable_files_open(&durable->files, folder, false,
                                   durable->config.max_bytes, problem);
  }
  error = error == 0 ? check_width(durable, problem) : error;
  return error == 0 ? start(durable, problem) : error;
}

/* Frees the store; what is in the batch is lost. */
static void free_durable(struct kad_durable *durable) {
  const struct kad_allocator allocator = durable->allocator;
  kad_durable_files_close(&durable->files);
  kad_changes_deinit(&durable->batch);
  kad_memory_store_free(durable->memory);
  kad_release(&allocator, durable, sizeof *durable);
}

static void close_store(void *state) {
  kad_durable_close(state);
}

int kad_durable_open_in(const struct kad_durable_env *env,
                        const struct kad_durable_config *config,
                        struct kad_allocator allocator,
                        struct kad_durable **durable,
                        struct kad_problem *problem) {
  struct kad_durable *made = kad_alloc_zero(&allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  const unsigned bits = config->id_bits != 0 ? config->id_bits : 160;
  made->allocator = allocator;
  made->env = *env;
  made->config = *config;
  made->config.folder = NULL;
  made->config.max_bytes =
      config->max_bytes != 0 ? config->max_bytes : default_max_bytes;
  made->id_size = bits / 8;
  made->batch.allocator = allocator;
  kad_durable_init_store(made);
  made->store.close = close_store;
  const int error = open_parts(made, config->folder, problem);
  if (error != 0) {
    free_durable(made);
    return error;
  }
  *durable = made;
  return 0;
}

/* ------------------------------------------------------- of a network -- */

static kad_time_ms network_now(void *state) {
  return kad_network_now(state);
}

static void network_random(void *state, uint8_t *out, size_t len) {
  kad_network_random(state, out, len);
}

/* The clock of a simulated network is that of a machine. */
static void network_clocks(void *state, struct kad_reading *reading) {
  const struct kad_network *network = state;
  if (!network->simulated) {
    kad_reading_take(reading);
    return;
  }
  *reading = (struct kad_reading){
      .wall_s = kad_network_wall_clock(network),
      .boot_s = kad_network_now(network) / KAD_MS_PER_S,
  };
  memcpy(reading->boot_id, &network, sizeof(const void *));
}

static int network_work(void *state, void (*run)(void *data),
                        void (*done)(void *data), void *data) {
  return kad_network_work(state, run, done, data);
}

/* Does what is due, and plans the next time. Without memory for the timer, the
 * commits still write. */
static void on_timer(void *data) {
  struct kad_durable *durable = data;
  const uint32_t interval_ms = durable->config.interval_ms != 0
                                   ? durable->config.interval_ms
                                   : KAD_DURABLE_INTERVAL_MS;
  if (kad_network_start_timer(durable->network, interval_ms, on_timer, durable,
                              &durable->timer) != 0) {
    durable->timer = 0;
  }
  kad_durable_tick(durable);
}

static bool is_valid(const struct kad_durable_config *config) {
  return config->folder != NULL && config->folder[0] != '\0' &&
         (config->id_bits == 0 || config->id_bits == 160 ||
          config->id_bits == 256) &&
         (config->sync == KAD_DURABLE_SYNC_INTERVAL ||
          config->sync == KAD_DURABLE_SYNC_COMMIT);
}

int kad_durable_open(struct kad_network *network,
                     const struct kad_durable_config *config,
                     struct kad_durable **durable,
                     struct kad_problem *problem) {
  if (problem != NULL) {
    problem->text[0] = '\0';
  }
  if (network == NULL || config == NULL || durable == NULL ||
      !is_valid(config)) {
    return KAD_EINVAL;
  }
  const struct kad_durable_env env = {
      .state = network,
      .now = network_now,
      .random = network_random,
      .read_clocks = network_clocks,
      .work = network_work,
  };
  struct kad_durable *made = NULL;
  const int error =
      kad_durable_open_in(&env, config, network->allocator, &made, problem);
  if (error != 0) {
    return error;
  }
  made->network = network;
  on_timer(made);
  *durable = made;
  return 0;
}

int kad_durable_finish(struct kad_durable *durable) {
  if (durable == NULL) {
    return KAD_EINVAL;
  }
  if (durable->is_finished) {
    return 0;
  }
  if (durable->timer != 0) {
    (void)kad_network_stop_timer(durable->network, durable->timer);
  }
  kad_durable_end(durable);
  durable->is_finished = true;
  kad_durable_files_close(&durable->files);
  return kad_durable_refuses(durable) ? KAD_ESYSTEM : 0;
}

void kad_durable_close(struct kad_durable *durable) {
  if (durable == NULL) {
    return;
  }
  const struct kad_durable_config config = durable->config;
  (void)kad_durable_finish(durable);
  free_durable(durable);
  if (config.closed != NULL) {
    config.closed(config.data);
  }
}

/* -------------------------------------------------------- read by others -- */

/* What the visitor of kad_durable_read needs. */
struct reader {
  kad_durable_visit_fn visit;
  void *data;
  size_t id_size;
  kad_time_ms now;
};

/* Returns whole seconds, at most UINT32_MAX - 1. */
static uint32_t seconds_of(kad_time_ms ms) {
  const kad_time_ms seconds = ms / KAD_MS_PER_S;
  return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX - 1;
}

static int read_record(void *data, const uint8_t *name,
                       const struct kad_image *image) {
  const struct reader *reader = data;
  struct kad_record record;
  struct kad_record_meta meta;
  (void)name;
  if (image == NULL ||
      !kad_image_read(image, reader->id_size, &record, &meta) ||
      meta.expires_at <= reader->now) {
    return 0;
  }
  record.age = seconds_of(kad_time_since(meta.stored_at, reader->now));
  if (meta.expires_at != KAD_TIME_NEVER) {
    const uint32_t left = seconds_of(meta.expires_at - reader->now);
    record.ttl = left > 0 ? left : 1;
  }
  record.is_seed = meta.is_seed;
  const uint32_t republish_s =
      meta.republish_at == KAD_TIME_NEVER
          ? UINT32_MAX
          : seconds_of(kad_time_since(reader->now, meta.republish_at));
  return reader->visit(reader->data, &record, &meta.origin, republish_s)
             ? 0
             : KAD_ECANCELED;
}

/* Returns the time of the store's clock. */
static kad_time_ms clock_of(const struct kad_durable_files *files) {
  const struct kad_clock_mark *mark =
      files->list.has_clock ? &files->list.clock : &files->info.clock;
  struct kad_reading reading;
  kad_reading_take(&reading);
  return kad_time_add(
      mark->at, KAD_MS_PER_S * kad_reading_elapsed(&mark->reading, &reading));
}

int kad_durable_read(const char *folder, unsigned *id_bits,
                     kad_durable_visit_fn visit, void *data,
                     struct kad_problem *problem) {
  if (folder == NULL || visit == NULL) {
    return KAD_EINVAL;
  }
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_durable_files *files = kad_alloc(&allocator, sizeof *files);
  if (files == NULL) {
    return KAD_ENOMEM;
  }
  int error =
      kad_durable_files_open(files, folder, true, default_max_bytes, problem);
  if (error == 0) {
    struct reader reader = {.visit = visit,
                            .data = data,
                            .id_size = files->info.id_size,
                            .now = clock_of(files)};
    if (id_bits != NULL) {
      *id_bits = files->info.id_size * 8;
    }
    const int status = kad_durable_files_walk(files, read_record, &reader);
    error = status == 0 || status == KAD_ECANCELED
                ? 0
                : kad_durable_files_problem(files, problem,
                                            KAD_DURABLE_DATABASE, status);
  }
  kad_durable_files_close(files);
  kad_release(&allocator, files, sizeof *files);
  return error;
}
