/* What a durable store does when the disk refuses: each call of a file fails in
 * turn, once or from then on, in each way that disks have. The functions below
 * replace those of the C library in this program, for LMDB too. Tests
 * core/net/durable/durable_journal.c, core/net/durable/durable_work.c,
 * core/net/disk/segment.c. */

/* For syscall and pwrite. */
#define _GNU_SOURCE

#include "durable_fixture.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  SHORT = -1, /* writes a half of what it is given */
  CALLS = 24, /* of a run that are let fail, one after the other */
  ROUNDS = 12
};

/* The plan of failures. */
static struct {
  bool is_on;
  bool stays; /* all calls after the first that fails do, too */
  int calls_left;
  int error; /* errno, or SHORT */
  unsigned failed;
} plan;

/* Returns true if a call is to fail now. */
static bool fails(void) {
  if (!plan.is_on) {
    return false;
  }
  if (plan.calls_left > 0) {
    plan.calls_left--;
    return false;
  }
  plan.failed++;
  plan.is_on = plan.stays;
  return true;
}

static ssize_t refuse(void) {
  errno = plan.error;
  return -1;
}

/* The headers of the system name parameters in their own way. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
  if (fails()) {
    if (plan.error != SHORT || len < 2) {
      return refuse();
    }
    len /= 2;
  }
  return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset) {
  return pwrite(fd, bytes, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset) {
  return fails() ? refuse()
                 : syscall(SYS_pwritev, fd, vectors, count, offset, 0);
}

ssize_t writev(int fd, const struct iovec *vectors, int count) {
  return fails() ? refuse() : syscall(SYS_writev, fd, vectors, count);
}

int fdatasync(int fd) {
  return fails() ? (int)refuse() : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size) {
  return fails() ? (int)refuse() : (int)syscall(SYS_ftruncate, fd, size);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static struct kad_durable_fixture fixture;

static bool is_held(uint32_t key) {
  return kad_memory_find(&fixture.memory, key, "value", 0, NULL, 0) > 0;
}

/* Adds records round by round, with a commit and, now and then, a checkpoint.
 * Sets the bit of each that was acknowledged. */
static void run_rounds(uint32_t first, bool *acknowledged) {
  for (uint32_t i = 0; i < ROUNDS; i++) {
    const uint32_t key = first + i;
    const struct kad_record record = kad_memory_record(key, "value");
    const struct kad_record_meta meta =
        kad_memory_meta(fixture.now, kad_memory_host(key));
    kad_record_handle handle;
    struct kad_store *store = fixture.memory.store;
    acknowledged[key] = kad_store_add(store, &record, &meta, &handle) == 0 &&
                        kad_durable_fixture_commit(&fixture) == 0;
    kad_durable_fixture_pass(&fixture,
                             i % 4 == 3 ? KAD_DURABLE_SEGMENT_MS : 1500);
    kad_durable_tick(fixture.durable);
  }
}

static void assert_has_all(const bool *acknowledged, uint32_t count) {
  for (uint32_t key = 0; key < count; key++) {
    if (acknowledged[key] && !is_held(key)) {
      fail_msg("record %u was acknowledged and is lost", (unsigned)key);
    }
  }
}

/* Lets the call `n` fail in a run; then the disk is sound again. Returns
 * whether a call failed. */
static bool play(int error, bool stays, int n, enum kad_durable_sync sync) {
  bool acknowledged[2 * ROUNDS] = {false};
  struct kad_problem problem = {""};
  memset(&plan, 0, sizeof plan);
  kad_durable_fixture_open(&fixture);
  kad_durable_fixture_shut(&fixture);
  fixture.config.sync = sync;
  assert_ok(kad_durable_fixture_reopen(&fixture, &problem));
  plan.error = error;
  plan.stays = stays;
  plan.calls_left = n;
  plan.is_on = true;
  run_rounds(0, acknowledged);
  const bool has_failed = plan.failed > 0;
  assert_has_all(acknowledged, ROUNDS); /* it serves what it has */
  plan.is_on = false;
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_RETRY_MAX_MS + 1);
  kad_durable_tick(fixture.durable);
  kad_durable_fixture_pass(&fixture, KAD_DURABLE_RETRY_MAX_MS + 1);
  kad_durable_tick(fixture.durable);
  run_rounds(ROUNDS, acknowledged);
  for (uint32_t key = ROUNDS; key < 2 * ROUNDS; key++) {
    assert_true(acknowledged[key]); /* it has resumed by itself */
  }
  assert_int_equal(fixture.failures, fixture.recoveries);

  kad_durable_fixture_crash(&fixture);

  assert_has_all(acknowledged, 2 * ROUNDS);
  kad_durable_fixture_close(&fixture);
  return has_failed;
}

/* Plays with each of the first CALLS calls. */
static void play_all(int error, bool stays, enum kad_durable_sync sync) {
  unsigned failed = 0;
  for (int n = 0; n < CALLS; n++) {
    failed += play(error, stays, n, sync);
  }
  assert_int_equal(failed, CALLS);
}

static void nothing_acknowledged_is_lost_when_one_call_fails(void **state) {
  (void)state;
  play_all(ENOSPC, false, KAD_DURABLE_SYNC_INTERVAL);
  play_all(EIO, false, KAD_DURABLE_SYNC_INTERVAL);
  play_all(SHORT, false, KAD_DURABLE_SYNC_INTERVAL);
}

static void nothing_acknowledged_is_lost_when_the_disk_fails_for_long(
    void **state) {
  (void)state;
  play_all(EDQUOT, true, KAD_DURABLE_SYNC_INTERVAL);
}

static void nothing_flushed_is_lost_when_one_call_fails(void **state) {
  (void)state;
  play_all(EIO, false, KAD_DURABLE_SYNC_COMMIT);
}

static void full_disk_refuses_stores_and_says_so_once(void **state) {
  bool acknowledged[ROUNDS] = {false};
  (void)state;
  memset(&plan, 0, sizeof plan);
  kad_durable_fixture_open(&fixture);
  plan.error = ENOSPC;
  plan.stays = true;
  plan.is_on = true;

  run_rounds(0, acknowledged);

  for (uint32_t key = 0; key < ROUNDS; key++) {
    assert_false(acknowledged[key]);
  }
  assert_int_equal(fixture.failures, 1);
  assert_non_null(strstr(fixture.text, "No space"));
  plan.is_on = false;
  kad_durable_fixture_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_acknowledged_is_lost_when_one_call_fails),
      cmocka_unit_test(
          nothing_acknowledged_is_lost_when_the_disk_fails_for_long),
      cmocka_unit_test(nothing_flushed_is_lost_when_one_call_fails),
      cmocka_unit_test(full_disk_refuses_stores_and_says_so_once),
  };
  return cmocka_run_group_tests_name("durable_failure", tests, NULL, NULL);
}
