/* A node whose store has to commit: when the stores of others are answered. */
#include "kadenza_histogram.h"
#include "lone_node.h"
#include "memory_fixture.h"
#include "unit.h"

#include <string.h>

/* A store in memory whose commits end when the test says so. */
struct slow_store {
  struct kad_store store;
  struct kad_store *memory;
  unsigned commits;
  void (*committed)(void *data, int status);
  void *data;
};

static struct slow_store slow;
static struct kad_memory_fixture memory;
static struct kad_lone lone_node;

static void commit(void *state, kad_time_ms now,
                   void (*committed)(void *data, int status), void *data) {
  (void)state;
  (void)now;
  slow.commits += committed != NULL;
  slow.committed = committed;
  slow.data = data;
}

static int begin(void **state) {
  struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_memory_open(&memory);
  slow = (struct slow_store){.store = *memory.store};
  slow.store.commit = commit;
  config.store = &slow.store;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  kad_memory_close(&memory);
  return 0;
}

static void end_commit(int status) {
  assert_non_null(slow.committed);
  slow.committed(slow.data, status);
}

static void store(struct kad_lone *lone, unsigned who, const char *value) {
  const struct kad_contact from = kad_lone_contact(who);
  const struct kad_record record = {.value = kad_slice_of(value)};
  kad_lone_store(lone, &from, &record, 1);
}

/* Returns the number of stores that were answered. */
static uint64_t served(const struct kad_lone *lone) {
  return kad_lone_stats(lone).served_store;
}

static void store_is_answered_after_the_commit(void **state) {
  struct kad_lone *lone = *state;
  store(lone, 1, "one");
  assert_int_equal(served(lone), 0);
  kad_lone_run(lone, 1);
  assert_int_equal(slow.commits, 1);
  assert_int_equal(served(lone), 0);

  end_commit(0);

  assert_int_equal(served(lone), 1);
  assert_int_equal(kad_lone_error(lone), 0);
}

static void time_of_a_store_includes_the_commit(void **state) {
  struct kad_lone *lone = *state;
  struct kad_histogram histogram;
  store(lone, 1, "one");
  kad_lone_run(lone, 50);
  assert_int_equal(kad_node_histograms(lone->node, NULL, 0), 0);

  end_commit(0);

  assert_int_equal(kad_node_histograms(lone->node, &histogram, 1), 1);
  assert_string_equal(histogram.subject, "served");
  assert_string_equal(histogram.outcome, "success");
  assert_int_equal(histogram.counts[6], 1); /* 32 to 64 ms */
}

static void stores_of_one_turn_share_a_commit(void **state) {
  struct kad_lone *lone = *state;
  store(lone, 1, "one");
  store(lone, 2, "two");
  store(lone, 3, "three");
  kad_lone_run(lone, 1);
  assert_int_equal(slow.commits, 1);

  end_commit(0);

  assert_int_equal(served(lone), 3);
}

static void next_commit_begins_when_the_one_before_has_ended(void **state) {
  struct kad_lone *lone = *state;
  store(lone, 1, "one");
  kad_lone_run(lone, 1);
  store(lone, 2, "two");
  kad_lone_run(lone, 1);
  assert_int_equal(slow.commits, 1);

  end_commit(0);
  assert_int_equal(served(lone), 1);
  kad_lone_run(lone, 1);

  assert_int_equal(slow.commits, 2);
  end_commit(0);
  assert_int_equal(served(lone), 2);
}

static void failed_commit_is_answered_with_error_202(void **state) {
  struct kad_lone *lone = *state;
  store(lone, 1, "one");
  kad_lone_run(lone, 1);

  end_commit(KAD_ESYSTEM);

  assert_int_equal(served(lone), 0);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).unstored, 1);
}

static void reads_do_not_wait_for_the_commit(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact reader = kad_lone_contact(7);
  struct kad_message reply;
  struct kad_message message;
  store(lone, 1, "one");
  kad_lone_run(lone, 1);

  kad_lone_begin(&message, KAD_METHOD_FIND_VALUE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  kad_lone_send(lone, &reader, &message);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.record_count, 1);
  end_commit(0);
}

static void store_that_changes_nothing_is_answered_at_once(void **state) {
  struct kad_lone *lone = *state;
  static const uint8_t big[KAD_ITEM_VALUE_MAX] = {0};
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record record = {.value = {big, sizeof big},
                                    .type = kad_slice_of("no such type")};
  kad_lone_store(lone, &from, &record, 1);
  kad_lone_run(lone, 1);

  assert_int_equal(slow.commits, kad_lone_error(lone) == 0);
  if (slow.commits > 0) {
    end_commit(0);
  }
}

/* The memory of what waits is freed: the fixture fails on a leak. */
static void node_that_is_freed_forgets_its_commits(void **state) {
  struct kad_lone *lone = *state;
  store(lone, 1, "one");
  kad_lone_run(lone, 1);
  store(lone, 2, "two");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(store_is_answered_after_the_commit),
      TEST(time_of_a_store_includes_the_commit),
      TEST(stores_of_one_turn_share_a_commit),
      TEST(next_commit_begins_when_the_one_before_has_ended),
      TEST(failed_commit_is_answered_with_error_202),
      TEST(reads_do_not_wait_for_the_commit),
      TEST(store_that_changes_nothing_is_answered_at_once),
      TEST(node_that_is_freed_forgets_its_commits),
  };
  return cmocka_run_group_tests_name("durability", tests, NULL, NULL);
}
