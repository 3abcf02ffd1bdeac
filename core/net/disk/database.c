/* For pread. */
#define _POSIX_C_SOURCE 200809L

#include "net/disk/database.h"

#include "net/disk/bytes.h"

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MODE = 0600,
  CHECKSUM_SIZE = 8,
  FIRST_MAP = 64 << 20, /* bytes */
  LOCK_SIZE = 8192,     /* bytes, at least those of LMDB's lock file */
  INFO_SIZE = 40 + 8 + KAD_READING_SIZE
};

/* Shorter than a name, so that it cannot be one. */
#define INFO_KEY "info"

/* Signs the info in place of a record's secret, which is in it. */
static const uint8_t info_secret[KAD_IMAGE_SECRET_SIZE] = "kadenza records";

static uint64_t checksum_of(const uint8_t *bytes, size_t len,
                            const uint8_t *secret) {
  uint8_t sum[crypto_shorthash_BYTES];
  (void)crypto_shorthash(sum, bytes, len, secret);
  return kad_bytes_get(sum, sizeof sum);
}

/* ---------------------------------------------------------- assertions -- */

/* LMDB would abort the process. */
static void on_assertion(MDB_env *env, const char *text) {
  struct kad_database *database = mdb_env_get_userctx(env);
  (void)text;
  database->is_broken = true;
  longjmp(database->escape, 1); /* NOLINT(cert-err52-cpp) */
}

/* A call, and what it is given. */
struct call {
  MDB_txn *txn;
  const struct kad_change_list *list;
  const struct kad_database_info *info;
  const uint8_t *secret;
  kad_database_visit_fn visit;
  void *data;
};

/* Calls `run`; returns KAD_DATABASE_CORRUPT if an assertion fails in it. */
static int guard(struct kad_database *database,
                 int (*run)(struct kad_database *database,
                            const struct call *call),
                 const struct call *call) {
  if (database->is_broken) {
    return KAD_DATABASE_CORRUPT;
  }
  if (setjmp(database->escape) != 0) { /* NOLINT(cert-err52-cpp) */
    return KAD_DATABASE_CORRUPT;
  }
  return run(database, call);
}

/* ------------------------------------------------------------- opening -- */

/* LMDB maps its lock file, so that a disk without room for it would end the
 * process with a signal: gives it its blocks before. Returns 0 or an errno. */
static int prepare_lock(const char *path) {
  static const uint8_t zeros[LOCK_SIZE];
  char name[4200];
  struct stat status;
  const int len = snprintf(name, sizeof name, "%s-lock", path);
  if (len < 0 || (size_t)len >= sizeof name) {
    return ENAMETOOLONG;
  }
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

/* LMDB leaves its file open in programs that this one starts. */
static void close_in_children(MDB_env *env) {
  mdb_filehandle_t fd;
  if (mdb_env_get_fd(env, &fd) == 0) {
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

static int open_env(struct kad_database *database, const char *path,
                    bool is_read_only) {
  const unsigned flags =
      MDB_NOSUBDIR | MDB_NOTLS | (is_read_only ? MDB_RDONLY : 0);
  MDB_env *const env = database->env;
  int dead = 0;
  (void)mdb_env_set_userctx(env, database);
  (void)mdb_env_set_assert(env, on_assertion);
  int error = mdb_env_set_mapsize(env, first_map(path, database->max_bytes));
  if (error == 0) {
    error = mdb_env_open(env, path, flags, MODE);
  }
  if (error == 0) {
    close_in_children(env);
    error = mdb_reader_check(env, &dead);
  }
  return error == 0 ? extend(database) : error;
}

static int run_open_dbi(struct kad_database *database,
                        const struct call *call) {
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
  const struct call call = {0};
  memset(database, 0, sizeof *database);
  if (snprintf(database->path, sizeof database->path, "%s", path) >=
      (int)sizeof database->path) {
    return ENAMETOOLONG;
  }
  database->max_bytes = max_bytes;
  database->is_read_only = is_read_only;
  int error = is_read_only ? 0 : prepare_lock(path);
  if (error == 0) {
    error = mdb_env_create(&database->env);
  }
  if (error == 0) {
    error = open_env(database, path, is_read_only);
  }
  if (error == 0) {
    read_ahead(database);
    error = guard(database, run_open_dbi, &call);
  }
  if (error != 0) {
    kad_database_close(database);
  }
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
                         const struct call *call) {
  struct kad_database_info *const info = call->data;
  char name[] = INFO_KEY;
  MDB_val key = {.mv_size = sizeof name - 1, .mv_data = name};
  MDB_val value;
  *info = (struct kad_database_info){0};
  const int error = mdb_get(call->txn, database->dbi, &key, &value);
  if (error != 0) {
    return error == MDB_NOTFOUND ? 0 : error;
  }
  const uint8_t *const bytes = value.mv_data;
  if (value.mv_size < CHECKSUM_SIZE + 4) {
    return KAD_DATABASE_CORRUPT;
  }
  info->version = (uint32_t)kad_bytes_get(bytes + CHECKSUM_SIZE, 4);
  if (info->version > KAD_DATABASE_VERSION) {
    return 0; /* the rest may have another form */
  }
  if (value.mv_size != CHECKSUM_SIZE + INFO_SIZE || info->version == 0 ||
      kad_bytes_get(bytes, CHECKSUM_SIZE) !=
          checksum_of(bytes + CHECKSUM_SIZE, INFO_SIZE, info_secret)) {
    return KAD_DATABASE_CORRUPT;
  }
  const uint8_t *const from = bytes + CHECKSUM_SIZE;
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
  const struct call call = {.txn = txn, .data = info};
  return guard(database, run_read_info, &call);
}

/* Returns false if the checksum is wrong. */
static bool read_value(const MDB_val *value, const uint8_t *secret,
                       struct kad_image *image) {
  if (value->mv_size < CHECKSUM_SIZE) {
    return false;
  }
  const struct kad_slice bytes = {
      .data = (const uint8_t *)value->mv_data + CHECKSUM_SIZE,
      .len = value->mv_size - CHECKSUM_SIZE,
  };
  return kad_bytes_get(value->mv_data, CHECKSUM_SIZE) ==
             checksum_of(bytes.data, bytes.len, secret) &&
         kad_image_split(bytes, image);
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
static int visit_next(const struct call *call, struct walk *walk) {
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
    is_record = read_value(&walk->value, call->secret, &image);
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

static int run_walk(struct kad_database *database, const struct call *call) {
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
  const struct call call = {
      .txn = txn, .list = list, .secret = secret, .visit = visit, .data = data};
  return guard(database, run_walk, &call);
}

/* ------------------------------------------------------------- writing -- */

static int write_info(const struct kad_database *database, MDB_txn *txn,
                      const struct kad_database_info *info) {
  uint8_t bytes[CHECKSUM_SIZE + INFO_SIZE] = {0};
  uint8_t *const out = bytes + CHECKSUM_SIZE;
  char name[] = INFO_KEY;
  MDB_val key = {.mv_size = sizeof name - 1, .mv_data = name};
  MDB_val value = {.mv_size = sizeof bytes, .mv_data = bytes};
  kad_bytes_put(out, info->version, 4);
  kad_bytes_put(out + 4, info->id_size, 4);
  kad_bytes_put(out + 8, info->lmdb_version, 4);
  kad_bytes_put(out + 12, info->generation, 8);
  memcpy(out + 20, info->secret, KAD_IMAGE_SECRET_SIZE);
  kad_bytes_put(out + 40, info->clock.at, 8);
  kad_reading_write(out + 48, &info->clock.reading);
  kad_bytes_put(bytes, checksum_of(out, INFO_SIZE, info_secret), CHECKSUM_SIZE);
  return mdb_put(txn, database->dbi, &key, &value, 0);
}

static int write_image(const struct kad_database *database, MDB_txn *txn,
                       MDB_val *key, const struct kad_image *image,
                       const uint8_t *secret) {
  uint8_t bytes[CHECKSUM_SIZE + KAD_IMAGE_MAX];
  const size_t len = image->meta.len + image->record.len;
  if (len > KAD_IMAGE_MAX) {
    return 0; /* no record that a store may hold */
  }
  MDB_val value = {.mv_size = CHECKSUM_SIZE + len, .mv_data = bytes};
  kad_image_copy(bytes + CHECKSUM_SIZE, image);
  kad_bytes_put(bytes, checksum_of(bytes + CHECKSUM_SIZE, len, secret),
                CHECKSUM_SIZE);
  return mdb_put(txn, database->dbi, key, &value, 0);
}

/* Applies the changes of one name, from the item `*item` on. */
static int apply_name(struct kad_database *database, const struct call *call,
                      MDB_txn *txn, size_t *item) {
  uint8_t name[KAD_IMAGE_NAME_SIZE];
  const struct kad_listed_change *const first = &call->list->items[*item];
  MDB_val key = {.mv_size = sizeof name, .mv_data = name};
  MDB_val value;
  struct kad_image image;
  bool was_there = false;
  int error = 0;
  memcpy(name, first->change.name, sizeof name);
  if (first->change.kind == KAD_CHANGE_META) {
    error = mdb_get(txn, database->dbi, &key, &value);
    was_there = error == 0 && read_value(&value, call->info->secret, &image);
  }
  if (error != 0 && error != MDB_NOTFOUND) {
    return error;
  }
  bool is_there = was_there;
  *item = kad_change_list_apply(call->list, *item, &image, &is_there);
  if (is_there) {
    return write_image(database, txn, &key, &image, call->info->secret);
  }
  error = mdb_del(txn, database->dbi, &key, NULL);
  return error == MDB_NOTFOUND ? 0 : error;
}

static int run_apply(struct kad_database *database, const struct call *call) {
  MDB_txn *txn = NULL;
  size_t item = 0;
  int error = mdb_txn_begin(database->env, NULL, 0, &txn);
  if (error != 0) {
    return error;
  }
  while (error == 0 && item < call->list->count) {
    error = apply_name(database, call, txn, &item);
  }
  if (error == 0) {
    error = write_info(database, txn, call->info);
  }
  if (error != 0) {
    mdb_txn_abort(txn);
    return error;
  }
  return mdb_txn_commit(txn);
}

/* Doubles the address space of the file. Returns MDB_MAP_FULL at the limit. */
static int grow(struct kad_database *database) {
  MDB_envinfo info;
  (void)mdb_env_info(database->env, &info);
  const uint64_t size = info.me_mapsize;
  if (size >= database->max_bytes) {
    return MDB_MAP_FULL;
  }
  return mdb_env_set_mapsize(database->env,
                             (size_t)(2 * size < database->max_bytes
                                          ? 2 * size
                                          : database->max_bytes));
}

/* After a write of its head has failed, LMDB refuses everything until the file
 * is opened again. */
static int reopen(struct kad_database *database) {
  char path[KAD_DATABASE_PATH_MAX];
  memcpy(path, database->path, sizeof path);
  kad_database_close(database);
  return kad_database_open(database, path, false, database->max_bytes);
}

int kad_database_apply(struct kad_database *database,
                       const struct kad_change_list *list,
                       const struct kad_database_info *info) {
  const struct call call = {.list = list, .info = info};
  int error = database->env == NULL ? reopen(database) : 0;
  error = error == 0 ? guard(database, run_apply, &call) : error;
  if (error == MDB_PANIC) {
    error = reopen(database);
    error = error == 0 ? guard(database, run_apply, &call) : error;
  }
  while (error == MDB_MAP_FULL || error == MDB_MAP_RESIZED) {
    error = error == MDB_MAP_FULL ? grow(database)
                                  : mdb_env_set_mapsize(database->env, 0);
    if (error == 0) {
      error = guard(database, run_apply, &call);
    } else if (error == MDB_MAP_FULL) {
      break;
    }
  }
  return error;
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

const char *kad_database_text(int error) {
  return mdb_strerror(error);
}
