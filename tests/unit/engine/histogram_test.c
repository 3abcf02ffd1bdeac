/* Which histograms count what a node does, and in which bucket. */
#include "engine/histogram.h"

#include "lone_node.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  ROOM = 32
};

static struct kad_lone lone_node;

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Sets `*found` to the histogram of a node. Returns false if there is none. */
static bool find(const struct kad_node *node, const char *subject,
                 const char *kind, const char *outcome,
                 struct kad_histogram *found) {
  struct kad_histogram all[ROOM];
  const size_t count = kad_node_histograms(node, all, ROOM);
  assert_true(count <= ROOM);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(all[i].subject, subject) == 0 &&
        strcmp(all[i].kind, kind) == 0 &&
        strcmp(all[i].outcome, outcome) == 0) {
      *found = all[i];
      return true;
    }
  }
  return false;
}

static uint64_t total_of(const struct kad_histogram *histogram) {
  uint64_t total = 0;
  for (size_t i = 0; i < KAD_HISTOGRAM_BUCKETS; i++) {
    total += histogram->counts[i];
  }
  return total;
}

/* Returns how many times were counted. */
static uint64_t counted(const struct kad_node *node, const char *subject,
                        const char *kind, const char *outcome) {
  struct kad_histogram histogram;
  return find(node, subject, kind, outcome, &histogram) ? total_of(&histogram)
                                                        : 0;
}

/* ------------------------------------------------------------- buckets -- */

static void new_node_has_none(void **state) {
  struct kad_lone *lone = *state;
  assert_int_equal(kad_node_histograms(lone->node, NULL, 0), 0);
}

static void time_is_counted_under_the_next_bound(void **state) {
  struct kad_lone *lone = *state;
  static const struct {
    kad_time_ms ms;
    size_t bucket;
  } cases[] = {{0, 0},      {1, 1},      {2, 2},       {3, 2},
               {4, 3},      {999, 10},   {1023, 10},   {1024, 11},
               {65535, 16}, {65536, 17}, {1000000, 17}};
  struct kad_histogram before = {0};
  struct kad_histogram after = {0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const kad_time_ms started_at = lone->now - cases[i].ms;
    kad_histograms_add(lone->node, KAD_TIMED_GET, KAD_TIMED_OUTCOME_SUCCESS,
                       started_at);
    assert_true(find(lone->node, "operation", "get", "success", &after));
    for (size_t j = 0; j < KAD_HISTOGRAM_BUCKETS; j++) {
      assert_int_equal(after.counts[j] - before.counts[j],
                       j == cases[i].bucket);
    }
    assert_int_equal(after.sum_ms - before.sum_ms, cases[i].ms);
    before = after;
  }
}

static void clock_that_went_back_counts_as_no_time(void **state) {
  struct kad_lone *lone = *state;
  struct kad_histogram histogram;
  kad_histograms_add(lone->node, KAD_TIMED_GET, KAD_TIMED_OUTCOME_SUCCESS,
                     lone->now + 5);
  assert_true(find(lone->node, "operation", "get", "success", &histogram));
  assert_int_equal(histogram.counts[0], 1);
  assert_int_equal(histogram.sum_ms, 0);
}

static void histograms_are_in_the_order_of_the_map(void **state) {
  struct kad_lone *lone = *state;
  struct kad_histogram all[ROOM];
  static const enum kad_timed added[] = {KAD_TIMED_REFRESH, KAD_TIMED_GET,
                                         KAD_TIMED_REPLY_IP4, KAD_TIMED_GET};
  static const enum kad_timed_outcome outcomes[] = {
      KAD_TIMED_OUTCOME_SUCCESS, KAD_TIMED_OUTCOME_FAILED,
      KAD_TIMED_OUTCOME_SUCCESS, KAD_TIMED_OUTCOME_NOT_FOUND};
  for (size_t i = 0; i < 4; i++) {
    kad_histograms_add(lone->node, added[i], outcomes[i], lone->now);
  }

  assert_int_equal(kad_node_histograms(lone->node, all, 2), 4);
  assert_int_equal(kad_node_histograms(lone->node, all, ROOM), 4);

  assert_string_equal(all[0].subject, "reply");
  assert_string_equal(all[1].outcome, "not_found");
  assert_string_equal(all[2].outcome, "failed");
  assert_string_equal(all[3].kind, "refresh");
}

static void nothing_is_counted_without_memory(void **state) {
  struct kad_lone *lone = *state;
  kad_counting_fail_at(&lone->counting, 0);
  kad_histograms_add(lone->node, KAD_TIMED_GET, KAD_TIMED_OUTCOME_SUCCESS,
                     lone->now);
  kad_counting_never_fail(&lone->counting);
  assert_int_equal(kad_node_histograms(lone->node, NULL, 0), 0);
  kad_histograms_add(lone->node, KAD_TIMED_GET, KAD_TIMED_OUTCOME_SUCCESS,
                     lone->now);
  assert_int_equal(counted(lone->node, "operation", "get", "success"), 1);
}

/* ---------------------------------------------------------- operations -- */

static kad_operation_id ping(struct kad_lone *lone,
                             const struct kad_contact *to) {
  kad_operation_id operation = 0;
  assert_ok(kad_node_ping(lone->node, &to->address, NULL, NULL, &operation));
  kad_lone_run(lone, 1);
  return operation;
}

static void ping_is_counted_when_it_is_answered(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_message query;
  struct kad_histogram histogram;
  (void)ping(lone, &to);
  kad_lone_run(lone, 37);
  assert_true(kad_lone_find_query(lone, &to.address, &query));

  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);

  assert_true(find(lone->node, "operation", "ping", "success", &histogram));
  assert_int_equal(total_of(&histogram), 1);
  assert_int_equal(histogram.counts[6], 1); /* 32 to 64 ms */
  assert_true(find(lone->node, "reply", "ip4", "success", &histogram));
  assert_int_equal(histogram.counts[6], 1);
  assert_in_range(histogram.sum_ms, 37, 39);
}

static void ping_without_an_answer_counts_as_a_timeout(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact_v6(1);
  (void)ping(lone, &to);
  kad_lone_run(lone, 60000);
  assert_int_equal(counted(lone->node, "operation", "ping", "timeout"), 1);
  assert_int_equal(counted(lone->node, "operation", "ping", "success"), 0);
  assert_int_equal(counted(lone->node, "reply", "ip6", "success"), 0);
}

static void canceled_operation_is_not_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  const kad_operation_id operation = ping(lone, &to);
  assert_ok(kad_node_cancel(lone->node, operation));
  kad_lone_run(lone, 60000);
  assert_int_equal(kad_node_histograms(lone->node, NULL, 0), 0);
}

static void stores_of_others_are_counted_by_what_became_of_them(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record good = {.value = kad_slice_of("one")};
  static const uint8_t zeros[1100];
  const struct kad_record bad = {.value = {zeros, sizeof zeros}};
  kad_lone_store(lone, &from, &good, 1);
  kad_lone_announce(lone, &from, 7000);
  assert_int_equal(counted(lone->node, "served", "store", "success"), 1);
  assert_int_equal(counted(lone->node, "served", "announce_peer", "success"),
                   1);

  kad_lone_store(lone, &from, &bad, 1);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_TOO_BIG);
  assert_int_equal(counted(lone->node, "served", "store", "failed"), 1);
  assert_int_equal(counted(lone->node, "served", "store", "success"), 1);
}

static void operations_of_an_overlay_have_their_kind_and_outcome(void **state) {
  struct kad_overlay overlay;
  struct kad_ending ending;
  (void)state;
  kad_ending_open(&ending, &overlay, 7, 20);
  const struct kad_node *node = overlay.nodes[3];
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_id other = kad_overlay_key(2);
  const struct kad_record record = kad_overlay_record(&key, "v");
  assert_ok(kad_overlay_put(&overlay, 3, &record, NULL));
  assert_ok(kad_overlay_get(&overlay, 3, &key, "value", NULL, &ending));
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_int_equal(kad_overlay_get(&overlay, 3, &other, "value", NULL, &ending),
                   KAD_ENOTFOUND);
  kad_overlay_run(&overlay, 2 * 3600 * 1000ULL);

  assert_int_equal(counted(node, "operation", "put", "success"), 1);
  assert_int_equal(counted(node, "operation", "get", "success"), 1);
  assert_int_equal(counted(node, "operation", "get", "not_found"), 1);
  assert_true(counted(node, "operation", "join", "success") > 0);
  assert_true(counted(node, "operation", "refresh", "success") > 0);
  assert_true(counted(node, "reply", "ip4", "success") > 20);
  uint64_t republished = 0;
  uint64_t stores = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    republished +=
        counted(overlay.nodes[i], "operation", "republish", "success");
    stores += counted(overlay.nodes[i], "served", "store", "success");
  }
  assert_true(republished > 0);
  assert_int_equal(stores, kad_overlay_sums(&overlay).stores);
  kad_ending_close(&ending);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(new_node_has_none),
      TEST(time_is_counted_under_the_next_bound),
      TEST(clock_that_went_back_counts_as_no_time),
      TEST(histograms_are_in_the_order_of_the_map),
      TEST(nothing_is_counted_without_memory),
      TEST(ping_is_counted_when_it_is_answered),
      TEST(ping_without_an_answer_counts_as_a_timeout),
      TEST(canceled_operation_is_not_counted),
      TEST(stores_of_others_are_counted_by_what_became_of_them),
      cmocka_unit_test(operations_of_an_overlay_have_their_kind_and_outcome),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
