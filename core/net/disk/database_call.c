/* For flock. */
#define _GNU_SOURCE

#include "net/disk/database_call.h"

#include "net/disk/bytes.h"

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

const uint8_t kad_database_info_secret[KAD_IMAGE_SECRET_SIZE] =
    "kadenza records";

uint64_t kad_database_checksum(const uint8_t *bytes, size_t len,
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

void kad_database_watch(struct kad_database *database, MDB_env *env) {
  (void)mdb_env_set_userctx(env, database);
  (void)mdb_env_set_assert(env, on_assertion);
}

int kad_database_guard(struct kad_database *database, kad_database_run_fn run,
                       const struct kad_database_call *call) {
  if (database->is_broken) {
    return KAD_DATABASE_CORRUPT;
  }
  if (setjmp(database->escape) != 0) { /* NOLINT(cert-err52-cpp) */
    return KAD_DATABASE_CORRUPT;
  }
  return run(database, call);
}

/* ------------------------------------------------------------- entries -- */

bool kad_database_read_value(const MDB_val *value, const uint8_t *secret,
                             struct kad_image *image) {
  if (value->mv_size < KAD_DATABASE_CHECKSUM_SIZE) {
    return false;
  }
  const struct kad_slice bytes = {
      .data = (const uint8_t *)value->mv_data + KAD_DATABASE_CHECKSUM_SIZE,
      .len = value->mv_size - KAD_DATABASE_CHECKSUM_SIZE,
  };
  return kad_bytes_get(value->mv_data, KAD_DATABASE_CHECKSUM_SIZE) ==
             kad_database_checksum(bytes.data, bytes.len, secret) &&
         kad_image_split(bytes, image);
}

/* --------------------------------------------------------------- files -- */

void kad_database_lock_path(const char *path,
                            char lock_path[KAD_DATABASE_PATH_MAX]) {
  (void)snprintf(lock_path, KAD_DATABASE_PATH_MAX, "%.4000s-lock", path);
}

int kad_database_lock_folder(const char *path, int operation) {
  char folder[KAD_DATABASE_PATH_MAX];
  (void)snprintf(folder, sizeof folder, "%s", path);
  char *const end = strrchr(folder, '/');
  (void)snprintf(end != NULL ? end + 1 : folder, 2, ".");
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && flock(fd, operation) != 0) {
    const int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

void kad_database_close_in_children(MDB_env *env) {
  mdb_filehandle_t fd;
  if (mdb_env_get_fd(env, &fd) == 0) {
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}
