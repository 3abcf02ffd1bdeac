/* What operations have in common: the queue, options, cancelling, callbacks.
 *
 * Tests core/operations/operation.c, core/operations/ping_call.c. */
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 30,
  QUEUE = 4096 /* operations of a node at most */
};

static struct kad_overlay overlay;
static struct kad_ending ending;

static int open_thirty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 5, NODES);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static int find(size_t i, const struct kad_id *target,
                const struct kad_lookup_options *options) {
  return kad_node_find_node(overlay.nodes[i], target, options, kad_ending_done,
                            &ending, NULL);
}

static void options_out_of_range_are_rejected(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_lookup_options wide = {.k = KAD_K_MAX + 1};
  const struct kad_lookup_options busy = {.alpha = 33};
  const struct kad_lookup_options many = {.paths = 17};
  const struct kad_lookup_options most = {
      .k = KAD_K_MAX, .alpha = 32, .paths = 16};
  struct kad_node *node = overlay.nodes[1];
  const struct kad_slice value = kad_slice_of("value");

  assert_int_equal(find(1, &key, &wide), KAD_EINVAL);
  assert_int_equal(find(1, &key, &busy), KAD_EINVAL);
  assert_int_equal(find(1, &key, &many), KAD_EINVAL);
  assert_int_equal(kad_node_get(node, &key, value, &wide, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_put(node, &record, &busy, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_get_peers(node, &key, &wide, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_announce(node, &key, 1, &busy, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_overlay_stats(&overlay, 1).operations, 0);
  assert_ok(find(1, &key, &most));
  assert_ok(kad_ending_await(&ending));
  assert_true(ending.result.closest_count > 8);
}

static void missing_arguments_are_rejected(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  struct kad_node *node = overlay.nodes[1];
  const struct kad_slice nothing = {0};
  const struct kad_slice long_name =
      kad_slice_of("a-name-of-a-type-with-33-bytes---");
  struct kad_record record = kad_overlay_record(&key, "v");

  assert_int_equal(kad_node_find_node(NULL, &key, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_find_node(node, NULL, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(
      kad_node_get(node, NULL, kad_slice_of("value"), NULL, NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(kad_node_get(node, &key, nothing, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_get(node, &key, long_name, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_put(node, NULL, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  record.type = nothing;
  assert_int_equal(kad_node_put(node, &record, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_announce(node, NULL, 1, NULL, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_bootstrap(node, NULL, 1, NULL, NULL, NULL),
                   KAD_EINVAL);
}

/* Counts ends, and checks that no callback runs during a call that starts an
 * operation. */
struct counter {
  struct kad_node *node;
  unsigned ended;
  unsigned canceled;
  bool inside;
  uint32_t most_pending;
};

static void count_end(void *data, const struct kad_result *result) {
  struct counter *counter = data;
  assert_false(counter->inside);
  counter->ended++;
  counter->canceled += result->status == KAD_ECANCELED;
}

static void lookups_over_max_lookups_are_queued(void **state) {
  (void)state;
  overlay.config.max_lookups = 2;
  struct kad_node *node = kad_overlay_add(&overlay);
  kad_overlay_join(&overlay, NODES, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  struct counter counter = {.node = node};
  const struct kad_lookup_options options = {.alpha = 1, .k = 1};

  for (unsigned i = 0; i < 20; i++) {
    const struct kad_id key = kad_overlay_key(i);
    counter.inside = true;
    assert_ok(
        kad_node_find_node(node, &key, &options, count_end, &counter, NULL));
    counter.inside = false;
  }
  assert_int_equal(kad_overlay_stats(&overlay, NODES).operations, 20);
  for (unsigned i = 0; counter.ended < 20 && i < 10000; i++) {
    kad_overlay_run(&overlay, 5);
    const uint64_t pending = kad_overlay_stats(&overlay, NODES).pending;
    assert_true(pending <= 2 + 3);
  }

  assert_int_equal(counter.ended, 20);
  assert_int_equal(kad_overlay_stats(&overlay, NODES).operations, 0);
}

static void full_queue_is_busy(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_address address = kad_overlay_address(2);
  struct counter counter = {.node = overlay.nodes[1]};
  for (size_t i = 0; i < QUEUE; i++) {
    assert_ok(kad_node_find_node(counter.node, &key, NULL, count_end, &counter,
                                 NULL));
  }

  assert_int_equal(find(1, &key, NULL), KAD_EBUSY);
  assert_int_equal(
      kad_node_ping(counter.node, &address, count_end, &counter, NULL),
      KAD_EBUSY);

  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  assert_int_equal(counter.ended, QUEUE);
  assert_int_equal(ending.calls, 0);
  assert_ok(find(1, &key, NULL));
  assert_ok(kad_ending_await(&ending));
}

static void cancel_ends_a_queued_and_a_running_operation_once(void **state) {
  (void)state;
  overlay.config.max_lookups = 1;
  struct kad_node *node = kad_overlay_add(&overlay);
  kad_overlay_join(&overlay, NODES, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  struct counter counter = {.node = node};
  const struct kad_id key = kad_overlay_key(1);
  kad_operation_id operations[2];
  for (size_t i = 0; i < 2; i++) {
    assert_ok(kad_node_find_node(node, &key, NULL, count_end, &counter,
                                 &operations[i]));
  }
  kad_overlay_run(&overlay, 15);

  counter.inside = true;
  for (size_t i = 0; i < 2; i++) {
    assert_ok(kad_node_cancel(node, operations[i]));
    assert_int_equal(kad_node_cancel(node, operations[i]), KAD_ENOTFOUND);
  }
  counter.inside = false;

  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  assert_int_equal(counter.ended, 2);
  assert_int_equal(counter.canceled, 2);
  assert_int_equal(kad_node_cancel(node, operations[0]), KAD_ENOTFOUND);
  assert_int_equal(kad_node_cancel(node, 0), KAD_ENOTFOUND);
}

/* Starts an operation in its callback, and cancels every second one. */
static void chain(void *data, const struct kad_result *result) {
  struct counter *counter = data;
  kad_operation_id operation;
  const struct kad_id key = kad_overlay_key(counter->ended);
  assert_false(counter->inside);
  assert_int_equal(kad_node_cancel(counter->node, result->operation),
                   KAD_ENOTFOUND);
  counter->ended++;
  counter->canceled += result->status == KAD_ECANCELED;
  if (counter->ended == 10) {
    return;
  }
  counter->inside = true;
  assert_ok(kad_node_find_node(counter->node, &key, NULL, chain, counter,
                               &operation));
  if (counter->ended % 2 == 0) {
    assert_ok(kad_node_cancel(counter->node, operation));
  }
  counter->inside = false;
}

static void callback_may_start_and_cancel_operations(void **state) {
  (void)state;
  struct counter counter = {.node = overlay.nodes[4]};
  const struct kad_id key = kad_overlay_key(7);

  assert_ok(
      kad_node_find_node(counter.node, &key, NULL, chain, &counter, NULL));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_int_equal(counter.ended, 10);
  assert_int_equal(counter.canceled, 4);
}

static void closing_a_node_ends_its_operations(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  struct kad_node *node = overlay.nodes[3];
  struct kad_ending others[3];
  for (size_t i = 0; i < 3; i++) {
    kad_ending_init(&others[i], &overlay);
  }
  assert_ok(
      kad_node_put(node, &record, NULL, kad_ending_done, &others[0], NULL));
  assert_ok(kad_node_get(node, &key, record.type, NULL, kad_ending_done,
                         &others[1], NULL));
  assert_ok(
      kad_node_bootstrap(node, NULL, 0, kad_ending_done, &others[2], NULL));
  kad_overlay_run(&overlay, 30);

  kad_overlay_kill(&overlay, 3);

  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(others[i].calls, 1);
    assert_int_equal(others[i].result.status, KAD_ECLOSED);
    kad_ending_deinit(&others[i]);
  }
}

/* Whichever allocation fails, the operation ends once, and nothing leaks. */
static void operation_ends_whichever_allocation_fails(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    struct counter counter = {.node = overlay.nodes[5]};
    kad_counting_fail_at(&overlay.counting, n);
    const int error =
        kad_node_put(counter.node, &record, NULL, count_end, &counter, NULL);
    kad_overlay_run(&overlay, 40 * KAD_SECOND_MS);
    failed = overlay.counting.has_failed && n < 120;
    assert_int_equal(counter.ended, error == 0 ? 1 : 0);
    assert_true(error == 0 || error == KAD_ENOMEM);
  }
  kad_counting_never_fail(&overlay.counting);
  assert_ok(kad_overlay_put(&overlay, 5, &record, NULL));
}

static void ping_returns_the_id_of_the_contact(void **state) {
  (void)state;
  const struct kad_address address = kad_overlay_address(9);

  assert_ok(kad_node_ping(overlay.nodes[2], &address, kad_ending_done, &ending,
                          NULL));

  assert_ok(kad_ending_await(&ending));
  assert_true(kad_id_equal(&ending.result.from.id, &overlay.ids[9]));
  assert_int_equal(ending.result.messages, 1);
}

static void ping_of_a_dead_address_times_out(void **state) {
  (void)state;
  const struct kad_address address = kad_overlay_address(300);

  assert_ok(kad_node_ping(overlay.nodes[2], &address, kad_ending_done, &ending,
                          NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ETIMEOUT);
}

static void call_of_an_unknown_method_returns_the_error(void **state) {
  (void)state;
  const struct kad_contact to = {.address = kad_overlay_address(9)};
  const struct kad_slice nothing = {0};

  assert_ok(kad_node_call(overlay.nodes[2], &to, kad_slice_of("sing"), nothing,
                          kad_ending_done, &ending, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_EREMOTE);
  assert_int_equal(ending.result.code, KAD_CODE_METHOD);
}

static void call_rejects_methods_of_the_core(void **state) {
  (void)state;
  const struct kad_contact to = {.address = kad_overlay_address(9)};
  const struct kad_contact nowhere = {{{0}}, {{0}, 0, 0, 0}};
  const struct kad_slice none = {0};
  struct kad_node *node = overlay.nodes[2];
  const struct kad_slice name = kad_slice_of("sing");

  assert_int_equal(kad_node_call(node, &to, none, none, NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(
      kad_node_call(node, &to, kad_slice_of("ping"), none, NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_call(node, &to, name, kad_slice_of("i1e"), NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_call(node, &to, name, kad_slice_of("d"), NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(kad_node_call(node, &to, name, kad_slice_of("d2:id2:mee"),
                                 NULL, NULL, NULL),
                   KAD_EINVAL);
  assert_int_equal(kad_node_call(node, &nowhere, name, none, NULL, NULL, NULL),
                   KAD_EINVAL);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_thirty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(options_out_of_range_are_rejected),
      IN_OVERLAY(missing_arguments_are_rejected),
      IN_OVERLAY(lookups_over_max_lookups_are_queued),
      IN_OVERLAY(full_queue_is_busy),
      IN_OVERLAY(cancel_ends_a_queued_and_a_running_operation_once),
      IN_OVERLAY(callback_may_start_and_cancel_operations),
      IN_OVERLAY(closing_a_node_ends_its_operations),
      IN_OVERLAY(operation_ends_whichever_allocation_fails),
      IN_OVERLAY(ping_returns_the_id_of_the_contact),
      IN_OVERLAY(ping_of_a_dead_address_times_out),
      IN_OVERLAY(call_of_an_unknown_method_returns_the_error),
      IN_OVERLAY(call_rejects_methods_of_the_core),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
