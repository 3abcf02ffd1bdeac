/* The inside of a durable store: the records in memory, the journal of two
 * segments, and the database.
 *
 *     add, set_meta, remove ──► memory, batch
 *     commit ──► batch ──► active segment         (one write; durable_store.c)
 *     work   ──► flush of the active segment      (durable_work.c, on a thread)
 *            └─► other segment ──► database ──► empty
 *
 * Changes go to the active segment. When it is long or old, and the other one
 * is empty, they change places, and a thread moves what the old one has to the
 * database, in one transaction, and empties it. Its number, the generation, is
 * in that transaction: a segment that the database has is not applied again.
 *
 * The store's clock counts milliseconds since the store was made, while it is
 * closed, too: deadlines on the disk need no other. `shift` is that clock less
 * that of the node.
 *
 * Tested by tests/unit/net/durable/durable_test.c. */
#ifndef KAD_NET_DURABLE_DURABLE_H
#define KAD_NET_DURABLE_DURABLE_H

#include "kadenza_durable.h"
#include "net/durable/durable_files.h"
#include "records/memory/memory_store.h"

struct kad_durable_job;

/* What the disk refuses. */
enum kad_durable_cause {
  KAD_DURABLE_CAUSE_WRITE = 1, /* to write to the journal */
  KAD_DURABLE_CAUSE_FLUSH = 2, /* to flush it */
  KAD_DURABLE_CAUSE_MOVE = 4   /* to take it into the database */
};

enum {
  KAD_DURABLE_SEGMENT_BYTES = 1 << 20,       /* of a long segment, at least */
  KAD_DURABLE_SEGMENT_LONG_BYTES = 16 << 20, /* and at most */
  KAD_DURABLE_SEGMENT_SHARE = 16, /* of the file; see kad_durable_turn */
  KAD_DURABLE_SEGMENT_MS = 60000, /* age of an old one */
  KAD_DURABLE_SEGMENT_MAX_BYTES = 64 << 20, /* then stores are refused */
  KAD_DURABLE_BATCH_BYTES = 1 << 20, /* of changes for which no commit waits */
  KAD_DURABLE_PENDING_BYTES = 8 << 20, /* of a batch while the disk fails: then
                                          new times of records are dropped */
  KAD_DURABLE_MARK_MS = 60000, /* between clock marks of a store at rest */
  KAD_DURABLE_RETRY_MS = 1000, /* after the first failure; doubled */
  KAD_DURABLE_RETRY_MAX_MS = 30000,
  KAD_DURABLE_COMPACT_RETRY_MS = 600000 /* after a compaction that failed */
};

/* What a durable store needs of the world; of a network, but for tests. */
struct kad_durable_env {
  void *state;
  kad_time_ms (*now)(void *state); /* as of the node's environment */
  void (*random)(void *state, uint8_t *out, size_t len);
  void (*read_clocks)(void *state, struct kad_reading *reading);
  /* Calls `run` on another thread, then `done` on this one. Returns 0, or an
   * error after which neither is called. */
  int (*work)(void *state, void (*run)(void *data), void (*done)(void *data),
              void *data);
};

/* A call of the store's `commit` that waits for a flush. */
struct kad_durable_waiter {
  void (*committed)(void *data, int status); /* NULL: no call waits */
  void *data;
};

struct kad_durable {
  struct kad_store store; /* its state is this struct */
  struct kad_allocator allocator;
  struct kad_durable_env env;
  struct kad_durable_config config; /* without `folder` */
  size_t id_size;
  struct kad_store *memory;
  struct kad_durable_files files;
  size_t active;            /* index of the active segment */
  kad_time_ms began_at;     /* the active one, by env.now */
  uint64_t generation;      /* of the active one */
  struct kad_changes batch; /* begins with room for the head of a frame */
  struct kad_durable_waiter waiter;
  struct kad_durable_job *flush; /* under way, or NULL */
  struct kad_durable_job *move;  /* of the other segment to the database */
  uint64_t order;                /* of the last record */
  uint64_t shift;       /* the store's clock less the node's; wraps round */
  uint64_t lag;         /* env.now less the node's clock */
  kad_time_ms mark_at;  /* env.now of the last clock mark; 0: none */
  unsigned failing;     /* a set of enum kad_durable_cause */
  bool is_finished;     /* the files are closed */
  bool is_incomplete;   /* a change was lost: no memory was left */
  bool rewrites;        /* the next flush writes the segment again */
  kad_time_ms retry_at; /* env.now */
  kad_time_ms retry_ms;
  kad_time_ms compact_at;      /* env.now: no compaction before */
  struct kad_network *network; /* NULL in tests */
  uint64_t timer;              /* of the network; 0: none */
  struct kad_durable_counters stats;
};

/* As kad_durable_open, in an environment, which is copied. */
KAD_MUST_CHECK int kad_durable_open_in(const struct kad_durable_env *env,
                                       const struct kad_durable_config *config,
                                       struct kad_allocator allocator,
                                       struct kad_durable **durable,
                                       struct kad_problem *problem);

/* Loads the records of the files. A database that is damaged is set aside,
 * after what is sound in it was loaded, and another one made, which is empty:
 * sets `*is_damaged`. Returns 0 or an error of kad_durable_open. */
KAD_MUST_CHECK int kad_durable_load(struct kad_durable *durable,
                                    bool *is_damaged,
                                    struct kad_problem *problem);

/* Does what is due: writes, flushes, moves. Called every interval. */
void kad_durable_tick(struct kad_durable *durable);

/* Fills in the functions of the store. */
void kad_durable_init_store(struct kad_durable *durable);

/* Adds a record of the store in memory to the batch, as a new one. Returns 0 or
 * KAD_ENOMEM. */
KAD_MUST_CHECK int kad_durable_save(struct kad_durable *durable,
                                    kad_record_handle handle);

/* Adds the clocks to the batch, unless the last ones are younger than `age_ms`.
 */
void kad_durable_mark(struct kad_durable *durable, kad_time_ms age_ms);

/* Writes the batch to the active segment. Returns 0, or KAD_ESYSTEM: then the
 * batch waits for the next call. */
int kad_durable_write(struct kad_durable *durable);

/* Notes that the disk has refused something with an errno, or, negative, an
 * error of LMDB. */
void kad_durable_fail(struct kad_durable *durable, enum kad_durable_cause cause,
                      int error);

/* Notes that the disk does it again. */
void kad_durable_recover(struct kad_durable *durable,
                         enum kad_durable_cause cause);

/* Returns true if stores are refused. */
bool kad_durable_refuses(const struct kad_durable *durable);

/* Returns true if the disk has failed and it is too early to try again. */
bool kad_durable_must_wait(const struct kad_durable *durable);

/* Starts to flush what the active segment has that is not flushed, unless that
 * is under way. A commit that waits ends with it. */
void kad_durable_flush(struct kad_durable *durable);

/* Begins the segment `i`, which is empty, as the active one. Returns 0 or an
 * errno. */
KAD_MUST_CHECK int kad_durable_begin(struct kad_durable *durable, size_t i);

/* Makes the other segment the active one if it is time, and starts to move what
 * the active one has. A segment is long when it has a share of the bytes of the
 * database: the more changes go there at a time, the more of them are in each
 * page that is written. */
void kad_durable_turn(struct kad_durable *durable);

/* Waits for the move that is under way. */
void kad_durable_wait(struct kad_durable *durable);

/* Waits for what is under way, and moves both segments to the database. */
void kad_durable_end(struct kad_durable *durable);

#endif
