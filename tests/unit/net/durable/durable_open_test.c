/* Files that a durable store finds: sound, damaged, foreign, of others. Tests
 * core/net/durable/durable_files.c, core/net/durable/durable_open.c,
 * core/net/disk/segment.c, core/net/disk/database.c. */

/* For the functions of files. */
#define _GNU_SOURCE

#include "durable_fixture.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  RECORDS = 300
};

#define DATABASE KAD_DURABLE_DATABASE
#define SEGMENT  KAD_DURABLE_SEGMENT "1"

static struct kad_durable_fixture fixture;
static struct kad_problem problem;

static int begin(void **state) {
  (void)state;
  problem.text[0] = '\0';
  kad_durable_fixture_open(&fixture);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_durable_fixture_close(&fixture);
  return 0;
}

static struct kad_durable_counters stats(void) {
  struct kad_durable_counters now;
  kad_durable_stats(fixture.durable, &now);
  return now;
}

static size_t count(void) {
  return kad_store_count(fixture.memory.store);
}

static void add_many(uint32_t from) {
  kad_memory_add_many(&fixture.memory, kad_memory_host(from), from, RECORDS);
  assert_ok(kad_durable_fixture_commit(&fixture));
}

/* Closes the store with RECORDS records in its database. */
static void shut_with_records(void) {
  add_many(0);
  kad_durable_fixture_shut(&fixture);
}

static int reopen(void) {
  return kad_durable_fixture_reopen(&fixture, &problem);
}

static bool exists(const char *name) {
  char path[128];
  kad_durable_fixture_path(&fixture, name, path);
  return access(path, F_OK) == 0;
}

/* Returns the size of a file. */
static long size_of(const char *name) {
  char path[128];
  struct stat status;
  kad_durable_fixture_path(&fixture, name, path);
  assert_ok(stat(path, &status));
  return (long)status.st_size;
}

/* Overwrites `len` bytes at `offset` with `byte`. */
static void overwrite(const char *name, long offset, size_t len, int byte) {
  char path[128];
  kad_durable_fixture_path(&fixture, name, path);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_ok(fseek(file, offset, SEEK_SET));
  for (size_t i = 0; i < len; i++) {
    assert_int_equal(fputc(byte, file), byte);
  }
  assert_ok(fclose(file));
}

/* ------------------------------------------------------------- database -- */

static void foreign_file_is_set_aside_whole(void **state) {
  (void)state;
  shut_with_records();
  const long size = size_of(DATABASE);
  overwrite(DATABASE, 0, 8192, 'x');

  assert_ok(reopen());

  assert_int_equal(count(), 0);
  assert_int_equal(stats().disk_aside, 1);
  assert_int_equal(size_of(DATABASE ".corrupt"), size);
}

/* What the journal has is not lost with the database. */
static void journal_outlives_a_damaged_database(void **state) {
  char path[128];
  char saved[128];
  (void)state;
  add_many(0);
  kad_durable_fixture_path(&fixture, SEGMENT, path);
  kad_durable_fixture_path(&fixture, "saved", saved);
  FILE *in = fopen(path, "rb");
  static char bytes[1 << 20];
  const size_t len = fread(bytes, 1, sizeof bytes, in);
  (void)fclose(in);
  kad_durable_fixture_shut(&fixture);
  FILE *out = fopen(path, "wb");
  assert_int_equal(fwrite(bytes, 1, len, out), len);
  (void)fclose(out);
  overwrite(DATABASE, 0, 8192, 0);

  assert_ok(reopen());

  assert_int_equal(count(), RECORDS);
}

static void cut_database_gives_what_is_left(void **state) {
  char path[128];
  (void)state;
  shut_with_records();
  kad_durable_fixture_path(&fixture, DATABASE, path);
  assert_ok(truncate(path, size_of(DATABASE) / 2));

  assert_ok(reopen());

  assert_true(count() < RECORDS);
  assert_true(stats().disk_aside > 0);
  assert_true(exists(DATABASE ".corrupt"));
  const size_t left = count();
  kad_durable_fixture_crash(&fixture);
  assert_int_equal(count(), left);
  assert_int_equal(stats().disk_aside, 0);
}

/* Changes a byte of the first record of the database. */
static void corrupt_one_value(void) {
  char path[128];
  uint8_t bytes[KAD_IMAGE_MAX + 8];
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  MDB_cursor *cursor;
  MDB_val key;
  MDB_val value;
  kad_durable_fixture_path(&fixture, DATABASE, path);
  assert_ok(mdb_env_create(&env));
  assert_ok(mdb_env_open(env, path, MDB_NOSUBDIR, 0600));
  assert_ok(mdb_txn_begin(env, NULL, 0, &txn));
  assert_ok(mdb_dbi_open(txn, NULL, 0, &dbi));
  assert_ok(mdb_cursor_open(txn, dbi, &cursor));
  assert_ok(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
  assert_true(value.mv_size <= sizeof bytes);
  memcpy(bytes, value.mv_data, value.mv_size);
  bytes[value.mv_size - 1] ^= 1;
  value.mv_data = bytes;
  assert_ok(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT));
  mdb_cursor_close(cursor);
  assert_ok(mdb_txn_commit(txn));
  mdb_env_close(env);
}

static void corrupt_record_is_left_out_and_copied_before(void **state) {
  (void)state;
  shut_with_records();
  corrupt_one_value();

  assert_ok(reopen());

  assert_int_equal(stats().disk_corrupt, 1);
  assert_int_equal(count(), RECORDS - 1);
  assert_true(exists(DATABASE ".corrupt"));
  kad_durable_fixture_shut(&fixture);
  assert_ok(reopen());
  assert_int_equal(stats().disk_corrupt, 0);
  assert_int_equal(count(), RECORDS - 1);
}

/* The version of LMDB's format follows the magic number at byte 16. */
static void other_format_of_lmdb_is_refused_with_advice(void **state) {
  (void)state;
  shut_with_records();
  const long size = size_of(DATABASE);
  overwrite(DATABASE, 20, 1, 2);
  overwrite(DATABASE, 4096 + 20, 1, 2);

  assert_int_equal(reopen(), KAD_EMALFORMED);

  assert_non_null(strstr(problem.text, "LMDB"));
  assert_non_null(strstr(problem.text, "dump"));
  assert_int_equal(size_of(DATABASE), size);
  assert_false(exists(DATABASE ".corrupt"));
}

static void ids_of_another_width_are_refused(void **state) {
  (void)state;
  shut_with_records();
  fixture.config.id_bits = 256;

  assert_int_equal(reopen(), KAD_EINVAL);

  assert_non_null(strstr(problem.text, "160 bits, not 256"));
  fixture.config.id_bits = 160;
  assert_ok(reopen());
  assert_int_equal(count(), RECORDS);
}

static void second_store_is_refused(void **state) {
  struct kad_durable_fixture second = fixture;
  (void)state;
  assert_int_equal(kad_durable_fixture_reopen(&second, &problem), KAD_EBUSY);
  assert_non_null(strstr(problem.text, "another store"));
}

static void missing_folder_is_an_error(void **state) {
  struct kad_durable_fixture missing = fixture;
  (void)state;
  (void)snprintf(missing.folder, sizeof missing.folder, "/nonexistent/folder");
  assert_int_equal(kad_durable_fixture_reopen(&missing, &problem),
                   KAD_ENOTFOUND);
  assert_non_null(strstr(problem.text, "/nonexistent/folder"));
}

static void file_that_is_no_file_is_refused(void **state) {
  char path[128];
  (void)state;
  kad_durable_fixture_shut(&fixture);
  kad_durable_fixture_path(&fixture, SEGMENT, path);
  assert_ok(unlink(path));
  assert_ok(mkfifo(path, 0600));

  assert_int_not_equal(reopen(), 0);

  assert_ok(unlink(path));
  assert_ok(reopen());
}

/* -------------------------------------------------------------- journal -- */

static void damaged_head_of_a_segment_sets_it_aside(void **state) {
  (void)state;
  add_many(0);
  overwrite(SEGMENT, 20, 4, 'x');

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), 0);
  assert_int_equal(stats().disk_aside, 1);
  assert_true(exists(SEGMENT ".corrupt"));
}

static void damaged_frame_ends_the_segment_and_is_copied(void **state) {
  (void)state;
  add_many(0);
  const long size = size_of(SEGMENT);
  add_many(1000);
  overwrite(SEGMENT, size + 100, 1, 0xee);

  kad_durable_fixture_crash(&fixture);

  assert_int_equal(count(), RECORDS);
  assert_int_equal(stats().disk_aside, 1);
  assert_true(exists(SEGMENT ".corrupt"));
}

static void segment_of_a_newer_version_is_refused(void **state) {
  struct kad_segment segment;
  char path[128];
  (void)state;
  shut_with_records();
  const struct kad_segment_head head = {
      .generation = 99, .version = KAD_SEGMENT_VERSION + 1, .id_size = 20};
  kad_durable_fixture_path(&fixture, SEGMENT, path);
  assert_ok(kad_segment_open(&segment, path, 2));
  assert_ok(kad_segment_begin(&segment, &head));
  kad_segment_close(&segment);

  assert_int_equal(reopen(), KAD_EMALFORMED);

  assert_non_null(strstr(problem.text, "newer version"));
}

static void files_are_for_their_owner_only(void **state) {
  static const char *const names[] = {
      DATABASE, SEGMENT, KAD_DURABLE_SEGMENT "2", DATABASE "-lock"};
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[128];
    struct stat status;
    kad_durable_fixture_path(&fixture, names[i], path);
    assert_ok(stat(path, &status));
    assert_int_equal(status.st_mode & 0777, 0600);
  }
}

/* -------------------------------------------------------- read by others -- */

static bool count_record(void *data, const struct kad_record *record,
                         const struct kad_address *origin,
                         uint32_t republish_s) {
  size_t *seen = data;
  (void)origin;
  assert_int_equal(republish_s, UINT32_MAX);
  assert_true(record->ttl > 0);
  (*seen)++;
  return true;
}

static void others_read_what_is_committed_while_the_store_runs(void **state) {
  size_t seen = 0;
  unsigned bits = 0;
  (void)state;
  kad_reading_take(&fixture.reading);
  struct kad_record_meta meta =
      kad_memory_meta(fixture.now, kad_memory_host(1));
  meta.expires_at = fixture.now + 3600000;
  for (uint32_t key = 0; key < 3; key++) {
    const struct kad_record record = kad_memory_record(key, "value");
    (void)kad_memory_add(&fixture.memory, &record, &meta);
  }
  assert_ok(kad_durable_fixture_commit(&fixture));
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_SEGMENT_MS);
  kad_durable_tick(fixture.durable);
  const struct kad_record record = kad_memory_record(9, "value");
  (void)kad_memory_add(&fixture.memory, &record, &meta);
  assert_ok(kad_durable_fixture_commit(&fixture));

  assert_ok(
      kad_durable_read(fixture.folder, &bits, count_record, &seen, &problem));

  assert_int_equal(seen, 4);
  assert_int_equal(bits, 160);
}

static void folder_without_a_store_has_none_to_read(void **state) {
  size_t seen = 0;
  (void)state;
  assert_int_equal(
      kad_durable_read("/nonexistent", NULL, count_record, &seen, &problem),
      KAD_ENOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(foreign_file_is_set_aside_whole),
      TEST(journal_outlives_a_damaged_database),
      TEST(cut_database_gives_what_is_left),
      TEST(corrupt_record_is_left_out_and_copied_before),
      TEST(other_format_of_lmdb_is_refused_with_advice),
      TEST(ids_of_another_width_are_refused),
      TEST(second_store_is_refused),
      TEST(missing_folder_is_an_error),
      TEST(file_that_is_no_file_is_refused),
      TEST(damaged_head_of_a_segment_sets_it_aside),
      TEST(damaged_frame_ends_the_segment_and_is_copied),
      TEST(segment_of_a_newer_version_is_refused),
      TEST(files_are_for_their_owner_only),
      TEST(others_read_what_is_committed_while_the_store_runs),
      TEST(folder_without_a_store_has_none_to_read),
  };
  return cmocka_run_group_tests_name("durable_open", tests, NULL, NULL);
}
