/* A node whose record store fails. Tests core/node/node.c,
 * core/node/node_view.c, core/records/store.h, core/replication/commit.c,
 * core/replication/republish.c. */
#include "lone_node.h"
#include "records/memory/memory_store.h"
#include "unit.h"

enum {
  SECOND_MS = 1000,
  HOUR_MS = 3600 * SECOND_MS,
  DAY_S = 86400
};

/* A memory store whose functions fail when a test wants it. */
struct failing {
  struct kad_store store;
  struct kad_store *memory;
  int add_error;
  bool reads_fail;
  unsigned reads;
  unsigned closed;
};

static struct kad_lone lone;
static struct failing failing;

static int add(void *state, const struct kad_record *record,
               const struct kad_record_meta *meta, kad_record_handle *handle) {
  (void)state;
  return failing.add_error != 0
             ? failing.add_error
             : kad_store_add(failing.memory, record, meta, handle);
}

static void set_meta(void *state, kad_record_handle handle,
                     const struct kad_record_meta *meta) {
  (void)state;
  kad_store_set_meta(failing.memory, handle, meta);
}

static void remove_record(void *state, kad_record_handle handle) {
  (void)state;
  kad_store_remove(failing.memory, handle);
}

static bool read_record(void *state, kad_record_handle handle,
                        struct kad_held *held) {
  (void)state;
  failing.reads++;
  return !failing.reads_fail && kad_store_read(failing.memory, handle, held);
}

static size_t find(void *state, const struct kad_id *key, struct kad_slice type,
                   size_t skip, kad_record_handle *handles, size_t cap) {
  (void)state;
  return kad_store_find(failing.memory, key, type, skip, handles, cap);
}

static kad_record_handle due_expire(void *state, kad_time_ms *at) {
  (void)state;
  return kad_store_due_expire(failing.memory, at);
}

static kad_record_handle due_republish(void *state, kad_time_ms *at) {
  (void)state;
  return kad_store_due_republish(failing.memory, at);
}

static kad_record_handle next(void *state, uint64_t *cursor) {
  (void)state;
  return kad_store_next(failing.memory, cursor);
}

static size_t count(void *state) {
  (void)state;
  return kad_store_count(failing.memory);
}

static size_t bytes(void *state) {
  (void)state;
  return kad_store_bytes(failing.memory);
}

static size_t count_of(void *state, const struct kad_address *origin) {
  (void)state;
  return kad_store_count_of(failing.memory, origin);
}

static kad_record_handle victim(void *state, const struct kad_id *self) {
  (void)state;
  return kad_store_victim(failing.memory, self);
}

static uint64_t failures(void *state) {
  (void)state;
  return 7;
}

static void close_store(void *state) {
  assert_ptr_equal(state, &failing);
  failing.closed++;
}

static const struct kad_store functions = {
    .state = &failing,
    .add = add,
    .set_meta = set_meta,
    .remove = remove_record,
    .read = read_record,
    .find = find,
    .due_expire = due_expire,
    .due_republish = due_republish,
    .next = next,
    .count = count,
    .bytes = bytes,
    .count_of = count_of,
    .victim = victim,
    .failures = failures,
    .close = close_store,
};

static void open_failing(void) {
  static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = "sixteen bytes..";
  const struct kad_allocator allocator = kad_allocator_default();
  failing = (struct failing){.store = functions};
  assert_ok(kad_memory_store_new(&allocator, secret, &failing.memory));
}

static int open_node(void **state) {
  struct kad_config config = kad_lone_unlimited();
  (void)state;
  open_failing();
  config.max_records = 4;
  config.store = &failing.store;
  kad_lone_open(&lone, &config);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  assert_int_equal(failing.closed, 1);
  kad_memory_store_free(failing.memory);
  return 0;
}

static void store(unsigned number, uint8_t value) {
  const struct kad_contact from = kad_lone_contact(number);
  const struct kad_record record = {.value = {&value, 1}};
  kad_lone_store(&lone, &from, &record, 1);
}

static void record_that_cannot_be_kept_is_answered_with_error_202(
    void **state) {
  (void)state;
  failing.add_error = KAD_ESYSTEM;

  store(1, 'a');

  assert_int_equal(kad_lone_error(&lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_records(&lone), 0);
  failing.add_error = 0;
  store(1, 'a');
  assert_int_equal(kad_lone_error(&lone), 0);
  assert_int_equal(kad_lone_records(&lone), 1);
}

static void record_that_cannot_be_read_expires(void **state) {
  (void)state;
  store(1, 'a');
  failing.reads_fail = true;

  kad_lone_run(&lone, (kad_time_ms)DAY_S * SECOND_MS - 1);
  assert_int_equal(kad_lone_records(&lone), 1);
  kad_lone_run(&lone, 1);

  assert_int_equal(kad_lone_records(&lone), 0);
}

static void record_that_cannot_be_read_is_evicted(void **state) {
  (void)state;
  for (uint8_t i = 0; i < 4; i++) {
    store(1, i);
  }
  failing.reads_fail = true;

  store(2, 'x');

  assert_int_equal(kad_lone_records(&lone), 4);
}

/* It is due again and again, but not without a break. */
static void record_that_cannot_be_read_is_not_republished(void **state) {
  (void)state;
  store(1, 'a');
  failing.reads_fail = true;
  kad_lone_run(&lone, 2 * HOUR_MS);
  failing.reads = 0;

  kad_lone_run(&lone, 60 * SECOND_MS);

  assert_int_equal(failing.reads, 60);
  assert_int_equal(kad_lone_stats(&lone).republishes, 0);
}

static void statistics_have_the_failures(void **state) {
  (void)state;
  assert_int_equal(kad_lone_stats(&lone).store_failures, 7);
}

static void clock_of_a_node_leaves_out_a_suspend(void **state) {
  (void)state;
  const kad_time_ms before = kad_node_time(lone.node);
  assert_int_equal(before, lone.now);

  lone.now += 8 * HOUR_MS;
  kad_node_tick(lone.node);

  assert_true(kad_node_time(lone.node) < before + HOUR_MS);
}

static void store_of_a_node_that_is_not_made_stays_open(void **state) {
  struct kad_config config = kad_lone_unlimited();
  struct kad_env env = kad_lone_env(&lone, 1);
  struct kad_node *node = NULL;
  (void)state;
  open_failing();
  config.store = &failing.store;
  int status = KAD_ENOMEM;
  for (size_t i = 0; status == KAD_ENOMEM; i++) {
    kad_counting_fail_at(&lone.counting, i);
    status = kad_node_new(&config, &env, &node);
    assert_int_equal(failing.closed, 0);
  }

  assert_ok(status);
  kad_node_free(node);
  assert_int_equal(failing.closed, 1);
  kad_memory_store_free(failing.memory);
  kad_counting_deinit(&lone.counting);
}

#define WITH_NODE(test) \
  { #test, test, open_node, close_node, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_NODE(record_that_cannot_be_kept_is_answered_with_error_202),
      WITH_NODE(record_that_cannot_be_read_expires),
      WITH_NODE(record_that_cannot_be_read_is_evicted),
      WITH_NODE(record_that_cannot_be_read_is_not_republished),
      WITH_NODE(statistics_have_the_failures),
      WITH_NODE(clock_of_a_node_leaves_out_a_suspend),
      cmocka_unit_test(store_of_a_node_that_is_not_made_stays_open),
  };
  return cmocka_run_group_tests_name("failing_store", tests, NULL, NULL);
}
