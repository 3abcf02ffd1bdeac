/* Changes the database in transactions of a bounded size: LMDB copies each page
 * that a transaction changes, and the copies would be as large as the file when
 * the changes are in all of its pages.
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#include "net/disk/bytes.h"
#include "net/disk/database.h"
#include "net/disk/database_call.h"

#include <string.h>

enum {
  HALF_PAGE = 2048 /* bytes of records of a page, at least */
};

static int write_info(const struct kad_database *database, MDB_txn *txn,
                      const struct kad_database_info *info) {
  uint8_t bytes[KAD_DATABASE_CHECKSUM_SIZE + KAD_DATABASE_INFO_SIZE] = {0};
  uint8_t *const out = bytes + KAD_DATABASE_CHECKSUM_SIZE;
  char name[] = KAD_DATABASE_INFO_KEY;
  MDB_val key = {.mv_size = sizeof name - 1, .mv_data = name};
  MDB_val value = {.mv_size = sizeof bytes, .mv_data = bytes};
  kad_bytes_put(out, info->version, 4);
  kad_bytes_put(out + 4, info->id_size, 4);
  kad_bytes_put(out + 8, info->lmdb_version, 4);
  kad_bytes_put(out + 12, info->generation, 8);
  memcpy(out + 20, info->secret, KAD_IMAGE_SECRET_SIZE);
  kad_bytes_put(out + 40, info->clock.at, 8);
  kad_reading_write(out + 48, &info->clock.reading);
  kad_bytes_put(bytes,
                kad_database_checksum(out, KAD_DATABASE_INFO_SIZE,
                                      kad_database_info_secret),
                KAD_DATABASE_CHECKSUM_SIZE);
  return mdb_put(txn, database->dbi, &key, &value, 0);
}

static int write_image(MDB_cursor *cursor, MDB_val *key,
                       const struct kad_image *image, const uint8_t *secret) {
  uint8_t bytes[KAD_DATABASE_CHECKSUM_SIZE + KAD_IMAGE_MAX];
  const size_t len = image->meta.len + image->record.len;
  if (len > KAD_IMAGE_MAX) {
    return 0; /* no record that a store may hold */
  }
  MDB_val value = {.mv_size = KAD_DATABASE_CHECKSUM_SIZE + len,
                   .mv_data = bytes};
  kad_image_copy(bytes + KAD_DATABASE_CHECKSUM_SIZE, image);
  kad_bytes_put(
      bytes,
      kad_database_checksum(bytes + KAD_DATABASE_CHECKSUM_SIZE, len, secret),
      KAD_DATABASE_CHECKSUM_SIZE);
  return mdb_cursor_put(cursor, key, &value, 0);
}

static int remove_image(MDB_cursor *cursor, MDB_val *key) {
  const int error = mdb_cursor_get(cursor, key, NULL, MDB_SET);
  if (error != 0) {
    return error == MDB_NOTFOUND ? 0 : error;
  }
  return mdb_cursor_del(cursor, 0);
}

/* Applies the changes of one name, from the item `*item` on. The cursor finds a
 * name faster where it is in the page of the one before. */
static int apply_name(const struct kad_database_call *call, MDB_cursor *cursor,
                      size_t *item) {
  uint8_t name[KAD_IMAGE_NAME_SIZE];
  const struct kad_listed_change *const first = &call->list->items[*item];
  MDB_val key = {.mv_size = sizeof name, .mv_data = name};
  MDB_val value;
  struct kad_image image;
  bool is_there = false;
  memcpy(name, first->change.name, sizeof name);
  if (first->change.kind == KAD_CHANGE_META) {
    const int error = mdb_cursor_get(cursor, &key, &value, MDB_SET);
    if (error != 0 && error != MDB_NOTFOUND) {
      return error;
    }
    is_there = error == 0 &&
               kad_database_read_value(&value, call->info->secret, &image);
  }
  *item = kad_change_list_apply(call->list, *item, &image, &is_there);
  return is_there ? write_image(cursor, &key, &image, call->info->secret)
                  : remove_image(cursor, &key);
}

/* ---------------------------------------------------------- transactions -- */

/* How many pages a transaction has changed, about: those in which the names
 * are, which are hashes, and those for what is new. */
struct extent {
  uint64_t leaves; /* of the file, when the transaction began */
  uint64_t first;  /* of the names, its first four bytes */
  uint64_t names;
  uint64_t bytes; /* of the records */
};

static uint64_t place_of(const struct kad_change_list *list, size_t item) {
  const uint8_t *const name = list->items[item].change.name;
  return (uint64_t)name[0] << 24 | (uint64_t)name[1] << 16 |
         (uint64_t)name[2] << 8 | name[3];
}

/* Returns how many pages are changed with those of the item. */
static uint64_t pages_of(const struct extent *extent,
                         const struct kad_change_list *list, size_t item) {
  const uint64_t gap = place_of(list, item) - extent->first;
  const uint64_t leaves = (gap * extent->leaves >> 32) + 1;
  const uint64_t touched = leaves < extent->names ? leaves : extent->names;
  return touched + extent->bytes / HALF_PAGE;
}

/* Applies changes until the transaction is full. */
static int apply_names(struct kad_database *database,
                       const struct kad_database_call *call, MDB_txn *txn,
                       size_t *item) {
  const struct kad_change_list *const list = call->list;
  MDB_stat stat;
  MDB_cursor *cursor = NULL;
  int error = mdb_stat(txn, database->dbi, &stat);
  if (error == 0) {
    error = mdb_cursor_open(txn, database->dbi, &cursor);
  }
  struct extent extent = {.leaves = error == 0 ? stat.ms_leaf_pages : 0};
  if (*item < list->count) {
    extent.first = place_of(list, *item);
  }
  while (error == 0 && *item < list->count &&
         pages_of(&extent, list, *item) <= database->transaction_pages) {
    const size_t before = *item;
    error = apply_name(call, cursor, item);
    extent.names++;
    for (size_t i = before; i < *item; i++) {
      extent.bytes += list->items[i].change.body.len;
    }
  }
  if (cursor != NULL) {
    mdb_cursor_close(cursor);
  }
  return error;
}

/* Runs one transaction, from the item `*call->item` on. */
static int run_apply(struct kad_database *database,
                     const struct kad_database_call *call) {
  MDB_txn *txn = NULL;
  size_t item = *call->item;
  int error = mdb_txn_begin(database->env, NULL, 0, &txn);
  if (error != 0) {
    return error;
  }
  error = apply_names(database, call, txn, &item);
  if (error == 0 && item == call->list->count) {
    error = write_info(database, txn, call->info);
  }
  if (error != 0) {
    mdb_txn_abort(txn);
    return error;
  }
  error = mdb_txn_commit(txn);
  if (error == 0) {
    *call->item = item;
    *call->is_done = item == call->list->count;
  }
  return error;
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

/* Makes ready for another attempt after an error. Returns 0, or an error after
 * which there is none. */
static int mend(struct kad_database *database, int error) {
  switch (error) {
  case MDB_MAP_FULL:
    return grow(database);
  case MDB_MAP_RESIZED:
    return mdb_env_set_mapsize(database->env, 0);
  default:
    return error;
  }
}

/* The changes of a name have the same result if they are applied again, so that
 * an end between two transactions does no harm: `info`, which says that the
 * database has the changes, is in the last one. */
int kad_database_apply(struct kad_database *database,
                       const struct kad_change_list *list,
                       const struct kad_database_info *info) {
  size_t item = 0;
  bool is_done = false;
  bool was_reopened = false;
  const struct kad_database_call call = {
      .list = list, .info = info, .item = &item, .is_done = &is_done};
  int error = database->env == NULL ? kad_database_reopen(database) : 0;
  while (error == 0 && !is_done) {
    error = kad_database_guard(database, run_apply, &call);
    if (error == MDB_PANIC && !was_reopened) {
      /* A write of its head has failed: LMDB refuses everything until the file
       * is opened again. */
      was_reopened = true;
      error = kad_database_reopen(database);
    } else if (error != 0) {
      error = mend(database, error);
    }
  }
  return error;
}
