/* For flock. */
#define _GNU_SOURCE

#include "net/disk/database.h"

#include "net/disk/bytes.h"
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
  FIRST_MAP = 64 << 20, /* bytes */
  LOCK_SIZE = 8192,     /* bytes, at least those of LMDB's lock file */
  LOCK_ATTEMPTS = 4,    /* to have one that fits the file */
  HEAD_PAGES = 2        /* of a file */
};

/* ------------------------------------------------------------- opening -- */

/* LMDB maps its lock file, so that a disk without room for it would end the
 * process with a signal: gives it its blocks before. Returns 0 or an errno. */
static int prepare_lock(const char *path) {
  static const uint8_t zeros[LOCK_SIZE];
  char name[KAD_DATABASE_PATH_MAX];
  struct stat status;
  kad_database_lock_path(path, name);
  const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE);
  int error = fd < 0 ? errno : 0;
  if (error == 0 && fstat(fd, &status) == 0 && status.st_size < LOCK_SIZE) {
    const ssize_t written = pwrite(fd, zeros, LOCK_SIZE, 0);
    error = written == LOCK_SIZE ? 0 : written < 0 ? errno : ENOSPC;
  }
  if (fd >= 0) {
    (void)close(fd);
  }
  return error;
}

/* A walk goes through the whole file, in no order of its pages. */
static void read_ahead(const struct kad_database *database) {
  int fd;
  if (mdb_env_get_fd(database->env, &fd) == 0) {
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
  }
}

/* Makes a file that was cut as long as LMDB takes it to be: what is missing
 * reads as zeros, which is no page, instead of ending the process with a
 * signal. Pages at the end that are free need not have been written. */
static int extend(const struct kad_database *database) {
  MDB_envinfo info;
  MDB_stat stat;
  struct stat status;
  int fd;
  (void)mdb_env_info(database->env, &info);
  (void)mdb_env_stat(database->env, &stat);
  if (mdb_env_get_fd(database->env, &fd) != 0 || fstat(fd, &status) != 0) {
    return EIO;
  }
  const uint64_t needed = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
  if ((uint64_t)status.st_size >= needed) {
    return 0;
  }
  if (database->is_read_only) {
    return KAD_DATABASE_CORRUPT;
  }
  return ftruncate(fd, (off_t)needed) == 0 ? 0 : errno;
}

/* Returns how much address space a file of this path is to have at first. */
static size_t first_map(const char *path, uint64_t max_bytes) {
  struct stat status;
  uint64_t size = FIRST_MAP;
  if (stat(path, &status) == 0 && 2 * (uint64_t)status.st_size > size) {
    size = 2 * (uint64_t)status.st_size;
  }
  return (size_t)(size < max_bytes ? size : max_bytes);
}

static int open_env(struct kad_database *database) {
  const unsigned flags =
      MDB_NOSUBDIR | MDB_NOTLS | (database->is_read_only ? MDB_RDONLY : 0);
  const char *const path = database->path;
  int dead = 0;
  int error = mdb_env_create(&database->env);
  if (error != 0) {
    return error;
  }
  MDB_env *const env = database->env;
  kad_database_watch(database, env);
  error = mdb_env_set_mapsize(env, first_map(path, database->max_bytes));
  if (error == 0) {
    error = mdb_env_open(env, path, flags, MODE);
  }
  if (error == 0) {
    kad_database_close_in_children(env);
    error = mdb_reader_check(env, &dead);
  }
  return error == 0 ? extend(database) : error;
}

/* Returns true if the lock file is of another file: of the one that was here
 * before a compaction, and that a reader opened meanwhile. It would make LMDB
 * take the wrong one of its two heads for the last one. */
static bool has_foreign_lock(const struct kad_database *database) {
  MDB_txn *txn = NULL;
  MDB_envinfo info;
  if (database->is_read_only || mdb_env_info(database->env, &info) != 0 ||
      mdb_txn_begin(database->env, NULL, 0, &txn) != 0) {
    return false;
  }
  const size_t id = mdb_txn_id(txn);
  mdb_txn_abort(txn);
  return id != info.me_last_txnid + 1;
}

/* Opens the file for a writer, with a lock file that fits it. */
static int open_env_to_write(struct kad_database *database) {
  char lock_path[KAD_DATABASE_PATH_MAX];
  int error = EBUSY;
  kad_database_lock_path(database->path, lock_path);
  for (int i = 0; i < LOCK_ATTEMPTS; i++) {
    error = prepare_lock(database->path);
    error = error == 0 ? open_env(database) : error;
    if (error != 0 || !has_foreign_lock(database)) {
      return error;
    }
    kad_database_close(database);
    (void)unlink(lock_path);
    error = EBUSY;
  }
  return error;
}

/* Opens the file for a reader, which waits while the file is replaced. Where
 * folders cannot be locked, it never is. */
static int open_env_to_read(struct kad_database *database) {
  const int folder = kad_database_lock_folder(database->path, LOCK_SH);
  const int error = open_env(database);
  if (folder >= 0) {
    (void)close(folder);
  }
  return error;
}

static int run_open_dbi(struct kad_database *database,
                        const struct kad_database_call *call) {
  MDB_txn *txn = NULL;
  (void)call;
  int error = mdb_txn_begin(database->env, NULL, MDB_RDONLY, &txn);
  if (error == 0) {
    error = mdb_dbi_open(txn, NULL, 0, &database->dbi);
    mdb_txn_abort(txn);
  }
  return error;
}

int kad_database_open(struct kad_database *database, const char *path,
                      bool is_read_only, uint64_t max_bytes) {
  const struct kad_database_call call = {0};
  memset(database, 0, sizeof *database);
  if (strlen(path) >= KAD_DATABASE_PATH_MAX - 200) {
    return ENAMETOOLONG;
  }
  memcpy(database->path, path, strlen(path) + 1);
  database->max_bytes = max_bytes;
  database->sparse_bytes = KAD_DATABASE_SPARSE_BYTES;
  database->transaction_pages = KAD_DATABASE_TRANSACTION_PAGES;
  database->is_read_only = is_read_only;
  int error =
      is_read_only ? open_env_to_read(database) : open_env_to_write(database);
  if (error == 0) {
    read_ahead(database);
    error = kad_database_guard(database, run_open_dbi, &call);
  }
  if (error != 0) {
    kad_database_close(database);
  }
  return error;
}

int kad_database_reopen(struct kad_database *database) {
  char path[KAD_DATABASE_PATH_MAX];
  const uint64_t sparse_bytes = database->sparse_bytes;
  const uint64_t transaction_pages = database->transaction_pages;
  memcpy(path, database->path, sizeof path);
  kad_database_close(database);
  const int error =
      kad_database_open(database, path, false, database->max_bytes);
  database->sparse_bytes = sparse_bytes;
  database->transaction_pages = transaction_pages;
  return error;
}

void kad_database_close(struct kad_database *database) {
  if (database->env != NULL) {
    mdb_env_close(database->env);
    database->env = NULL;
  }
}

/* ------------------------------------------------------------- reading -- */

int kad_database_begin_read(struct kad_database *database, MDB_txn **txn) {
  return mdb_txn_begin(database->env, NULL, MDB_RDONLY, txn);
}

void kad_database_end_read(MDB_txn *txn) {
  mdb_txn_abort(txn);
}

static int run_read_info(struct kad_database *database,
                         const struct kad_database_call *call) {
  struct kad_database_info *const info = call->data;
  char name[] = KAD_DATABASE_INFO_KEY;
  MDB_val key = {.mv_size = sizeof name - 1, .mv_data = name};
  MDB_val value;
  *info = (struct kad_database_info){0};
  const int error = mdb_get(call->txn, database->dbi, &key, &value);
  if (error != 0) {
    return error == MDB_NOTFOUND ? 0 : error;
  }
  const uint8_t *const bytes = value.mv_data;
  if (value.mv_size < KAD_DATABASE_CHECKSUM_SIZE + 4) {
    return KAD_DATABASE_CORRUPT;
  }
  info->version =
      (uint32_t)kad_bytes_get(bytes + KAD_DATABASE_CHECKSUM_SIZE, 4);
  if (info->version > KAD_DATABASE_VERSION) {
    return 0; /* the rest may have another form */
  }
  if (value.mv_size != KAD_DATABASE_CHECKSUM_SIZE + KAD_DATABASE_INFO_SIZE ||
      info->version == 0 ||
      kad_bytes_get(bytes, KAD_DATABASE_CHECKSUM_SIZE) !=
          kad_database_checksum(bytes + KAD_DATABASE_CHECKSUM_SIZE,
                                KAD_DATABASE_INFO_SIZE,
                                kad_database_info_secret)) {
    return KAD_DATABASE_CORRUPT;
  }
  const uint8_t *const from = bytes + KAD_DATABASE_CHECKSUM_SIZE;
  info->id_size = (uint32_t)kad_bytes_get(from + 4, 4);
  info->lmdb_version = (uint32_t)kad_bytes_get(from + 8, 4);
  info->generation = kad_bytes_get(from + 12, 8);
  memcpy(info->secret, from + 20, KAD_IMAGE_SECRET_SIZE);
  info->clock.at = kad_bytes_get(from + 40, 8);
  kad_reading_read(from + 48, &info->clock.reading);
  return 0;
}

int kad_database_read_info(struct kad_database *database, MDB_txn *txn,
                           struct kad_database_info *info) {
  const struct kad_database_call call = {.txn = txn, .data = info};
  return kad_database_guard(database, run_read_info, &call);
}

/* Sets `key` and `value` to the first or next entry that has the name of a
 * record; `*is_there` is false at the end. */
static int next_entry(MDB_cursor *cursor, MDB_cursor_op op, MDB_val *key,
                      MDB_val *value, bool *is_there) {
  int error;
  do {
    error = mdb_cursor_get(cursor, key, value, op);
    op = MDB_NEXT;
  } while (error == 0 && key->mv_size != KAD_IMAGE_NAME_SIZE);
  *is_there = error == 0;
  return error == MDB_NOTFOUND ? 0 : error;
}

/* Where a walk is: at the entry of the file, and at the item of the list, that
 * come next. */
struct walk {
  MDB_cursor *cursor;
  MDB_val key;
  MDB_val value;
  bool is_there;
  size_t item;
};

/* Visits the record whose name comes next, if there still is one. */
static int visit_next(const struct kad_database_call *call, struct walk *walk) {
  const struct kad_change_list *const list = call->list;
  const uint8_t *name = walk->is_there ? walk->key.mv_data : NULL;
  struct kad_image image;
  bool is_record = false;
  bool is_corrupt = false;
  int order = walk->is_there ? -1 : 1;
  if (walk->is_there && walk->item < list->count) {
    order =
        memcmp(name, list->items[walk->item].change.name, KAD_IMAGE_NAME_SIZE);
  }
  if (order <= 0) {
    is_record = kad_database_read_value(&walk->value, call->secret, &image);
    is_corrupt = !is_record;
  }
  if (order >= 0) {
    name = list->items[walk->item].change.name;
    walk->item = kad_change_list_apply(list, walk->item, &image, &is_record);
  }
  int error = 0;
  if (is_record || is_corrupt) {
    error = call->visit(call->data, name, is_record ? &image : NULL);
  }
  if (error == 0 && order <= 0) {
    error = next_entry(walk->cursor, MDB_NEXT, &walk->key, &walk->value,
                       &walk->is_there);
  }
  return error;
}

static int run_walk(struct kad_database *database,
                    const struct kad_database_call *call) {
  struct walk walk = {.item = 0};
  int error = mdb_cursor_open(call->txn, database->dbi, &walk.cursor);
  if (error != 0) {
    return error;
  }
  error = next_entry(walk.cursor, MDB_FIRST, &walk.key, &walk.value,
                     &walk.is_there);
  while (error == 0 && (walk.is_there || walk.item < call->list->count)) {
    error = visit_next(call, &walk);
  }
  mdb_cursor_close(walk.cursor);
  return error;
}

int kad_database_walk(struct kad_database *database, MDB_txn *txn,
                      const struct kad_change_list *list, const uint8_t *secret,
                      kad_database_visit_fn visit, void *data) {
  const struct kad_database_call call = {
      .txn = txn, .list = list, .secret = secret, .visit = visit, .data = data};
  return kad_database_guard(database, run_walk, &call);
}

uint64_t kad_database_bytes(const struct kad_database *database) {
  MDB_envinfo info;
  MDB_stat stat;
  if (database->env == NULL || mdb_env_info(database->env, &info) != 0 ||
      mdb_env_stat(database->env, &stat) != 0) {
    return 0;
  }
  return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

uint64_t kad_database_free_bytes(const struct kad_database *database) {
  MDB_stat stat;
  const uint64_t bytes = kad_database_bytes(database);
  if (bytes == 0 || mdb_env_stat(database->env, &stat) != 0) {
    return 0;
  }
  const uint64_t used = (HEAD_PAGES + (uint64_t)stat.ms_branch_pages +
                         stat.ms_leaf_pages + stat.ms_overflow_pages) *
                        stat.ms_psize;
  return bytes > used ? bytes - used : 0;
}

bool kad_database_is_sparse(const struct kad_database *database) {
  const uint64_t free_bytes = kad_database_free_bytes(database);
  return free_bytes >= database->sparse_bytes &&
         free_bytes > kad_database_bytes(database) / 2;
}

const char *kad_database_text(int error) {
  return mdb_strerror(error);
}
