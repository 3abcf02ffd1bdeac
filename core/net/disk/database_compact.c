/* Replaces the file by a copy of its entries. The copy has them in the order of
 * their names, in full pages; mdb_env_copy2 would keep the half-full ones, and
 * leave a thread behind where an assertion fails.
 *
 *     copy ─► records.mdb.new ─► flush ─► rename ─► open
 *
 * A crash leaves the old file or the new one, which have the same entries.
 *
 * LMDB's lock file belongs to the file that it was made for: it has the number
 * of the last transaction. The new file gets a new one. A reader that has the
 * old file open keeps both old ones, which have no name any more.
 *
 * Tested by tests/unit/net/durable/durable_compact_test.c. */

/* For flock. */
#define _GNU_SOURCE

#include "net/disk/database_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MODE = 0600,
  BATCH_BYTES = 4 << 20, /* that a transaction copies */
  FLUSH_PARTS = 16       /* transactions between two flushes */
};

/* A copy under way. */
struct copy {
  char path[KAD_DATABASE_PATH_MAX];
  MDB_env *env; /* of the copy; NULL: closed */
  MDB_txn *source;
  MDB_cursor *cursor; /* of `source` */
  bool (*must_stop)(void *data);
  void *data;
};

/* ----------------------------------------------------------------- copy -- */

/* The copy is flushed once, when it is complete. */
static int open_copy(struct kad_database *database, struct copy *copy) {
  const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK | MDB_NOSYNC;
  MDB_envinfo info;
  (void)unlink(copy->path);
  (void)mdb_env_info(database->env, &info);
  int error = mdb_env_create(&copy->env);
  if (error != 0) {
    return error;
  }
  kad_database_watch(database, copy->env);
  error = mdb_env_set_mapsize(copy->env, info.me_mapsize);
  if (error == 0) {
    error = mdb_env_open(copy->env, copy->path, flags, MODE);
  }
  if (error == 0) {
    kad_database_close_in_children(copy->env);
    error = mdb_txn_begin(database->env, NULL, MDB_RDONLY, &copy->source);
  }
  return error == 0
             ? mdb_cursor_open(copy->source, database->dbi, &copy->cursor)
             : error;
}

/* Copies the entries from where the cursor is. Returns MDB_NOTFOUND at the end
 * of the file. */
static int copy_entries(const struct copy *copy, MDB_txn *txn, MDB_cursor_op op,
                        MDB_dbi dbi) {
  MDB_val key;
  MDB_val value;
  size_t bytes = 0;
  int error = 0;
  while (error == 0 && bytes < BATCH_BYTES) {
    error = mdb_cursor_get(copy->cursor, &key, &value, op);
    if (error == 0) {
      bytes += key.mv_size + value.mv_size;
      error = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
    }
    op = MDB_NEXT;
  }
  return error;
}

/* Copies a part in a transaction. Sets `*is_done` at the end of the file. */
static int copy_part(const struct copy *copy, MDB_cursor_op op, bool *is_done) {
  MDB_txn *txn = NULL;
  MDB_dbi dbi;
  int error = mdb_txn_begin(copy->env, NULL, 0, &txn);
  if (error != 0) {
    return error;
  }
  error = mdb_dbi_open(txn, NULL, 0, &dbi);
  if (error == 0) {
    error = copy_entries(copy, txn, op, dbi);
  }
  *is_done = error == MDB_NOTFOUND;
  if (error != 0 && !*is_done) {
    mdb_txn_abort(txn);
    return error;
  }
  return mdb_txn_commit(txn);
}

static int run_copy(struct kad_database *database,
                    const struct kad_database_call *call) {
  struct copy *const copy = call->data;
  bool is_done = false;
  MDB_cursor_op op = MDB_FIRST;
  int error = open_copy(database, copy);
  for (unsigned part = 1; error == 0 && !is_done; part++) {
    error =
        copy->must_stop(copy->data) ? ECANCELED : copy_part(copy, op, &is_done);
    op = MDB_NEXT;
    if (error == 0 && part % FLUSH_PARTS == 0) {
      error = mdb_env_sync(copy->env, 1); /* a long one could not be stopped */
    }
  }
  return error == 0 ? mdb_env_sync(copy->env, 1) : error;
}

static void close_copy(struct copy *copy) {
  if (copy->cursor != NULL) {
    mdb_cursor_close(copy->cursor);
  }
  if (copy->source != NULL) {
    mdb_txn_abort(copy->source);
  }
  if (copy->env != NULL) {
    mdb_env_close(copy->env);
  }
}

/* -------------------------------------------------------------- replace -- */

/* Gives the copy the name of the file. Returns 0 or an errno. */
static int rename_copy(const struct kad_database *database,
                       const struct copy *copy) {
  char lock_path[KAD_DATABASE_PATH_MAX];
  char old_path[KAD_DATABASE_PATH_MAX];
  kad_database_lock_path(database->path, lock_path);
  (void)snprintf(old_path, sizeof old_path, "%.4100s.old", lock_path);
  if (rename(lock_path, old_path) != 0) {
    return errno;
  }
  if (rename(copy->path, database->path) != 0) {
    const int error = errno;
    (void)rename(old_path, lock_path);
    return error;
  }
  (void)unlink(old_path);
  return 0;
}

/* Closes the file, replaces it and opens it again. */
static int replace(struct kad_database *database, const struct copy *copy,
                   int folder) {
  kad_database_close(database);
  const int error = rename_copy(database, copy);
  if (error == 0) {
    (void)fsync(folder);
  }
  const int refused = kad_database_reopen(database);
  return error != 0 ? error : refused;
}

int kad_database_compact(struct kad_database *database,
                         bool (*must_stop)(void *data), void *data) {
  struct copy copy = {.must_stop = must_stop, .data = data};
  const struct kad_database_call call = {.data = &copy};
  (void)snprintf(copy.path, sizeof copy.path, "%.4100s.new", database->path);
  const int folder =
      kad_database_lock_folder(database->path, LOCK_EX | LOCK_NB);
  if (folder < 0) {
    return errno == EWOULDBLOCK ? EBUSY : errno;
  }
  int error = kad_database_guard(database, run_copy, &call);
  if (!database->is_broken) {
    close_copy(&copy);
  }
  if (error == 0) {
    error = replace(database, &copy, folder);
  }
  if (error != 0) {
    (void)unlink(copy.path);
  }
  (void)close(folder);
  return error;
}
