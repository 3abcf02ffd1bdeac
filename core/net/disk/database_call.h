/* What the files that use LMDB have in common: a call of it that may meet a
 * damaged page, and the form of the entries.
 *
 *     info    checksum 8, version 4, id bytes 4, version of LMDB 4,
 *             generation 8, secret 16, clock 8, reading 32; under "info"
 *     record  checksum 8, image; under its name
 *
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#ifndef KAD_NET_DISK_DATABASE_CALL_H
#define KAD_NET_DISK_DATABASE_CALL_H

#include "net/disk/database.h"

enum {
  KAD_DATABASE_CHECKSUM_SIZE = 8,
  KAD_DATABASE_INFO_SIZE = 40 + 8 + KAD_READING_SIZE
};

/* Shorter than a name, so that it cannot be one. */
#define KAD_DATABASE_INFO_KEY "info"

/* Signs the info in place of a record's secret, which is in it. */
extern const uint8_t kad_database_info_secret[KAD_IMAGE_SECRET_SIZE];

/* Returns the checksum of an entry. */
uint64_t kad_database_checksum(const uint8_t *bytes, size_t len,
                               const uint8_t *secret);

/* What a call is given; each takes what it needs. */
struct kad_database_call {
  MDB_txn *txn;
  const struct kad_change_list *list;
  const struct kad_database_info *info;
  const uint8_t *secret;
  kad_database_visit_fn visit;
  void *data;
  size_t *item;  /* of the list, that comes next */
  bool *is_done; /* set once the list and the info are written */
};

typedef int (*kad_database_run_fn)(struct kad_database *database,
                                   const struct kad_database_call *call);

/* Calls `run`. Returns what it returns, or KAD_DATABASE_CORRUPT if an assertion
 * of LMDB fails in it: then the database is broken. */
int kad_database_guard(struct kad_database *database, kad_database_run_fn run,
                       const struct kad_database_call *call);

/* Makes a failed assertion in `env` end the call of kad_database_guard. */
void kad_database_watch(struct kad_database *database, MDB_env *env);

/* Closes the file of `env` in programs that this one starts: LMDB does not. */
void kad_database_close_in_children(MDB_env *env);

/* Locks the folder of a file with flock(2): LOCK_SH while a reader opens a file
 * of LMDB and its lock file, which belong together, LOCK_EX | LOCK_NB while
 * they are replaced. Returns a descriptor to close, or -1 with errno. */
int kad_database_lock_folder(const char *path, int operation);

/* Writes the name of the lock file of LMDB of `path`. */
void kad_database_lock_path(const char *path,
                            char lock_path[KAD_DATABASE_PATH_MAX]);

/* Reads the image of an entry. Returns false if its checksum is wrong. */
bool kad_database_read_value(const MDB_val *value, const uint8_t *secret,
                             struct kad_image *image);

#endif
