/* The compaction of a database with many free pages: what becomes of the file,
 * of readers, and of the records when a call fails or the process is killed.
 * The functions below replace those of the C library in this program, for LMDB
 * too. Tests core/net/disk/database_compact.c, core/net/durable/durable_work.c.
 */

/* For syscall and renameat2. */
#define _GNU_SOURCE

#include "durable_fixture.h"
#include "net/disk/database_call.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  KEPT = 50,
  REMOVED = 2000, /* before a compaction */
  STEPS_MAX = 200 /* calls of a compaction: less */
};

/* What happens at one of the calls. */
enum fate {
  FATE_NONE,
  FATE_FAIL, /* it fails with ENOSPC */
  FATE_KILL  /* the process ends before it */
};

static struct {
  enum fate fate;
  int calls_left; /* before that call */
  unsigned struck;
} plan;

static bool fails(void) {
  if (plan.fate == FATE_NONE || plan.calls_left-- > 0) {
    return false;
  }
  if (plan.fate == FATE_KILL) {
    _exit(0);
  }
  plan.fate = FATE_NONE;
  plan.struck++;
  errno = ENOSPC;
  return true;
}

/* The headers of the system name parameters in their own way. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
  return fails() ? -1 : syscall(SYS_pwrite64, fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset) {
  return pwrite(fd, bytes, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset) {
  return fails() ? -1 : syscall(SYS_pwritev, fd, vectors, count, offset, 0);
}

ssize_t writev(int fd, const struct iovec *vectors, int count) {
  return fails() ? -1 : syscall(SYS_writev, fd, vectors, count);
}

int fdatasync(int fd) {
  return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to) {
  return fails() ? -1
                 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct kad_durable_fixture fixture;

static int begin(void **state) {
  (void)state;
  memset(&plan, 0, sizeof plan);
  kad_durable_fixture_open(&fixture);
  return 0;
}

static int end(void **state) {
  (void)state;
  plan.fate = FATE_NONE;
  kad_durable_fixture_close(&fixture);
  return 0;
}

static void reopen(void) {
  struct kad_problem problem = {""};
  if (kad_durable_fixture_reopen(&fixture, &problem) != 0) {
    fail_msg("%s", problem.text);
  }
}

static struct kad_durable_counters stats(void) {
  struct kad_durable_counters now;
  kad_durable_stats(fixture.durable, &now);
  return now;
}

/* Returns the size of a file of the folder, or -1 if it does not exist. */
static long size_of(const char *name) {
  char path[128];
  struct stat status;
  kad_durable_fixture_path(&fixture, name, path);
  return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static void add_many(uint32_t key, uint32_t count) {
  kad_memory_add_many(&fixture.memory, kad_memory_host(1), key, count);
  assert_ok(kad_durable_fixture_commit(&fixture));
}

static void remove_many(uint32_t key, uint32_t count) {
  for (uint32_t i = key; i < key + count; i++) {
    kad_record_handle handle;
    assert_int_equal(
        kad_memory_find(&fixture.memory, i, "value", 0, &handle, 1), 1);
    kad_store_remove(fixture.memory.store, handle);
  }
  assert_ok(kad_durable_fixture_commit(&fixture));
}

static void assert_has(uint32_t key, uint32_t count) {
  for (uint32_t i = key; i < key + count; i++) {
    if (kad_memory_find(&fixture.memory, i, "value", 0, NULL, 0) == 0) {
      fail_msg("record %u is lost", (unsigned)i);
    }
  }
}

/* Moves the journal to the database, which is compacted if it is sparse. */
static void move_journal(void) {
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_SEGMENT_MS);
  kad_durable_tick(fixture.durable);
}

/* Makes a database most of whose records have gone; the journal has the
 * removals. */
static void thin_out(void) {
  add_many(0, KEPT + REMOVED);
  move_journal();
  remove_many(KEPT, REMOVED);
}

/* Takes that database for sparse in the end, and changes it in many
 * transactions. */
static void expect_sparse(void) {
  fixture.durable->files.database.sparse_bytes = 1;
  fixture.durable->files.database.transaction_pages = 16;
}

static void sparse_file_becomes_small(void **state) {
  (void)state;
  thin_out();
  const long before = size_of(KAD_DURABLE_DATABASE);
  expect_sparse();

  move_journal();

  assert_int_equal(stats().disk_compactions, 1);
  assert_true(size_of(KAD_DURABLE_DATABASE) < before / 4);
  assert_int_equal(stats().disk_file_bytes, size_of(KAD_DURABLE_DATABASE));
  assert_int_equal(size_of(KAD_DURABLE_DATABASE ".new"), -1);
  assert_int_equal(size_of(KAD_DURABLE_DATABASE "-lock.old"), -1);
  add_many(10000, KEPT); /* it goes on */
  move_journal();
  kad_durable_fixture_shut(&fixture);
  reopen();
  assert_has(0, KEPT);
  assert_has(10000, KEPT);
  assert_int_equal(kad_store_count(fixture.memory.store), 2 * KEPT);
}

static void small_file_stays_though_it_is_sparse(void **state) {
  (void)state;
  thin_out();

  move_journal();

  assert_true(kad_database_free_bytes(&fixture.durable->files.database) >
              kad_database_bytes(&fixture.durable->files.database) / 2);
  assert_int_equal(stats().disk_compactions, 0);
}

static void full_file_stays(void **state) {
  (void)state;
  add_many(0, KEPT + REMOVED);
  expect_sparse();

  move_journal();

  assert_int_equal(stats().disk_compactions, 0);
}

static int count_image(void *data, const uint8_t *name,
                       const struct kad_image *image) {
  unsigned *const count = data;
  (void)name;
  *count += image != NULL;
  return 0;
}

/* Returns the records that a reader finds. */
static unsigned count_read(struct kad_durable_files *files) {
  unsigned count = 0;
  assert_ok(kad_durable_files_walk(files, count_image, &count));
  return count;
}

static void open_reader(struct kad_durable_files *files) {
  struct kad_problem problem = {""};
  if (kad_durable_files_open(files, fixture.folder, true, (uint64_t)1 << 30,
                             &problem) != 0) {
    fail_msg("%s", problem.text);
  }
}

static void reader_goes_on_with_the_old_file(void **state) {
  static struct kad_durable_files old_files;
  static struct kad_durable_files new_files;
  (void)state;
  thin_out();
  expect_sparse();
  open_reader(&old_files);

  move_journal();
  add_many(10000, REMOVED);
  move_journal();

  assert_int_equal(stats().disk_compactions, 1);
  assert_int_equal(count_read(&old_files), KEPT);
  open_reader(&new_files);
  assert_int_equal(count_read(&new_files), KEPT + REMOVED);
  kad_durable_files_close(&new_files);
  kad_durable_files_close(&old_files);
}

static bool always(void *data) {
  (void)data;
  return true;
}

static bool never(void *data) {
  (void)data;
  return false;
}

static void compaction_ends_when_it_is_told_to(void **state) {
  struct kad_database *const database = &fixture.durable->files.database;
  (void)state;
  thin_out();
  move_journal();
  const long before = size_of(KAD_DURABLE_DATABASE);

  assert_int_equal(kad_database_compact(database, always, NULL), ECANCELED);

  assert_int_equal(size_of(KAD_DURABLE_DATABASE), before);
  assert_int_equal(size_of(KAD_DURABLE_DATABASE ".new"), -1);
}

static void file_is_not_replaced_while_a_reader_opens_it(void **state) {
  struct kad_database *const database = &fixture.durable->files.database;
  (void)state;
  const int folder = kad_database_lock_folder(database->path, LOCK_SH);
  assert_true(folder >= 0);

  assert_int_equal(kad_database_compact(database, never, NULL), EBUSY);

  assert_ok(close(folder));
  assert_ok(kad_database_compact(database, never, NULL));
}

/* Starts a process that has the files open to read until `end` is closed. */
static pid_t start_reader(int *end) {
  static struct kad_durable_files files;
  int ready[2];
  int ends[2];
  char byte = 0;
  assert_ok(pipe(ready));
  assert_ok(pipe(ends));
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)close(ends[1]);
    open_reader(&files);
    (void)!write(ready[1], &byte, 1);
    (void)!read(ends[0], &byte, 1);
    _exit(0);
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  (void)close(ready[0]);
  (void)close(ready[1]);
  (void)close(ends[0]);
  *end = ends[1];
  return child;
}

static ino_t lock_inode(void) {
  char path[128];
  struct stat status;
  kad_durable_fixture_path(&fixture, KAD_DURABLE_DATABASE "-lock", path);
  assert_ok(stat(path, &status));
  return status.st_ino;
}

/* A program that reads the folder without its lock may make a lock file for the
 * old file while the new one gets its name. */
static void lock_file_of_the_old_file_is_not_used(void **state) {
  char lock[128];
  char saved[128];
  int reader_end = -1;
  (void)state;
  kad_durable_fixture_path(&fixture, KAD_DURABLE_DATABASE "-lock", lock);
  kad_durable_fixture_path(&fixture, "saved", saved);
  thin_out();
  move_journal();
  kad_durable_fixture_shut(&fixture);
  const pid_t reader = start_reader(&reader_end);
  assert_ok(link(lock, saved));
  const ino_t old = lock_inode();
  reopen();
  assert_int_equal(lock_inode(), old); /* it fits the file */
  assert_ok(
      kad_database_compact(&fixture.durable->files.database, never, NULL));
  kad_durable_fixture_shut(&fixture);
  assert_ok(rename(saved, lock));

  reopen();

  assert_true(lock_inode() != old);
  add_many(10000, KEPT);
  kad_durable_fixture_shut(&fixture);
  reopen();
  assert_has(0, KEPT);
  assert_has(10000, KEPT);
  (void)close(reader_end);
  assert_int_equal(waitpid(reader, NULL, 0), reader);
}

/* Lets the call `n` of a compaction fail. Returns whether one did. */
static bool fail_once(int n) {
  thin_out();
  expect_sparse();
  plan.struck = 0;
  plan.calls_left = n;
  plan.fate = FATE_FAIL;
  move_journal();
  plan.fate = FATE_NONE;
  const bool has_failed = plan.struck > 0;
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_RETRY_MAX_MS);
  kad_durable_tick(fixture.durable);
  add_many(10000, KEPT); /* it goes on */
  move_journal();
  kad_durable_fixture_crash(&fixture);
  assert_has(0, KEPT);
  assert_has(10000, KEPT);
  assert_int_equal(kad_store_count(fixture.memory.store), 2 * KEPT);
  assert_int_equal(stats().disk_corrupt, 0);
  assert_int_equal(stats().disk_aside, 0);
  return has_failed;
}

static void nothing_is_lost_when_a_call_fails(void **state) {
  int n = 0;
  (void)state;
  while (fail_once(n) && n < STEPS_MAX) {
    kad_durable_fixture_close(&fixture);
    kad_durable_fixture_open(&fixture);
    n++;
  }
  assert_in_range(n, 20, STEPS_MAX - 1);
}

static void failed_compaction_is_tried_again_later(void **state) {
  (void)state;
  thin_out();
  expect_sparse();
  const int folder =
      kad_database_lock_folder(fixture.durable->files.database.path, LOCK_SH);
  move_journal();
  assert_ok(close(folder));
  assert_int_equal(stats().disk_compactions, 0);
  assert_int_equal(stats().disk_failing, 0);

  add_many(10000, 1);
  move_journal();
  assert_int_equal(stats().disk_compactions, 0);
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_COMPACT_RETRY_MS);
  add_many(10001, 1);
  move_journal();

  assert_int_equal(stats().disk_compactions, 1);
}

/* In a process of its own, opens the store, moves removals to the database,
 * compacts it and ends at the call `n`. Returns whether it ended there. */
static bool kill_once(int n) {
  enum {
    COMPLETE = 3
  };
  int status = 0;
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    reopen();
    thin_out();
    expect_sparse();
    plan.calls_left = n;
    plan.fate = FATE_KILL;
    move_journal();
    _exit(COMPLETE);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status) != COMPLETE;
}

static void nothing_is_lost_when_the_process_is_killed(void **state) {
  bool was_killed = true;
  int n = 0;
  (void)state;
  for (; was_killed && n < STEPS_MAX; n++) {
    kad_durable_fixture_shut(&fixture);

    was_killed = kill_once(n);

    reopen();
    assert_has(0, KEPT);
    assert_int_equal(kad_store_count(fixture.memory.store), KEPT);
    assert_int_equal(size_of(KAD_DURABLE_DATABASE ".new"), -1);
    kad_durable_fixture_close(&fixture);
    kad_durable_fixture_open(&fixture);
  }
  assert_in_range(n, 20, STEPS_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sparse_file_becomes_small),
      TEST(small_file_stays_though_it_is_sparse),
      TEST(full_file_stays),
      TEST(reader_goes_on_with_the_old_file),
      TEST(compaction_ends_when_it_is_told_to),
      TEST(file_is_not_replaced_while_a_reader_opens_it),
      TEST(lock_file_of_the_old_file_is_not_used),
      TEST(nothing_is_lost_when_a_call_fails),
      TEST(failed_compaction_is_tried_again_later),
      TEST(nothing_is_lost_when_the_process_is_killed),
  };
  return cmocka_run_group_tests_name("durable_compact", tests, NULL, NULL);
}
