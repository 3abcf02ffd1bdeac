/* kadenza_durable.h: a record store that outlives its program, in a folder.
 *
 *     struct kad_durable_config durable = {.folder = "var/node"};
 *     struct kad_durable *records = NULL;
 *     struct kad_problem problem;
 *     int error = kad_durable_open(network, &durable, &records, &problem);
 *     config.store = kad_durable_store(records);
 *     ... the node opens, runs, and closes the store when it is closed ...
 *
 * All records are in memory, where they are read. The changes of a turn are
 * appended to a journal with one write before the queries of that turn are
 * answered, so that what was acknowledged survives the end of the program at
 * any moment. Another thread flushes the journal to the disk, and moves what it
 * has to a file of LMDB. While the disk refuses to write, the node serves what
 * it has, answers stores with error 202, tries again, and continues by itself.
 *
 * docs/operations.md "Storage" describes the files. */
#ifndef KADENZA_DURABLE_H
#define KADENZA_DURABLE_H

#include "kadenza_store.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kad_durable;

/* When a store is acknowledged. Neither loses what was acknowledged when the
 * program ends, in whatever way. */
enum kad_durable_sync {
  KAD_DURABLE_SYNC_INTERVAL, /* once it is written: a power failure loses what
                                was acknowledged in the last interval */
  KAD_DURABLE_SYNC_COMMIT    /* once it is flushed to the disk: a power failure
                                loses nothing */
};

enum {
  KAD_DURABLE_INTERVAL_MS = 1000,
  KAD_PROBLEM_SIZE = 512
};

/* The condition of the disk has changed. `is_failing` tells whether it refuses
 * to write; `text` says why, and is empty otherwise. */
typedef void (*kad_durable_report_fn)(void *data, bool is_failing,
                                      const char *text);

struct kad_durable_config {
  const char *folder; /* exists; no other store uses it */
  unsigned id_bits;   /* of the node: 160 or 256; 0: 160 */
  enum kad_durable_sync sync;
  uint32_t interval_ms; /* between flushes; 0: KAD_DURABLE_INTERVAL_MS */
  uint64_t max_bytes;   /* of the file of LMDB; 0: 64 GiB */
  kad_durable_report_fn report; /* on the thread of the node; may be NULL */
  void (*closed)(void *data);   /* the store has been freed; may be NULL */
  void *data;
};

/* Why a store could not be opened, for a person. */
struct kad_problem {
  char text[KAD_PROBLEM_SIZE];
};

/* Opens the store of a folder, or makes it. Copies `config` and the name of the
 * folder. The store is for one node of `network`, whose thread it belongs to;
 * it ends with the node, before the network. `problem`, unless
 * NULL, describes an error. Returns 0, or
 *   KAD_ENOMEM      out of memory
 *   KAD_EBUSY       another store uses the folder
 *   KAD_EINVAL      a field of `config`, or the ids in the files have another
 *                   width
 *   KAD_EMALFORMED  a file is of a newer version, or of another format of LMDB
 *   KAD_EACCESS     the files may not be read or written
 *   KAD_ESYSTEM     a system call failed
 * Files are left as they are then. A file that is corrupt is set aside under
 * another name: kad_durable_stats counts it. */
KAD_API KAD_MUST_CHECK int kad_durable_open(
    struct kad_network *network, const struct kad_durable_config *config,
    struct kad_durable **durable, struct kad_problem *problem);

/* Returns the store, for `store` of struct kad_config. The node closes it. */
KAD_API struct kad_store *kad_durable_store(struct kad_durable *durable);

/* Closes a store whose node could not be opened; the node does it otherwise.
 * Writes what has changed, flushes it and frees the store: waits for the disk.
 * Ignores NULL. */
KAD_API void kad_durable_close(struct kad_durable *durable);

/* Writes what has changed, flushes it and closes the files, so that another
 * store can be opened in the folder: a node that is closed in a callback is
 * freed only later. Waits for the disk. The store has its records until it is
 * closed, but keeps no change any more. Returns 0, KAD_ESYSTEM if the disk
 * refuses, or KAD_EINVAL. */
KAD_API int kad_durable_finish(struct kad_durable *durable);

/* Counters of a durable store since it was opened; a gauge is a current
 * number. Name, text. */
#define KAD_DURABLE_STATS_MAP(X)                                         \
  X(disk_loaded, "records read from the disk at the start")              \
  X(disk_corrupt, "records on the disk that were corrupt, and left out") \
  X(disk_aside, "files of the store that were corrupt, and set aside")   \
  X(disk_commits, "turns whose changes were written to the journal")     \
  X(disk_flushes, "times that the journal was flushed to the disk")      \
  X(disk_checkpoints, "times that the journal was moved to LMDB")        \
  X(disk_compactions, "times that a file with many free pages was "      \
                      "replaced")                                        \
  X(disk_failures, "writes and flushes that the disk refused")           \
  X(disk_failing, "1 while the disk refuses to write: stores are "       \
                  "refused (gauge)")                                     \
  X(disk_journal_bytes, "bytes in the journal (gauge)")                  \
  X(disk_file_bytes, "bytes of the file of LMDB (gauge)")

struct kad_durable_counters {
#define KAD_DURABLE_STATS_FIELD(name, text) uint64_t name;
  KAD_DURABLE_STATS_MAP(KAD_DURABLE_STATS_FIELD)
#undef KAD_DURABLE_STATS_FIELD
};

/* Copies the counters to `stats`. */
KAD_API void kad_durable_stats(const struct kad_durable *durable,
                               struct kad_durable_counters *stats);

/* A record of a folder: `ttl` and `age` of `record` are set, `ttl` is 0 if it
 * has no end. `republish_s` is in so many seconds; UINT32_MAX: never. Returns
 * false to end. */
typedef bool (*kad_durable_visit_fn)(void *data,
                                     const struct kad_record *record,
                                     const struct kad_address *origin,
                                     uint32_t republish_s);

/* Visits every record of a folder that has not expired, in no particular order.
 * Changes nothing, also while a node uses the folder: sees what that node has
 * acknowledged before the call. Sets `*id_bits` (unless NULL) before the first
 * record. Returns 0, KAD_ENOTFOUND if the folder has no store, or an error as
 * kad_durable_open does, which `problem`, unless NULL, describes. */
KAD_API KAD_MUST_CHECK int kad_durable_read(const char *folder,
                                            unsigned *id_bits,
                                            kad_durable_visit_fn visit,
                                            void *data,
                                            struct kad_problem *problem);

#ifdef __cplusplus
}
#endif

#endif
