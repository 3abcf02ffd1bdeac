/* What a durable store does on another thread: it flushes the active segment of
 * the journal, and moves the other one to the database. At most one of each is
 * under way. A job belongs to itself: it ends when both its thread and the loop
 * have let go of it, and takes its memory from kad_allocator_default, which
 * any thread may call. */

/* For pthread.h. */
#define _POSIX_C_SOURCE 200809L

#include "base/allocator.h"
#include "base/time.h"
#include "net/durable/durable.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

struct kad_durable_job {
  struct kad_durable *durable; /* NULL: its result was taken before */
  void (*run)(struct kad_durable_job *job);
  void (*finish)(struct kad_durable *durable,
                 const struct kad_durable_job *job);
  pthread_mutex_t mutex;
  pthread_cond_t has_ended;
  bool ended;
  bool must_stop;             /* the loop waits: leave out what can wait */
  struct kad_segment segment; /* as it was when the job began */
  bool rewrites;
  struct kad_database *database; /* of a move: it alone uses it meanwhile */
  struct kad_database_info info; /* of the database, before and after */
  uint64_t file_bytes;
  int error;     /* errno, or, negative, of LMDB */
  bool compacts; /* a move: compact the database if it is sparse */
  bool was_compacted;
  int compact_error; /* as `error`; 0 also if it was not tried */
};

/* ----------------------------------------------------------------- jobs -- */

static void free_job(struct kad_durable_job *job) {
  const struct kad_allocator allocator = kad_allocator_default();
  (void)pthread_mutex_destroy(&job->mutex);
  (void)pthread_cond_destroy(&job->has_ended);
  kad_release(&allocator, job, sizeof *job);
}

static void run_job(void *data) {
  struct kad_durable_job *job = data;
  job->run(job);
  (void)pthread_mutex_lock(&job->mutex);
  job->ended = true;
  (void)pthread_cond_signal(&job->has_ended);
  (void)pthread_mutex_unlock(&job->mutex);
}

/* Takes the result of a job, on the thread of the node. */
static void take_result(struct kad_durable_job *job) {
  struct kad_durable *durable = job->durable;
  job->durable = NULL;
  if (durable != NULL) {
    job->finish(durable, job);
  }
}

static void end_job(void *data) {
  struct kad_durable_job *job = data;
  take_result(job);
  free_job(job);
}

static void wait_for(struct kad_durable_job *job) {
  if (job == NULL) {
    return;
  }
  (void)pthread_mutex_lock(&job->mutex);
  job->must_stop = true;
  while (!job->ended) {
    (void)pthread_cond_wait(&job->has_ended, &job->mutex);
  }
  (void)pthread_mutex_unlock(&job->mutex);
  take_result(job);
}

/* Makes a job for a segment, and sets `*place` to it. */
static struct kad_durable_job *new_job(struct kad_durable *durable,
                                       struct kad_durable_job **place,
                                       const struct kad_segment *segment) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_durable_job *job = kad_alloc_zero(&allocator, sizeof *job);
  if (job == NULL) {
    return NULL;
  }
  (void)pthread_mutex_init(&job->mutex, NULL);
  (void)pthread_cond_init(&job->has_ended, NULL);
  job->durable = durable;
  job->segment = *segment;
  *place = job;
  return job;
}

/* Runs a job on another thread; on this one if there is none. */
static void start_job(struct kad_durable *durable,
                      struct kad_durable_job *job) {
  const struct kad_durable_env *env = &durable->env;
  if (env->work(env->state, run_job, end_job, job) != 0) {
    run_job(job);
    end_job(job);
  }
}

/* ---------------------------------------------------------------- flush -- */

/* Tells who waits for a flush how it has ended. */
static void tell(struct kad_durable *durable, int status) {
  const struct kad_durable_waiter waiter = durable->waiter;
  durable->waiter = (struct kad_durable_waiter){0};
  if (waiter.committed != NULL) {
    waiter.committed(waiter.data, status);
  }
}

static void run_flush(struct kad_durable_job *job) {
  job->error =
      kad_segment_sync(job->segment.fd, job->segment.end, job->rewrites);
}

/* Returns the segment of `generation`, or NULL: it was moved meanwhile. */
static struct kad_segment *find_segment(struct kad_durable *durable,
                                        uint64_t generation) {
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    if (durable->files.segments[i].generation == generation) {
      return &durable->files.segments[i];
    }
  }
  return NULL;
}

static void finish_flush(struct kad_durable *durable,
                         const struct kad_durable_job *job) {
  struct kad_segment *segment = find_segment(durable, job->segment.generation);
  durable->flush = NULL;
  if (job->error != 0) {
    durable->rewrites = true;
    kad_durable_fail(durable, KAD_DURABLE_CAUSE_FLUSH, job->error);
    tell(durable, KAD_ESYSTEM);
    return;
  }
  durable->rewrites = false;
  durable->stats.disk_flushes++;
  kad_durable_recover(durable, KAD_DURABLE_CAUSE_FLUSH);
  if (segment != NULL && segment->synced < job->segment.end) {
    segment->synced = job->segment.end;
  }
  segment = &durable->files.segments[durable->active];
  if (durable->waiter.committed != NULL && segment->synced < segment->end) {
    kad_durable_flush(durable); /* it was written while this one ran */
    return;
  }
  tell(durable, 0);
  kad_durable_turn(durable);
}

void kad_durable_flush(struct kad_durable *durable) {
  const struct kad_segment *const segment =
      &durable->files.segments[durable->active];
  if (durable->flush != NULL ||
      (segment->synced >= segment->end && !durable->rewrites)) {
    return;
  }
  struct kad_durable_job *job = new_job(durable, &durable->flush, segment);
  if (job == NULL) {
    tell(durable, KAD_ENOMEM);
    return;
  }
  job->run = run_flush;
  job->finish = finish_flush;
  job->rewrites = durable->rewrites;
  start_job(durable, job);
}

/* ----------------------------------------------------------------- move -- */

/* Applies the changes of `bytes`, a whole segment, to the database. */
static int apply_segment(struct kad_durable_job *job, struct kad_slice bytes) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_change_list list = {.allocator = allocator};
  struct kad_segment_head head;
  uint64_t end;
  uint64_t frames;
  if (!kad_segment_read_head(bytes, &head)) {
    return EIO;
  }
  int error =
      kad_segment_list(bytes, &head, &list, &end, &frames) != 0 ? ENOMEM : 0;
  if (error == 0 && end < job->segment.end) {
    error = EIO; /* it is not what was written */
  }
  if (error == 0) {
    kad_change_list_sort(&list);
    job->info.clock = list.has_clock ? list.clock : job->info.clock;
    job->info.generation = head.generation;
    error = kad_database_apply(job->database, &list, &job->info);
  }
  kad_change_list_deinit(&list);
  return error;
}

static bool must_stop(void *data) {
  struct kad_durable_job *const job = data;
  (void)pthread_mutex_lock(&job->mutex);
  const bool stops = job->must_stop;
  (void)pthread_mutex_unlock(&job->mutex);
  return stops;
}

static void compact(struct kad_durable_job *job) {
  if (job->compacts && kad_database_is_sparse(job->database)) {
    job->compact_error = kad_database_compact(job->database, must_stop, job);
    job->was_compacted = job->compact_error == 0;
  }
}

static void run_move(struct kad_durable_job *job) {
  struct kad_changes bytes = {.allocator = kad_allocator_default()};
  job->error = kad_segment_sync(job->segment.fd, job->segment.end, false);
  if (job->error == 0) {
    job->error = kad_segment_read(&job->segment, &bytes);
  }
  if (job->error == 0) {
    job->error = apply_segment(
        job, (struct kad_slice){.data = bytes.bytes, .len = bytes.len});
  }
  kad_changes_deinit(&bytes);
  if (job->error == 0) {
    compact(job);
  }
  job->file_bytes = kad_database_bytes(job->database);
}

/* Notes how a compaction has ended. One that fails, as on a full disk, does no
 * harm. */
static void finish_compaction(struct kad_durable *durable,
                              const struct kad_durable_job *job) {
  durable->stats.disk_compactions += job->was_compacted;
  if (job->compact_error != 0) {
    durable->compact_at = kad_time_add(durable->env.now(durable->env.state),
                                       KAD_DURABLE_COMPACT_RETRY_MS);
  }
}

static void finish_move(struct kad_durable *durable,
                        const struct kad_durable_job *job) {
  struct kad_segment *segment = find_segment(durable, job->segment.generation);
  durable->move = NULL;
  durable->stats.disk_file_bytes = job->file_bytes;
  finish_compaction(durable, job);
  if (job->error != 0) {
    kad_durable_fail(durable, KAD_DURABLE_CAUSE_MOVE, job->error);
    return;
  }
  assert(segment != NULL);
  durable->files.info = job->info;
  durable->stats.disk_checkpoints++;
  kad_segment_clear(segment);
  kad_durable_recover(durable, KAD_DURABLE_CAUSE_MOVE);
}

/* Makes the job that moves `segment`. */
static struct kad_durable_job *new_move(struct kad_durable *durable,
                                        const struct kad_segment *segment) {
  struct kad_durable_job *job = new_job(durable, &durable->move, segment);
  if (job != NULL) {
    job->run = run_move;
    job->finish = finish_move;
    job->database = &durable->files.database;
    job->info = durable->files.info;
  }
  return job;
}

static void start_move(struct kad_durable *durable,
                       const struct kad_segment *segment) {
  struct kad_durable_job *job = new_move(durable, segment);
  if (job != NULL) {
    job->compacts = durable->env.now(durable->env.state) >= durable->compact_at;
    start_job(durable, job);
  }
}

/* ----------------------------------------------------------------- turn -- */

static uint64_t long_bytes(const struct kad_durable *durable) {
  const uint64_t share =
      durable->stats.disk_file_bytes / KAD_DURABLE_SEGMENT_SHARE;
  if (share < KAD_DURABLE_SEGMENT_BYTES) {
    return KAD_DURABLE_SEGMENT_BYTES;
  }
  return share < KAD_DURABLE_SEGMENT_LONG_BYTES
             ? share
             : KAD_DURABLE_SEGMENT_LONG_BYTES;
}

/* Returns true if the active segment is long or old. */
static bool is_due(const struct kad_durable *durable) {
  const struct kad_segment *const segment =
      &durable->files.segments[durable->active];
  const kad_time_ms age =
      kad_time_since(durable->began_at, durable->env.now(durable->env.state));
  return segment->frames > 0 &&
         (segment->end >= long_bytes(durable) || age >= KAD_DURABLE_SEGMENT_MS);
}

int kad_durable_begin(struct kad_durable *durable, size_t i) {
  struct kad_segment_head head = {
      .generation = durable->generation + 1,
      .version = KAD_SEGMENT_VERSION,
      .id_size = (uint32_t)durable->id_size,
      .lmdb_version = MDB_VERSION_FULL,
  };
  memcpy(head.secret, durable->files.info.secret, sizeof head.secret);
  const int error = kad_segment_begin(&durable->files.segments[i], &head);
  if (error == 0) {
    durable->active = i;
    durable->generation++;
    durable->began_at = durable->env.now(durable->env.state);
  }
  return error;
}

/* Ends a compaction that takes so long that the journal could fill up, after
 * which stores would be refused. It is tried again later. */
static void bound_compaction(struct kad_durable *durable) {
  const struct kad_segment *const active =
      &durable->files.segments[durable->active];
  if (durable->move != NULL &&
      active->end > KAD_DURABLE_SEGMENT_MAX_BYTES / 4) {
    (void)pthread_mutex_lock(&durable->move->mutex);
    durable->move->must_stop = true;
    (void)pthread_mutex_unlock(&durable->move->mutex);
  }
}

void kad_durable_turn(struct kad_durable *durable) {
  struct kad_segment *const other =
      &durable->files.segments[1 - durable->active];
  bound_compaction(durable);
  if (durable->move != NULL || durable->waiter.committed != NULL ||
      kad_durable_must_wait(durable)) {
    return;
  }
  if (other->generation != 0) {
    start_move(durable, other); /* an attempt before has failed */
    return;
  }
  if (!is_due(durable)) {
    return;
  }
  const size_t old = durable->active;
  const int error = kad_durable_begin(durable, 1 - old);
  if (error != 0) {
    kad_durable_fail(durable, KAD_DURABLE_CAUSE_WRITE, error);
  } else {
    kad_durable_recover(durable, KAD_DURABLE_CAUSE_WRITE);
    start_move(durable, &durable->files.segments[old]);
  }
}

void kad_durable_tick(struct kad_durable *durable) {
  kad_durable_mark(durable, KAD_DURABLE_MARK_MS);
  (void)kad_durable_write(durable);
  if (!kad_durable_must_wait(durable)) {
    kad_durable_flush(durable);
  }
  kad_durable_turn(durable);
}

/* Moves a segment on this thread. */
static void move_now(struct kad_durable *durable, size_t i) {
  const struct kad_segment *const segment = &durable->files.segments[i];
  if (segment->generation == 0) {
    return;
  }
  struct kad_durable_job *job = new_move(durable, segment);
  if (job != NULL) {
    run_job(job);
    end_job(job);
  }
}

void kad_durable_wait(struct kad_durable *durable) {
  wait_for(durable->move);
}

void kad_durable_end(struct kad_durable *durable) {
  durable->waiter = (struct kad_durable_waiter){0};
  wait_for(durable->flush);
  wait_for(durable->move);
  durable->retry_at = 0;
  kad_durable_mark(durable, 0);
  (void)kad_durable_write(durable);
  move_now(durable, 1 - durable->active);
  if (durable->files.segments[1 - durable->active].generation == 0) {
    move_now(durable, durable->active);
  }
}
