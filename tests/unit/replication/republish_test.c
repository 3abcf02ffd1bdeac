/* Republishing: records outlive their holders. */
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  NODES = 30,
  FEW = 10,
  K = 8,
  MANY = 1000,
  PERIOD_S = 600
};

static struct kad_overlay overlay;
static struct kad_id key;

static int open_thirty(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 7);
  kad_overlay_grow(&overlay, NODES);
  key = kad_overlay_key(1);
  return 0;
}

static int open_few(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 7);
  kad_overlay_grow(&overlay, FEW);
  key = kad_overlay_key(1);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

static void put(size_t i) {
  const struct kad_record record = kad_overlay_record(&key, "v");
  assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
}

/* Sets `type` at all nodes. */
static void set_type(struct kad_type type) {
  type.name = "value";
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  for (size_t i = 0; i < overlay.count; i++) {
    assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
  }
}

static void one_holder_republishes_for_all(void **state) {
  (void)state;
  put(1);
  assert_int_equal(kad_overlay_sums(&overlay).held, K);

  kad_overlay_run(&overlay, 50 * KAD_MINUTE_MS);
  assert_int_equal(kad_overlay_sums(&overlay).republishes, 0);
  kad_overlay_run(&overlay, 4 * KAD_HOUR_MS);

  /* Nearly five periods. A second holder may be due while the first one
   * republishes. */
  assert_in_range(kad_overlay_sums(&overlay).republishes, 4, 10);
  assert_int_equal(kad_overlay_sums(&overlay).held, K);
}

static void republished_record_keeps_its_expiry(void **state) {
  (void)state;
  put(1);

  kad_overlay_run(&overlay, 23 * KAD_HOUR_MS);
  assert_true(kad_overlay_sums(&overlay).held >= K);
  kad_overlay_run(&overlay, 70 * KAD_MINUTE_MS);

  assert_int_equal(kad_overlay_sums(&overlay).held, 0);
}

static void record_outlives_its_holders(void **state) {
  (void)state;
  struct kad_ending got;
  size_t closest[K];
  (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
  put(1);
  for (size_t i = 0; i < K - 1; i++) {
    kad_overlay_kill(&overlay, closest[i]);
  }
  assert_int_equal(kad_overlay_sums(&overlay).held, 1);

  kad_overlay_run(&overlay, 70 * KAD_MINUTE_MS);

  assert_true(kad_overlay_sums(&overlay).held >= K);
  kad_ending_init(&got, &overlay);
  size_t reader = 0;
  while (overlay.nodes[reader] == NULL) {
    reader++;
  }
  assert_ok(kad_overlay_get(&overlay, reader, &key, "value", NULL, &got));
  assert_int_equal(got.result.record_count, 1);
  kad_ending_deinit(&got);
}

/* Another node stores the record again each time before it is due. */
static void store_in_time_postpones_the_republish(void **state) {
  (void)state;
  for (unsigned i = 0; i < 12; i++) {
    put(i % 5);
    kad_overlay_run(&overlay, 30 * KAD_MINUTE_MS);
  }

  assert_int_equal(kad_overlay_sums(&overlay).republishes, 0);
}

static void type_may_never_be_republished(void **state) {
  (void)state;
  set_type((struct kad_type){.republish = UINT32_MAX});
  put(1);

  kad_overlay_run(&overlay, 5 * KAD_HOUR_MS);

  assert_int_equal(kad_overlay_sums(&overlay).republishes, 0);
}

/* ----------------------------------------------------------------- hooks -- */

static struct {
  enum kad_verdict verdict;
  uint32_t seconds;
  unsigned asked;
  uint64_t call_ids[64];
  struct kad_node *nodes[64];
} hook;

static void decide(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  assert_int_equal(call->reason, KAD_REASON_REPUBLISH);
  assert_slice_is(call->record->value, "v");
  assert_true(call->record->ttl > 0);
  if (hook.asked < 64) {
    hook.call_ids[hook.asked] = call->call_id;
    hook.nodes[hook.asked] = call->node;
  }
  hook.asked++;
  answer->verdict = hook.verdict;
  answer->seconds = hook.seconds;
}

static void use_hook(enum kad_verdict verdict, uint32_t seconds) {
  memset(&hook, 0, sizeof hook);
  hook.verdict = verdict;
  hook.seconds = seconds;
  set_type((struct kad_type){.republish = PERIOD_S, .republish_at = decide});
}

static void hook_may_return_never(void **state) {
  (void)state;
  use_hook(KAD_VERDICT_ACCEPT, 0);
  put(1);

  kad_overlay_run(&overlay, KAD_HOUR_MS);

  assert_int_equal(hook.asked, K);
  assert_int_equal(kad_overlay_sums(&overlay).republishes, 0);
}

static void hook_sets_the_next_time(void **state) {
  (void)state;
  use_hook(KAD_VERDICT_ACCEPT, 60);
  put(1);

  /* First the period of the type, then a minute each: its stores begin a new
   * period at the nodes that receive them. */
  kad_overlay_run(&overlay, (kad_time_ms)(PERIOD_S + 600) * KAD_SECOND_MS);

  assert_in_range(kad_overlay_sums(&overlay).republishes, 8, 16);
}

static void failing_hook_leaves_the_period_of_the_type(void **state) {
  (void)state;
  use_hook(KAD_VERDICT_FAILED, 0);
  put(1);

  kad_overlay_run(&overlay, (kad_time_ms)PERIOD_S * 5 * KAD_SECOND_MS);

  assert_in_range(kad_overlay_sums(&overlay).republishes, 4, 9);
}

static void hook_may_be_pending(void **state) {
  (void)state;
  use_hook(KAD_VERDICT_PENDING, 0);
  put(1);
  while (hook.asked == 0) {
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
  const uint64_t stores = kad_overlay_sums(&overlay).stores;
  const struct kad_hook_result soon = {.verdict = KAD_VERDICT_ACCEPT,
                                       .seconds = 5000};

  assert_ok(kad_node_complete_hook(hook.nodes[0], hook.call_ids[0], &soon));
  kad_overlay_run(&overlay, 10 * KAD_SECOND_MS);

  assert_int_equal(kad_overlay_sums(&overlay).republishes, 1);
  assert_in_range(kad_overlay_sums(&overlay).stores - stores, K - 1, K);
}

static void hook_at_its_deadline_leaves_the_period_of_the_type(void **state) {
  (void)state;
  use_hook(KAD_VERDICT_PENDING, 0);
  put(1);

  kad_overlay_run(&overlay, (kad_time_ms)PERIOD_S * 4 * KAD_SECOND_MS);

  assert_in_range(kad_overlay_sums(&overlay).republishes, 3, 9);
}

static void policy_without_the_type_does_not_republish_it(void **state) {
  (void)state;
  const struct kad_type type = {.name = "note", .republish = PERIOD_S};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_record record = kad_overlay_record(&key, "v");
  for (size_t i = 0; i < overlay.count; i++) {
    assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
  }
  record.type = kad_slice_of("note");
  assert_ok(kad_overlay_put(&overlay, 1, &record, NULL));

  for (size_t i = 0; i < overlay.count; i++) {
    assert_ok(kad_node_set_policy(overlay.nodes[i], NULL));
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);

  assert_int_equal(kad_overlay_sums(&overlay).republishes, 0);
  assert_int_equal(kad_overlay_sums(&overlay).held, K);
}

/* ---------------------------------------------------------------- budget -- */

/* A node without contacts puts many records, then joins. */
static size_t open_loaded(void) {
  const size_t i = overlay.count;
  static const struct kad_type type = {.name = "value",
                                       .republish = PERIOD_S / 10};
  static const struct kad_policy policy = {.types = &type, .type_count = 1};
  overlay.config.stores_per_s = K;
  struct kad_node *node = kad_overlay_add(&overlay);
  assert_ok(kad_node_set_policy(node, &policy));
  for (unsigned j = 0; j < MANY; j++) {
    const struct kad_id other = kad_overlay_key(j);
    const struct kad_record record = kad_overlay_record(&other, "v");
    assert_ok(kad_node_put(node, &record, NULL, NULL, NULL, NULL));
  }
  kad_overlay_run(&overlay, KAD_SECOND_MS);
  assert_int_equal(kad_overlay_held(&overlay, i), MANY);
  kad_overlay_join(&overlay, i, 0);
  return i;
}

static void store_budget_limits_the_stores_of_a_restart(void **state) {
  (void)state;
  const size_t i = open_loaded();
  kad_overlay_run(&overlay, 80 * KAD_SECOND_MS);
  uint64_t most = 0;
  const uint64_t begin = kad_overlay_sums(&overlay).stores;
  uint64_t before = begin;

  /* All are due now; as many leave as the budget of a second allows. */
  for (unsigned second = 0; second < 120; second++) {
    kad_overlay_run(&overlay, KAD_SECOND_MS);
    const uint64_t now = kad_overlay_sums(&overlay).stores;
    most = now - before > most ? now - before : most;
    before = now;
  }

  print_message("# %.1f stores a second, %u at most\n",
                (double)(before - begin) / 120, (unsigned)most);
  assert_true(before - begin <= 121 * K);
  assert_true(before - begin >= 60 * K);
  assert_true(most <= 3 * K);
  assert_true(kad_overlay_stats(&overlay, i).republishes >= 60);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_thirty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(one_holder_republishes_for_all),
      IN_OVERLAY(republished_record_keeps_its_expiry),
      IN_OVERLAY(record_outlives_its_holders),
      IN_OVERLAY(store_in_time_postpones_the_republish),
      IN_OVERLAY(type_may_never_be_republished),
      IN_OVERLAY(hook_may_return_never),
      IN_OVERLAY(hook_sets_the_next_time),
      IN_OVERLAY(failing_hook_leaves_the_period_of_the_type),
      IN_OVERLAY(hook_may_be_pending),
      IN_OVERLAY(hook_at_its_deadline_leaves_the_period_of_the_type),
      IN_OVERLAY(policy_without_the_type_does_not_republish_it),
      cmocka_unit_test_setup_teardown(
          store_budget_limits_the_stores_of_a_restart, open_few, close_overlay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
