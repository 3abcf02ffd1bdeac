/* A durable store whose process is killed again and again: times, origins,
 * counts for quotas and every index are those of the changes that were
 * acknowledged. The changes follow from their numbers, so that the test can
 * apply them to a store in memory, too, and compare. DURABLE_KILLS sets the
 * number of kills. Tests core/net/durable/durable_store.c,
 * core/net/durable/durable_load.c, core/net/durable/durable_work.c,
 * core/net/disk/database_compact.c. */

/* For kill and nanosleep. */
#define _GNU_SOURCE

#include "durable_fixture.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  KILLS = 10,
  TURN = 4, /* changes that share a commit */
  KEYS = 40,
  HOSTS = 7,
  PUBLISHERS = 5,
  HANDLES = 64,  /* of a key and type: less */
  AGE = 800,     /* a record is removed after so many changes */
  TICK = 64,     /* changes between ticks */
  MAX = 1 << 20, /* changes */
  SOON_US = 60000
};

static const char *const types[] = {"value", "note", "peers"};

static const uint8_t signature[KAD_SIGNATURE_SIZE];

static struct kad_durable_fixture fixture;

/* -------------------------------------------------------------- changes -- */

/* Returns a number that looks random, but follows from `number`. */
static uint32_t mix(uint32_t number) {
  number = (number ^ (number >> 16)) * 0x7feb352dU;
  number = (number ^ (number >> 15)) * 0x846ca68bU;
  return number ^ (number >> 16);
}

/* The record that change `number` adds, and what it is made of. */
struct made {
  struct kad_record record;
  struct kad_record_meta meta;
  char text[24];
  uint8_t peer[6];
};

static void make(uint32_t number, kad_time_ms now, struct made *made) {
  const uint32_t random = mix(number);
  const struct kad_address host = kad_memory_host(random % HOSTS);
  const size_t type = random / 8 % 3;
  (void)snprintf(made->text, sizeof made->text, "value %u", (unsigned)number);
  made->record = kad_memory_record(random / 32 % KEYS, made->text);
  made->record.type = kad_slice_of(types[type]);
  made->meta = kad_memory_meta(now - number % 1000, host);
  made->meta.expires_at = now + 1000000 + random % 100000;
  made->meta.republish_at = now + 2000000 + random / 7 % 100000;
  if (type == 1) {
    made->record.publisher =
        kad_memory_publisher((uint8_t)(random % PUBLISHERS));
    made->record.signature = signature;
    made->record.has_seq = true;
    made->record.seq = number;
  } else if (type == 2) { /* each is another peer, of the same few hosts */
    made->meta.origin.port = (uint16_t)(1024 + number % 60000);
    memcpy(made->peer, made->meta.origin.ip, 4);
    made->peer[4] = (uint8_t)(made->meta.origin.port >> 8);
    made->peer[5] = (uint8_t)made->meta.origin.port;
    made->record.value = (struct kad_slice){made->peer, sizeof made->peer};
    made->meta.republish_at = KAD_TIME_NEVER;
  }
}

/* Returns the handle of the record that change `number` has added, or 0. */
static kad_record_handle find(struct kad_store *store,
                              const struct kad_record *record) {
  kad_record_handle handles[HANDLES];
  const size_t count =
      kad_store_find(store, &record->key, record->type, 0, handles, HANDLES);
  assert_true(count <= HANDLES);
  for (size_t i = 0; i < count; i++) {
    struct kad_held held;
    assert_true(kad_store_read(store, handles[i], &held));
    if (kad_slice_equal(held.record.value, record->value)) {
      return handles[i];
    }
  }
  return 0;
}

/* Makes change `number`: adds a record, renews or removes an older one. */
static void change(struct kad_store *store, uint32_t number, kad_time_ms now) {
  struct made made;
  kad_record_handle handle;
  make(number, now, &made);
  if (number % 3 != 2) {
    assert_ok(kad_store_add(store, &made.record, &made.meta, &handle));
  }
  const uint32_t renewed = number - 1 - mix(number) % 50;
  if (number % 3 == 1 && renewed < number) {
    make(renewed, now, &made);
    handle = find(store, &made.record);
    if (handle != 0) {
      made.meta.stored_at = now - 500 + number % 400;
      made.meta.expires_at += 5000;
      kad_store_set_meta(store, handle, &made.meta);
    }
  }
  /* After a while, as many are removed as added. */
  for (uint32_t i = 0; i < 2 && number % 3 == 2; i++) {
    const uint32_t removed = number - AGE + i;
    if (removed < number) {
      make(removed, now, &made);
      handle = find(store, &made.record);
      if (handle != 0) {
        kad_store_remove(store, handle);
      }
    }
  }
}

/* ------------------------------------------------------------- the child -- */

static void reopen(void) {
  struct kad_problem problem = {""};
  if (kad_durable_fixture_reopen(&fixture, &problem) != 0) {
    fail_msg("%s", problem.text);
  }
}

/* Makes changes from `first` on until it is killed. Writes the number of those
 * that are acknowledged to `out`. */
static void run_child(uint32_t first, int out) {
  const kad_time_ms now = fixture.now;
  reopen();
  fixture.durable->files.database.sparse_bytes = 1;
  fixture.durable->files.database.transaction_pages = 16;
  for (uint32_t number = first; number < MAX; number++) {
    change(fixture.memory.store, number, now);
    if (number % TURN == TURN - 1) {
      const uint32_t done = number + 1;
      if (kad_durable_fixture_commit(&fixture) != 0 ||
          write(out, &done, sizeof done) != sizeof done) {
        break;
      }
    }
    if (number % TICK == 0) { /* the journal is old, time does not pass */
      fixture.durable->began_at = now - KAD_DURABLE_SEGMENT_MS;
      kad_durable_tick(fixture.durable);
    }
  }
  _exit(1);
}

/* Lets a process make changes, and kills it after `wait_us`. Returns the number
 * of changes that it had acknowledged. */
static uint32_t run_and_kill(uint32_t first, uint32_t wait_us) {
  const struct timespec wait = {.tv_nsec = (long)wait_us * 1000};
  int ends[2];
  uint32_t done = first;
  int status = 0;
  assert_ok(pipe(ends));
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)close(ends[0]);
    run_child(first, ends[1]);
  }
  (void)close(ends[1]);
  /* It has begun when it acknowledges something. */
  assert_int_equal(read(ends[0], &done, sizeof done), sizeof done);
  (void)nanosleep(&wait, NULL);
  (void)kill(child, SIGKILL);
  while (read(ends[0], &done, sizeof done) == sizeof done) {
  }
  (void)close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  return done;
}

/* ------------------------------------------------------------ comparison -- */

static bool is_equal(const struct kad_held *a, const struct kad_held *b) {
  return kad_slice_equal(a->record.value, b->record.value) &&
         a->record.seq == b->record.seq &&
         (a->record.publisher != NULL) == (b->record.publisher != NULL) &&
         a->meta.stored_at == b->meta.stored_at &&
         a->meta.expires_at == b->meta.expires_at &&
         a->meta.republish_at == b->meta.republish_at &&
         memcmp(a->meta.origin.ip, b->meta.origin.ip, 4) == 0 &&
         a->meta.origin.port == b->meta.origin.port;
}

/* Compares the records of a key and type, in their order. */
static bool has_same_list(struct kad_store *a, struct kad_store *b,
                          uint32_t key, const char *type) {
  const struct kad_id id = kad_memory_key(key);
  const struct kad_slice name = kad_slice_of(type);
  kad_record_handle handles[2][HANDLES];
  const size_t count = kad_store_find(a, &id, name, 0, handles[0], HANDLES);
  bool is_same = kad_store_find(b, &id, name, 0, handles[1], HANDLES) == count;
  for (size_t i = 0; i < count && is_same; i++) {
    struct kad_held held[2];
    is_same = kad_store_read(a, handles[0][i], &held[0]) &&
              kad_store_read(b, handles[1][i], &held[1]) &&
              is_equal(&held[0], &held[1]);
  }
  return is_same;
}

static bool has_same_deadlines(struct kad_store *a, struct kad_store *b) {
  kad_time_ms expire[2];
  kad_time_ms republish[2];
  (void)kad_store_due_expire(a, &expire[0]);
  (void)kad_store_due_expire(b, &expire[1]);
  (void)kad_store_due_republish(a, &republish[0]);
  (void)kad_store_due_republish(b, &republish[1]);
  return expire[0] == expire[1] && republish[0] == republish[1];
}

static bool has_same_counts(struct kad_store *a, struct kad_store *b) {
  bool is_same = kad_store_count(a) == kad_store_count(b);
  for (uint32_t i = 0; i < HOSTS && is_same; i++) {
    const struct kad_address host = kad_memory_host(i);
    is_same = kad_store_count_of(a, &host) == kad_store_count_of(b, &host);
  }
  for (uint8_t i = 0; i < PUBLISHERS && is_same; i++) {
    const uint8_t *publisher = kad_memory_publisher(i);
    is_same = a->count_signed(a->state, publisher) ==
              b->count_signed(b->state, publisher);
  }
  return is_same;
}

/* Returns whether the store has what the first `count` changes leave. */
static bool is_after(uint32_t count) {
  struct kad_memory_fixture model;
  struct kad_store *const store = fixture.memory.store;
  kad_memory_open(&model);
  for (uint32_t number = 0; number < count; number++) {
    change(model.store, number, fixture.now);
  }
  bool is_same = has_same_counts(store, model.store) &&
                 has_same_deadlines(store, model.store);
  for (uint32_t key = 0; key < KEYS && is_same; key++) {
    for (size_t type = 0; type < 3 && is_same; type++) {
      is_same = has_same_list(store, model.store, key, types[type]);
    }
  }
  kad_memory_close(&model);
  return is_same;
}

static unsigned kills(void) {
  const char *const text = getenv("DURABLE_KILLS");
  return text != NULL ? (unsigned)strtoul(text, NULL, 10) : KILLS;
}

/* Returns how many changes the store has, of which `acknowledged` were. The
 * journal may have more: a turn that was not acknowledged any more, or, after a
 * tick, a part of it. */
static uint32_t count_changes(uint32_t acknowledged) {
  uint32_t done = acknowledged;
  while (done <= acknowledged + TURN && !is_after(done)) {
    done++;
  }
  if (done > acknowledged + TURN) {
    fail_msg("what %u changes leave is not there", (unsigned)acknowledged);
  }
  return done;
}

static void every_index_is_that_of_what_was_acknowledged(void **state) {
  uint32_t done = 0;
  (void)state;
  for (unsigned i = 1; i <= kills(); i++) {
    done = run_and_kill(done, mix(i) % SOON_US);
    reopen();
    done = count_changes(done);
    assert_int_equal(fixture.durable->stats.disk_corrupt, 0);
    kad_durable_fixture_shut(&fixture);
  }
  assert_true(done > kills());
}

static int begin(void **state) {
  (void)state;
  kad_durable_fixture_open(&fixture);
  kad_durable_fixture_shut(&fixture);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_durable_fixture_close(&fixture);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(
          every_index_is_that_of_what_was_acknowledged, begin, end),
  };
  return cmocka_run_group_tests_name("durable_kill", tests, NULL, NULL);
}
