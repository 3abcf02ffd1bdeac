/* The LMDB file of a durable store: an image of each record under its name, and
 * one entry that describes the file. Each image has a checksum: what is corrupt
 * is counted and skipped.
 *
 * LMDB takes the file for valid where its own head is. It may meet a damaged
 * page later: then its assertions fail, which ends the call with
 * KAD_DATABASE_CORRUPT, and the database is not used again.
 *
 * Errors are values of errno, or, negative, of LMDB; kad_database_text has
 * their text. A database belongs to one thread at a time.
 *
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#ifndef KAD_NET_DISK_DATABASE_H
#define KAD_NET_DISK_DATABASE_H

#include "net/disk/change_list.h"

#include <lmdb.h>

#include <setjmp.h>

enum {
  KAD_DATABASE_VERSION = 1,
  KAD_DATABASE_TRANSACTION_PAGES = 4096,
  KAD_DATABASE_SPARSE_BYTES = 64 << 20, /* that are free: to be compacted */
  KAD_DATABASE_PATH_MAX = 4200,         /* bytes */
  KAD_DATABASE_CORRUPT = MDB_CORRUPTED,
  KAD_DATABASE_FOREIGN = MDB_INVALID,            /* the file is none of LMDB */
  KAD_DATABASE_OTHER_LMDB = MDB_VERSION_MISMATCH /* another format of LMDB */
};

/* What the file says about itself. */
struct kad_database_info {
  uint32_t version;      /* of our format; 0: the file is new */
  uint32_t id_size;      /* bytes of the keys */
  uint32_t lmdb_version; /* of the library that wrote it last */
  uint8_t secret[KAD_IMAGE_SECRET_SIZE];
  uint64_t generation; /* of the last segment whose changes it has */
  struct kad_clock_mark clock;
};

struct kad_database {
  MDB_env *env; /* NULL: closed */
  char path[KAD_DATABASE_PATH_MAX];
  MDB_dbi dbi;
  uint64_t max_bytes;
  uint64_t sparse_bytes;      /* least free ones of a file that is sparse */
  uint64_t transaction_pages; /* that a transaction may change, about */
  bool is_read_only;
  bool is_broken; /* an assertion has failed */
  jmp_buf escape; /* of the call that runs */
};

/* What a walk calls for each record. The image is valid until the reading and
 * the changes of the list end, the name until the call returns. `image` is NULL
 * for a record that is corrupt. A number but 0 ends the walk, which returns it.
 */
typedef int (*kad_database_visit_fn)(void *data, const uint8_t *name,
                                     const struct kad_image *image);

/* Opens a file, or makes it unless `is_read_only`. It grows up to `max_bytes`;
 * one that is larger does not shrink. */
KAD_MUST_CHECK int kad_database_open(struct kad_database *database,
                                     const char *path, bool is_read_only,
                                     uint64_t max_bytes);

/* Closes it. Has no effect on one that is closed. */
void kad_database_close(struct kad_database *database);

/* Closes the database, if it is open, and opens it again, to write. */
KAD_MUST_CHECK int kad_database_reopen(struct kad_database *database);

/* Begins to read: what follows sees one state of the file. A writer need not
 * wait. End with kad_database_end_read. */
KAD_MUST_CHECK int kad_database_begin_read(struct kad_database *database,
                                           MDB_txn **txn);
void kad_database_end_read(MDB_txn *txn);

/* Reads what the file says about itself. */
KAD_MUST_CHECK int kad_database_read_info(struct kad_database *database,
                                          MDB_txn *txn,
                                          struct kad_database_info *info);

/* Visits each record of the file as the changes of `list` leave it, by name.
 * `secret` is that of the file. */
KAD_MUST_CHECK int kad_database_walk(struct kad_database *database,
                                     MDB_txn *txn,
                                     const struct kad_change_list *list,
                                     const uint8_t *secret,
                                     kad_database_visit_fn visit, void *data);

/* Applies the changes of `list` and `info`: they are on the disk when this
 * returns 0. After an error, or a crash, the file may have some of the changes,
 * but not `info`: to apply all of them again has the same result. */
KAD_MUST_CHECK int kad_database_apply(struct kad_database *database,
                                      const struct kad_change_list *list,
                                      const struct kad_database_info *info);

/* Returns the bytes of the file, and those of it that are free: LMDB uses them
 * again before the file grows, but does not give them back. */
uint64_t kad_database_bytes(const struct kad_database *database);
uint64_t kad_database_free_bytes(const struct kad_database *database);

/* Returns true if more than half of the file is free, and enough of it that a
 * compaction is worth its work. */
bool kad_database_is_sparse(const struct kad_database *database);

/* Replaces the file by a copy without free bytes, which is on the disk before
 * it has the name. After an error the old file stays, and a database that could
 * not be opened again is by the next kad_database_apply. A reader that has the
 * old file open goes on with it. `must_stop` is asked now and then, from the
 * thread that calls this, and ends it with ECANCELED. EBUSY: a reader is about
 * to open the file. */
KAD_MUST_CHECK int kad_database_compact(struct kad_database *database,
                                        bool (*must_stop)(void *data),
                                        void *data);

/* Returns the text of an error. Always valid. */
const char *kad_database_text(int error);

#endif
