/* For flock and openat. */
#define _GNU_SOURCE

#include "net/durable/durable_files.h"

#include "base/allocator.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
  MODE = 0600
};

/* ------------------------------------------------------------- problems -- */

__attribute__((format(printf, 4, 5))) static int say(
    const struct kad_durable_files *files, struct kad_problem *problem,
    int code, const char *format, ...) {
  if (problem != NULL) {
    va_list arguments;
    const int len =
        snprintf(problem->text, sizeof problem->text, "%.300s/", files->folder);
    va_start(arguments, format);
    (void)vsnprintf(problem->text + len, sizeof problem->text - (size_t)len,
                    format, arguments);
    va_end(arguments);
  }
  return code;
}

static int code_of(int error) {
  switch (error) {
  case ENOMEM:
    return KAD_ENOMEM;
  case EACCES:
  case EPERM:
  case EROFS:
    return KAD_EACCESS;
  case ENOENT:
    return KAD_ENOTFOUND;
  case EINVAL:
  case KAD_DATABASE_CORRUPT:
  case KAD_DATABASE_FOREIGN:
  case KAD_DATABASE_OTHER_LMDB:
  case MDB_PAGE_NOTFOUND:
    return KAD_EMALFORMED;
  default:
    return KAD_ESYSTEM;
  }
}

/* Returns the version of LMDB that wrote the journal, or "another version". */
static const char *writer_of(const struct kad_durable_files *files, char *text,
                             size_t size) {
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    const uint32_t version = files->heads[i].lmdb_version;
    if (files->heads[i].generation != 0) {
      (void)snprintf(text, size, "LMDB %u.%u.%u", (unsigned)(version >> 24),
                     (unsigned)(version >> 16 & 0xff),
                     (unsigned)(version & 0xffff));
      return text;
    }
  }
  return "another version of LMDB";
}

int kad_durable_files_problem(const struct kad_durable_files *files,
                              struct kad_problem *problem, const char *name,
                              int error) {
  char writer[64];
  const int code = code_of(error);
  if (error == KAD_DATABASE_OTHER_LMDB) {
    return say(files, problem, code,
               "%s: it has the format of %s, and this program has LMDB "
               "%d.%d.%d: dump the records with the program that wrote them, "
               "move the file away, and load them here",
               name, writer_of(files, writer, sizeof writer), MDB_VERSION_MAJOR,
               MDB_VERSION_MINOR, MDB_VERSION_PATCH);
  }
  if (error == EINVAL) {
    return say(files, problem, code, "%s: not a regular file", name);
  }
  return say(files, problem, code, "%s: %s", name, kad_database_text(error));
}

/* ---------------------------------------------------------------- names -- */

static void write_path(const struct kad_durable_files *files, const char *name,
                       char path[KAD_DURABLE_PATH_MAX]) {
  (void)snprintf(path, KAD_DURABLE_PATH_MAX, "%.4000s/%.100s", files->folder,
                 name);
}

static void segment_name(size_t i, char name[32]) {
  (void)snprintf(name, 32, KAD_DURABLE_SEGMENT "%zu", i + 1);
}

/* Writes the name that the file `name` has when it is set aside: the newest one
 * has no number. */
static void aside_name(const char *name, unsigned number, char out[64]) {
  if (number == 1) {
    (void)snprintf(out, 64, "%.40s.corrupt", name);
  } else {
    (void)snprintf(out, 64, "%.40s.corrupt.%u", name, number);
  }
}

/* Renames a file of the folder. Returns 0 or an errno. */
static int rename_file(const struct kad_durable_files *files, const char *from,
                       const char *to) {
  char old_path[KAD_DURABLE_PATH_MAX];
  char new_path[KAD_DURABLE_PATH_MAX];
  write_path(files, from, old_path);
  write_path(files, to, new_path);
  return rename(old_path, new_path) == 0 ? 0 : errno;
}

/* Renames what was set aside before, so that the first name is free; the oldest
 * is lost. */
static void make_room_aside(const struct kad_durable_files *files,
                            const char *name) {
  char from[64];
  char to[64];
  for (unsigned number = KAD_DURABLE_ASIDE_MAX - 1; number >= 1; number--) {
    aside_name(name, number, from);
    aside_name(name, number + 1, to);
    (void)rename_file(files, from, to);
  }
}

/* Sets a file aside. Returns 0 or an errno. */
static int set_aside(struct kad_durable_files *files, const char *name) {
  char aside[64];
  make_room_aside(files, name);
  aside_name(name, 1, aside);
  const int error = rename_file(files, name, aside);
  files->aside += error == 0;
  return error;
}

/* -------------------------------------------------------------- segments -- */

static int open_segment(struct kad_durable_files *files, size_t i,
                        struct kad_problem *problem) {
  char name[32];
  char path[KAD_DURABLE_PATH_MAX];
  segment_name(i, name);
  write_path(files, name, path);
  struct kad_segment *segment = &files->segments[i];
  const int flags = files->is_read_only ? O_RDONLY : O_RDWR | O_CREAT;
  int error = kad_segment_open(segment, path, flags);
  if (error == ENOENT && files->is_read_only) {
    return 0;
  }
  if (error == 0 && i == 0 && !files->is_read_only &&
      flock(segment->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return say(files, problem, KAD_EBUSY, "%s: another store uses it", name);
  }
  if (error == 0) {
    error = kad_segment_read(segment, &files->bytes[i]);
  }
  return error == 0 ? 0
                    : kad_durable_files_problem(files, problem, name, error);
}

static struct kad_slice bytes_of(const struct kad_durable_files *files,
                                 size_t i) {
  return (struct kad_slice){.data = files->bytes[i].bytes,
                            .len = files->bytes[i].len};
}

/* Sets a segment aside and makes another, empty one. */
static int replace_segment(struct kad_durable_files *files, size_t i,
                           struct kad_problem *problem) {
  char name[32];
  segment_name(i, name);
  if (files->is_read_only) {
    return say(files, problem, KAD_EMALFORMED, "%s: it is corrupt", name);
  }
  const int error = set_aside(files, name);
  if (error != 0) {
    return kad_durable_files_problem(files, problem, name, error);
  }
  kad_segment_close(&files->segments[i]);
  kad_changes_deinit(&files->bytes[i]);
  files->heads[i] = (struct kad_segment_head){0};
  return open_segment(files, i, problem);
}

/* Reads the head of a segment. One that has no more than a part of a head was
 * begun when the machine failed. */
static int read_head(struct kad_durable_files *files, size_t i,
                     struct kad_problem *problem) {
  char name[32];
  struct kad_segment_head *head = &files->heads[i];
  const struct kad_slice bytes = bytes_of(files, i);
  segment_name(i, name);
  if (kad_segment_read_head(bytes, head)) {
    return head->version <= KAD_SEGMENT_VERSION
               ? 0
               : say(files, problem, KAD_EMALFORMED,
                     "%s: it is of the newer version %" PRIu32
                     ": run a newer kadenza, or use another folder",
                     name, head->version);
  }
  *head = (struct kad_segment_head){0};
  return bytes.len <= KAD_SEGMENT_HEAD ? 0 : replace_segment(files, i, problem);
}

static bool is_zero(struct kad_slice bytes) {
  size_t i = 0;
  while (i < bytes.len && bytes.data[i] == 0) {
    i++;
  }
  return i == bytes.len;
}

/* Writes a copy of a segment aside, of which an end does not count: a write
 * that a power failure has cut, or damage. */
static void rescue_segment(struct kad_durable_files *files, size_t i) {
  char name[32];
  char aside[64];
  char path[KAD_DURABLE_PATH_MAX];
  segment_name(i, name);
  make_room_aside(files, name);
  aside_name(name, 1, aside);
  write_path(files, aside, path);
  const int fd =
      open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
  if (fd >= 0) {
    const struct kad_slice bytes = bytes_of(files, i);
    files->aside += write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len;
    (void)close(fd);
  }
}

/* Lists the changes of a segment that the database lacks. */
static int list_segment(struct kad_durable_files *files, size_t i,
                        struct kad_problem *problem) {
  struct kad_segment *segment = &files->segments[i];
  const struct kad_segment_head *head = &files->heads[i];
  const struct kad_slice bytes = bytes_of(files, i);
  uint64_t end = 0;
  uint64_t frames = 0;
  if (head->generation <= files->info.generation) {
    return 0;
  }
  if (kad_segment_list(bytes, head, &files->list, &end, &frames) != 0) {
    return say(files, problem, KAD_ENOMEM, "%s", "out of memory");
  }
  segment->generation = head->generation;
  segment->end = end;
  segment->frames = frames;
  const struct kad_slice rest = {bytes.data + end, bytes.len - (size_t)end};
  if (!files->is_read_only && !is_zero(rest)) {
    rescue_segment(files, i);
  }
  return 0;
}

/* Returns true if a segment belongs to another store than the database. */
static bool is_foreign(const struct kad_durable_files *files, size_t i) {
  const struct kad_segment_head *head = &files->heads[i];
  return head->generation != 0 && files->info.version != 0 &&
         (memcmp(head->secret, files->info.secret, KAD_IMAGE_SECRET_SIZE) !=
              0 ||
          head->id_size != files->info.id_size);
}

/* Lists both segments, the older first. */
static int list_segments(struct kad_durable_files *files,
                         struct kad_problem *problem) {
  int error = 0;
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS && error == 0; i++) {
    error = is_foreign(files, i) ? replace_segment(files, i, problem) : 0;
  }
  const size_t first =
      files->heads[0].generation < files->heads[1].generation ? 0 : 1;
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS && error == 0; i++) {
    error = list_segment(files, i == 0 ? first : 1 - first, problem);
  }
  kad_change_list_sort(&files->list);
  return error;
}

/* -------------------------------------------------------------- database -- */

static int begin_database(struct kad_durable_files *files) {
  char path[KAD_DURABLE_PATH_MAX];
  write_path(files, KAD_DURABLE_DATABASE, path);
  int error = kad_database_open(&files->database, path, files->is_read_only,
                                files->max_bytes);
  if (error == 0) {
    error = kad_database_begin_read(&files->database, &files->txn);
  }
  if (error == 0) {
    error = kad_database_read_info(&files->database, files->txn, &files->info);
  }
  return error;
}

static void end_database(struct kad_durable_files *files) {
  if (files->txn != NULL) {
    kad_database_end_read(files->txn);
    files->txn = NULL;
  }
  kad_database_close(&files->database);
}

static bool is_corrupt(int error) {
  return error == KAD_DATABASE_CORRUPT || error == KAD_DATABASE_FOREIGN ||
         error == MDB_PAGE_NOTFOUND;
}

/* Opens the database; one that is corrupt, or no database, is set aside. */
static int open_database(struct kad_durable_files *files,
                         struct kad_problem *problem) {
  int error = begin_database(files);
  if (is_corrupt(error) && !files->is_read_only) {
    end_database(files);
    error = set_aside(files, KAD_DURABLE_DATABASE);
    error = error == 0 ? begin_database(files) : error;
  }
  if (error != 0) {
    return kad_durable_files_problem(files, problem, KAD_DURABLE_DATABASE,
                                     error);
  }
  return files->info.version <= KAD_DATABASE_VERSION
             ? 0
             : say(files, problem, KAD_EMALFORMED,
                   KAD_DURABLE_DATABASE ": it is of the newer version %" PRIu32
                                        ": run a newer kadenza, or use "
                                        "another folder",
                   files->info.version);
}

/* A database that is new has the secret of the journal, if there is one: it was
 * set aside, or removed. */
static void adopt_journal(struct kad_durable_files *files) {
  files->is_new = files->info.version == 0;
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    const struct kad_segment_head *head = &files->heads[i];
    if (files->info.version == 0 && head->generation != 0) {
      files->info.version = KAD_DATABASE_VERSION;
      files->info.id_size = head->id_size;
      memcpy(files->info.secret, head->secret, KAD_IMAGE_SECRET_SIZE);
    }
  }
}

int kad_durable_files_replace_database(struct kad_durable_files *files,
                                       struct kad_problem *problem) {
  const struct kad_database_info info = files->info;
  kad_durable_files_end_read(files);
  end_database(files);
  int error = set_aside(files, KAD_DURABLE_DATABASE);
  error = error == 0 ? begin_database(files) : error;
  if (files->txn != NULL) {
    kad_database_end_read(files->txn);
    files->txn = NULL;
  }
  files->info = info;
  files->info.generation = 0;
  return error == 0 ? 0
                    : kad_durable_files_problem(files, problem,
                                                KAD_DURABLE_DATABASE, error);
}

bool kad_durable_files_rescue_database(struct kad_durable_files *files) {
  char aside[64];
  char path[KAD_DURABLE_PATH_MAX];
  make_room_aside(files, KAD_DURABLE_DATABASE);
  aside_name(KAD_DURABLE_DATABASE, 1, aside);
  write_path(files, aside, path);
  const bool is_copied = mdb_env_copy(files->database.env, path) == 0;
  files->aside += is_copied;
  if (!is_copied) {
    (void)unlink(path);
  }
  return is_copied;
}

/* ----------------------------------------------------------------- whole -- */

/* A new file is in its folder only once that is flushed, too. */
static void flush_folder(const struct kad_durable_files *files) {
  const int fd =
      open(files->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) {
    (void)fsync(fd);
    (void)close(fd);
  }
}

static void init_files(struct kad_durable_files *files, bool is_read_only,
                       uint64_t max_bytes) {
  memset(files, 0, sizeof *files);
  files->is_read_only = is_read_only;
  files->max_bytes = max_bytes;
  files->list.allocator = kad_allocator_default();
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    files->segments[i].fd = -1;
    files->bytes[i].allocator = kad_allocator_default();
  }
}

/* Removes what a compaction has left that did not end. */
static void remove_leftovers(const struct kad_durable_files *files) {
  static const char *const names[] = {KAD_DURABLE_DATABASE ".new",
                                      KAD_DURABLE_DATABASE "-lock.old"};
  char path[KAD_DURABLE_PATH_MAX];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    write_path(files, names[i], path);
    (void)unlink(path);
  }
}

/* A reader reads the journal first: what it has of it, the database may have
 * already by then, but the database cannot lack what the reader has not read.
 */
int kad_durable_files_open(struct kad_durable_files *files, const char *folder,
                           bool is_read_only, uint64_t max_bytes,
                           struct kad_problem *problem) {
  int error = 0;
  init_files(files, is_read_only, max_bytes);
  if (strlen(folder) >= KAD_DURABLE_PATH_MAX - 200) {
    return KAD_EINVAL;
  }
  memcpy(files->folder, folder, strlen(folder) + 1);
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS && error == 0; i++) {
    error = open_segment(files, i, problem);
    error = error == 0 ? read_head(files, i, problem) : error;
  }
  if (error == 0 && !is_read_only) {
    remove_leftovers(files);
  }
  error = error == 0 ? open_database(files, problem) : error;
  if (error != 0) {
    return error;
  }
  adopt_journal(files);
  error = list_segments(files, problem);
  if (error == 0 && !is_read_only) {
    flush_folder(files);
  }
  return error;
}

int kad_durable_files_walk(struct kad_durable_files *files,
                           kad_database_visit_fn visit, void *data) {
  return kad_database_walk(&files->database, files->txn, &files->list,
                           files->info.secret, visit, data);
}

void kad_durable_files_end_read(struct kad_durable_files *files) {
  if (files->txn != NULL) {
    kad_database_end_read(files->txn);
    files->txn = NULL;
  }
  kad_change_list_deinit(&files->list);
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    kad_changes_deinit(&files->bytes[i]);
  }
}

void kad_durable_files_close(struct kad_durable_files *files) {
  kad_durable_files_end_read(files);
  end_database(files);
  for (size_t i = 0; i < KAD_DURABLE_SEGMENTS; i++) {
    kad_segment_close(&files->segments[i]);
  }
}
