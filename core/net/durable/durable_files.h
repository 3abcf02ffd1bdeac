/* The files of a durable store, as they are found when it is opened or read.
 * Tested by tests/unit/net/durable/durable_open_test.c. */
#ifndef KAD_NET_DURABLE_DURABLE_FILES_H
#define KAD_NET_DURABLE_DURABLE_FILES_H

#include "kadenza_durable.h"
#include "net/disk/database.h"
#include "net/disk/segment.h"

enum {
  KAD_DURABLE_SEGMENTS = 2,
  KAD_DURABLE_PATH_MAX = 4200, /* bytes of the path of a file */
  KAD_DURABLE_ASIDE_MAX = 8    /* files of a name that are set aside and kept */
};

/* The names of the files. */
#define KAD_DURABLE_DATABASE "records.mdb"
#define KAD_DURABLE_SEGMENT  "records.journal." /* with its number, from 1 */

/* The files of a folder: what is read of them, and, until they are closed, the
 * files. */
struct kad_durable_files {
  char folder[KAD_DURABLE_PATH_MAX];
  bool is_read_only;
  uint64_t max_bytes; /* of the database */
  struct kad_segment segments[KAD_DURABLE_SEGMENTS];
  struct kad_segment_head heads[KAD_DURABLE_SEGMENTS]; /* generation 0: none */
  struct kad_changes bytes[KAD_DURABLE_SEGMENTS];      /* of the segments */
  struct kad_change_list list; /* what the segments have and the database not */
  struct kad_database database;
  struct kad_database_info info;
  MDB_txn *txn;   /* that reads the database; NULL: none */
  bool is_new;    /* the database has no info */
  uint64_t aside; /* files that were set aside */
};

/* Opens and reads the files of a folder, but for the records of the database.
 * With `is_read_only` nothing is made or changed: a corrupt file is an error.
 * Otherwise it is set aside, and another one made. Returns 0 or an error of
 * kad_durable_open; kad_durable_files_close in both cases. */
KAD_MUST_CHECK int kad_durable_files_open(struct kad_durable_files *files,
                                          const char *folder, bool is_read_only,
                                          uint64_t max_bytes,
                                          struct kad_problem *problem);

/* Visits each record of the files. Returns 0, or an error as
 * kad_database_walk. */
KAD_MUST_CHECK int kad_durable_files_walk(struct kad_durable_files *files,
                                          kad_database_visit_fn visit,
                                          void *data);

/* Frees what was read: images of a walk are not valid any more. */
void kad_durable_files_end_read(struct kad_durable_files *files);

/* Sets the database aside, because a walk has found it corrupt, and makes
 * another one, which is empty and has the same info. Ends the reading. Returns
 * 0 or an error of kad_durable_open. */
KAD_MUST_CHECK int kad_durable_files_replace_database(
    struct kad_durable_files *files, struct kad_problem *problem);

/* Copies the database to the name under which it would be set aside. Returns
 * false if that fails. */
bool kad_durable_files_rescue_database(struct kad_durable_files *files);

/* Closes the files, and frees what was read. */
void kad_durable_files_close(struct kad_durable_files *files);

/* Describes an errno, or, negative, an error of LMDB, of the file `name`.
 * Returns the KAD_E… code for it. */
int kad_durable_files_problem(const struct kad_durable_files *files,
                              struct kad_problem *problem, const char *name,
                              int error);

#endif
