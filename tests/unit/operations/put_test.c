/* Storing in an overlay: where a record is stored, and the result of the put.
 */
#include "overlay.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  NODES = 40,
  K = 8
};

static struct kad_overlay overlay;
static struct kad_ending ending;

static int open_forty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 4, NODES);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static void record_is_stored_at_the_k_closest(void **state) {
  (void)state;
  for (unsigned i = 0; i < 10; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    const size_t putter = i * 3;
    size_t closest[K];
    kad_ending_deinit(&ending);
    kad_ending_init(&ending, &overlay);
    const size_t held_before = kad_overlay_held(&overlay, putter);
    (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
    size_t before[K];
    for (size_t j = 0; j < K; j++) {
      before[j] = kad_overlay_held(&overlay, closest[j]);
    }

    assert_ok(kad_overlay_put(&overlay, putter, &record, &ending));

    bool is_own = false;
    for (size_t j = 0; j < K; j++) {
      assert_int_equal(kad_overlay_held(&overlay, closest[j]), before[j] + 1);
      is_own = is_own || closest[j] == putter;
    }
    assert_int_equal(kad_overlay_held(&overlay, putter), held_before + is_own);
    assert_int_equal(ending.result.stored, K);
    assert_int_equal(ending.result.asked, K);
    assert_true(ending.result.messages + is_own >= 2 * K);
    assert_int_equal(ending.result.code, 0);
  }
}

/* Makes a record of `seq`, signed by the key pair of `seed`. */
static struct kad_record sign(const struct kad_id *key, const char *value,
                              int64_t seq, uint8_t seed) {
  static uint8_t publisher[KAD_PUBLISHER_SIZE];
  static uint8_t secret[KAD_SECRET_SIZE];
  static uint8_t signature[KAD_SIGNATURE_SIZE];
  const uint8_t seeds[32] = {seed};
  struct kad_record record = kad_overlay_record(key, value);
  kad_keypair(seeds, publisher, secret);
  record.publisher = publisher;
  record.signature = signature;
  record.seq = seq;
  record.has_seq = true;
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  return record;
}

static void put_of_a_lower_seq_is_rejected_by_the_holders(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record newer = sign(&key, "new", 5, 1);
  assert_ok(kad_overlay_put(&overlay, 1, &newer, NULL));

  const struct kad_record older = sign(&key, "old", 4, 1);
  assert_int_equal(kad_overlay_put(&overlay, 2, &older, &ending), KAD_EREMOTE);

  assert_int_equal(ending.result.code, KAD_CODE_SEQ);
  assert_string_equal(ending.reason, "sequence number too low");
  assert_int_equal(ending.result.stored, 0);
}

static void bad_signature_is_rejected_here(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = sign(&key, "v", 1, 1);
  record.seq = 2;
  const uint64_t queries = kad_overlay_stats(&overlay, 1).queries;

  assert_ok(kad_node_put(overlay.nodes[1], &record, NULL, kad_ending_done,
                         &ending, NULL));
  kad_overlay_run(&overlay, 10);

  assert_int_equal(ending.result.status, KAD_ESIGNATURE);
  assert_int_equal(ending.result.code, KAD_CODE_SIGNATURE);
  assert_int_equal(kad_overlay_stats(&overlay, 1).queries, queries);
}

static void value_too_large_is_rejected_here(void **state) {
  (void)state;
  static const uint8_t bytes[KAD_ITEM_VALUE_MAX + 1];
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = kad_overlay_record(&key, "");
  record.value = (struct kad_slice){bytes, sizeof bytes};

  assert_int_equal(kad_overlay_put(&overlay, 1, &record, &ending), KAD_ETOOBIG);

  assert_int_equal(ending.result.code, KAD_CODE_TOO_BIG);
}

static void largest_value_is_stored(void **state) {
  (void)state;
  static const uint8_t bytes[KAD_ITEM_VALUE_MAX];
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = kad_overlay_record(&key, "");
  record.value = (struct kad_slice){bytes, sizeof bytes};

  assert_ok(kad_overlay_put(&overlay, 1, &record, &ending));

  assert_true(ending.result.stored >= K);
}

static void unknown_type_is_an_error(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = kad_overlay_record(&key, "v");
  record.type = kad_slice_of("unheard-of");

  assert_int_equal(kad_overlay_put(&overlay, 1, &record, &ending), KAD_ETYPE);
}

/* A policy whose calls the test may complete later. */
struct policy_calls {
  uint64_t call_ids[8];
  size_t asked;
  size_t abandoned;
  enum kad_verdict verdict; /* of the hook; or KAD_VERDICT_PENDING */
};

static void record_call(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  struct policy_calls *policy_calls = state;
  answer->verdict = policy_calls->verdict;
  answer->code = 299;
  answer->reason = kad_slice_of("not like that");
  if (policy_calls->verdict == KAD_VERDICT_PENDING) {
    assert_true(policy_calls->asked < 8);
    policy_calls->call_ids[policy_calls->asked] = call->call_id;
  }
  policy_calls->asked++;
}

static void abandon(void *state, uint64_t call_id) {
  struct policy_calls *policy_calls = state;
  (void)call_id;
  policy_calls->abandoned++;
}

/* Gives node `i` the hooks `validate` and `merge` for plain values. */
static void set_policy(size_t i, struct policy_calls *policy_calls,
                       kad_hook_fn validate, kad_hook_fn merge) {
  const struct kad_type type = {.name = "value",
                                .state = policy_calls,
                                .validate = validate,
                                .merge = merge};
  const struct kad_policy policy = {.state = policy_calls,
                                    .types = &type,
                                    .type_count = 1,
                                    .abandon = abandon};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
}

static void own_policy_rejects_before_any_query(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_REJECT};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  set_policy(1, &policy_calls, record_call, NULL);

  assert_int_equal(kad_overlay_put(&overlay, 1, &record, &ending),
                   KAD_EREFUSED);

  assert_int_equal(ending.result.code, 299);
  assert_string_equal(ending.reason, "not like that");
  assert_int_equal(ending.result.messages, 0);
}

static void own_policy_may_be_pending(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_PENDING};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  set_policy(1, &policy_calls, record_call, NULL);
  assert_ok(kad_node_put(overlay.nodes[1], &record, NULL, kad_ending_done,
                         &ending, NULL));
  kad_overlay_run(&overlay, 1500);
  assert_int_equal(ending.calls, 0);

  assert_ok(
      kad_node_complete_hook(overlay.nodes[1], policy_calls.call_ids[0], &yes));

  assert_ok(kad_ending_await(&ending));
  assert_true(ending.result.stored >= K);
  assert_int_equal(policy_calls.asked, 1);
}

static void own_policy_at_its_deadline_fails_the_put(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_PENDING};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  set_policy(1, &policy_calls, record_call, NULL);

  assert_int_equal(kad_overlay_put(&overlay, 1, &record, &ending),
                   KAD_EREFUSED);

  assert_int_equal(ending.result.code, KAD_CODE_FAILED);
  assert_int_equal(policy_calls.abandoned, 1);
}

static void cancel_cancels_the_hook_call(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_PENDING};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  kad_operation_id operation;
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  set_policy(1, &policy_calls, record_call, NULL);
  assert_ok(kad_node_put(overlay.nodes[1], &record, NULL, kad_ending_done,
                         &ending, &operation));
  kad_overlay_run(&overlay, 10);

  assert_ok(kad_node_cancel(overlay.nodes[1], operation));

  assert_int_equal(kad_ending_await(&ending), KAD_ECANCELED);
  assert_int_equal(policy_calls.abandoned, 1);
  assert_int_equal(
      kad_node_complete_hook(overlay.nodes[1], policy_calls.call_ids[0], &yes),
      KAD_ENOTFOUND);
}

static void node_closes_while_a_hook_call_is_pending(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_PENDING};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  set_policy(1, &policy_calls, record_call, NULL);
  assert_ok(kad_node_put(overlay.nodes[1], &record, NULL, kad_ending_done,
                         &ending, NULL));
  kad_overlay_run(&overlay, 10);
  assert_int_equal(policy_calls.asked, 1);

  kad_overlay_kill(&overlay, 1);
  kad_overlay_run(&overlay, 10);

  assert_int_equal(ending.calls, 1);
  assert_int_equal(ending.result.status, KAD_ECLOSED);
  assert_int_equal(policy_calls.abandoned, 1);
}

static void rejection_by_all_contacts_is_reported(void **state) {
  (void)state;
  struct policy_calls policy_calls = {.verdict = KAD_VERDICT_REJECT};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  for (size_t i = 0; i < NODES; i++) {
    set_policy(i, &policy_calls, i == 1 ? NULL : record_call, NULL);
  }

  assert_int_equal(kad_overlay_put(&overlay, 1, &record, &ending), KAD_EREMOTE);

  assert_int_equal(ending.result.code, 299);
  assert_string_equal(ending.reason, "not like that");
  assert_true(ending.result.asked >= K);
}

/* With k = 1, if this node is the only holder, no contact gets a store. */
static void only_holder_may_be_this_node(void **state) {
  (void)state;
  const struct kad_id key = overlay.ids[1];
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_lookup_options one = {.k = 1};

  assert_ok(kad_node_put(overlay.nodes[1], &record, &one, kad_ending_done,
                         &ending, NULL));

  assert_ok(kad_ending_await(&ending));
  assert_int_equal(ending.result.stored, 1);
  assert_int_equal(kad_overlay_held(&overlay, 1), 1);
}

static void put_goes_on_while_some_holders_die(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  size_t closest[K];
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[1], closest, K);
  for (size_t i = 0; i < K; i += 2) {
    kad_overlay_kill(&overlay, closest[i]);
  }

  assert_ok(kad_overlay_put(&overlay, 1, &record, &ending));

  assert_int_equal(ending.result.stored, K);
}

/* --------------------------------------------------------- stored here -- */

static void put_without_contacts_is_stored_here(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  (void)kad_overlay_add(&overlay);

  assert_ok(kad_overlay_put(&overlay, lone, &record, &ending));

  assert_int_equal(ending.result.stored, 1);
  assert_int_equal(ending.result.asked, 1);
  assert_int_equal(kad_overlay_held(&overlay, lone), 1);
}

static void read_only_node_stores_nothing_itself(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  overlay.config.read_only = true;
  (void)kad_overlay_add(&overlay);

  assert_int_equal(kad_overlay_put(&overlay, lone, &record, &ending),
                   KAD_ENOCONTACTS);

  assert_int_equal(ending.result.stored, 0);
  assert_int_equal(kad_overlay_held(&overlay, lone), 0);
}

static void lone_put_reaches_the_overlay_once_there_is_one(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  (void)kad_overlay_add(&overlay);
  (void)kad_overlay_put(&overlay, lone, &record, NULL);
  kad_overlay_join(&overlay, lone, 0);
  struct kad_ending got;
  kad_ending_init(&got, &overlay);

  kad_overlay_run(&overlay, 80 * KAD_MINUTE_MS);

  assert_ok(kad_overlay_get(&overlay, 7, &key, "value", NULL, &got));
  assert_int_equal(got.result.record_count, 1);
  assert_true(got.result.holders >= K);
  kad_ending_deinit(&got);
}

/* The merge of the store at this node may be pending after all contacts have
 * answered, or after the put has ended. */
static size_t open_lone_with_pending_merge(struct policy_calls *policy_calls) {
  const size_t lone = overlay.count;
  *policy_calls = (struct policy_calls){.verdict = KAD_VERDICT_PENDING};
  (void)kad_overlay_add(&overlay);
  set_policy(lone, policy_calls, NULL, record_call);
  return lone;
}

static void put_waits_for_the_store_at_this_node(void **state) {
  (void)state;
  struct policy_calls policy_calls;
  const size_t lone = open_lone_with_pending_merge(&policy_calls);
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_hook_result yes = {
      .verdict = KAD_VERDICT_ACCEPT, .records = &record, .record_count = 1};
  assert_ok(kad_node_put(overlay.nodes[lone], &record, NULL, kad_ending_done,
                         &ending, NULL));
  kad_overlay_run(&overlay, 1000);
  assert_int_equal(policy_calls.asked, 1);
  assert_int_equal(ending.calls, 0);

  assert_ok(kad_node_complete_hook(overlay.nodes[lone],
                                   policy_calls.call_ids[0], &yes));

  assert_ok(kad_ending_await(&ending));
  assert_int_equal(ending.result.stored, 1);
  assert_int_equal(kad_overlay_held(&overlay, lone), 1);
}

static void store_at_this_node_outlives_a_canceled_put(void **state) {
  (void)state;
  struct policy_calls policy_calls;
  const size_t lone = open_lone_with_pending_merge(&policy_calls);
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_hook_result yes = {
      .verdict = KAD_VERDICT_ACCEPT, .records = &record, .record_count = 1};
  kad_operation_id operation;
  assert_ok(kad_node_put(overlay.nodes[lone], &record, NULL, kad_ending_done,
                         &ending, &operation));
  kad_overlay_run(&overlay, 100);
  assert_ok(kad_node_cancel(overlay.nodes[lone], operation));
  assert_int_equal(kad_ending_await(&ending), KAD_ECANCELED);

  /* The call is past its deadline; the next one is not. */
  kad_operation_id again;
  struct kad_ending other;
  kad_ending_init(&other, &overlay);
  assert_ok(kad_node_put(overlay.nodes[lone], &record, NULL, kad_ending_done,
                         &other, &again));
  kad_overlay_run(&overlay, 100);
  assert_ok(kad_node_cancel(overlay.nodes[lone], again));
  kad_overlay_run(&overlay, 100);
  assert_ok(kad_node_complete_hook(overlay.nodes[lone],
                                   policy_calls.call_ids[1], &yes));

  assert_int_equal(other.calls, 1);
  assert_int_equal(kad_overlay_held(&overlay, lone), 1);
  kad_ending_deinit(&other);
}

static void node_closes_while_the_store_at_this_node_is_pending(void **state) {
  (void)state;
  struct policy_calls policy_calls;
  const size_t lone = open_lone_with_pending_merge(&policy_calls);
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  assert_ok(kad_node_put(overlay.nodes[lone], &record, NULL, kad_ending_done,
                         &ending, NULL));
  kad_overlay_run(&overlay, 100);

  kad_overlay_kill(&overlay, lone);
  kad_overlay_run(&overlay, 100);

  assert_int_equal(ending.calls, 1);
  assert_int_equal(ending.result.status, KAD_ECLOSED);
  assert_int_equal(policy_calls.abandoned, 1);
}

/* ------------------------------------------------------------- announce -- */

static bool has_peer(const struct kad_ending *got,
                     const struct kad_address *peer) {
  for (size_t i = 0; i < got->result.peer_count; i++) {
    if (kad_address_equal(&got->result.peers[i], peer)) {
      return true;
    }
  }
  return false;
}

static void announced_peers_are_found(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);
  struct kad_address with_port = kad_overlay_address(3);
  const struct kad_address implied = kad_overlay_address(4);
  struct kad_ending announced;
  with_port.port = 4242;
  for (size_t i = 3; i <= 4; i++) {
    kad_ending_init(&announced, &overlay);
    assert_ok(kad_node_announce(overlay.nodes[i], &key, i == 3 ? 4242 : 0, NULL,
                                kad_ending_done, &announced, NULL));
    assert_ok(kad_ending_await(&announced));
    assert_int_equal(announced.result.stored, K);
    kad_ending_deinit(&announced);
  }

  assert_ok(kad_node_get_peers(overlay.nodes[20], &key, NULL, kad_ending_done,
                               &ending, NULL));

  assert_ok(kad_ending_await(&ending));
  assert_int_equal(ending.result.peer_count, 2);
  assert_true(has_peer(&ending, &with_port));
  assert_true(has_peer(&ending, &implied));
  assert_true(ending.result.holders >= K - 1);
}

static void missing_peers_are_not_found(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);

  assert_ok(kad_node_get_peers(overlay.nodes[20], &key, NULL, kad_ending_done,
                               &ending, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOTFOUND);
  assert_int_equal(ending.result.peer_count, 0);
}

static void announce_and_put_work_in_both_families(void **state) {
  (void)state;
  struct kad_overlay both;
  struct kad_ending got;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  kad_overlay_open(&both, 6);
  both.dual = true;
  kad_overlay_grow(&both, 20);
  kad_ending_init(&got, &both);

  assert_ok(kad_overlay_put(&both, 5, &record, &got));

  assert_true(got.result.stored >= 2 * K);
  size_t of_v6 = 0;
  for (size_t i = 0; i < got.result.closest_count; i++) {
    of_v6 += got.result.closest[i].address.family == 6;
  }
  assert_int_equal(of_v6, K);
  assert_int_equal(got.result.closest_count, 2 * K);
  kad_ending_deinit(&got);
  kad_overlay_close(&both);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_forty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(record_is_stored_at_the_k_closest),
      IN_OVERLAY(put_of_a_lower_seq_is_rejected_by_the_holders),
      IN_OVERLAY(bad_signature_is_rejected_here),
      IN_OVERLAY(value_too_large_is_rejected_here),
      IN_OVERLAY(largest_value_is_stored),
      IN_OVERLAY(unknown_type_is_an_error),
      IN_OVERLAY(own_policy_rejects_before_any_query),
      IN_OVERLAY(own_policy_may_be_pending),
      IN_OVERLAY(own_policy_at_its_deadline_fails_the_put),
      IN_OVERLAY(cancel_cancels_the_hook_call),
      IN_OVERLAY(node_closes_while_a_hook_call_is_pending),
      IN_OVERLAY(rejection_by_all_contacts_is_reported),
      IN_OVERLAY(only_holder_may_be_this_node),
      IN_OVERLAY(put_goes_on_while_some_holders_die),
      IN_OVERLAY(put_without_contacts_is_stored_here),
      IN_OVERLAY(read_only_node_stores_nothing_itself),
      IN_OVERLAY(lone_put_reaches_the_overlay_once_there_is_one),
      IN_OVERLAY(put_waits_for_the_store_at_this_node),
      IN_OVERLAY(store_at_this_node_outlives_a_canceled_put),
      IN_OVERLAY(node_closes_while_the_store_at_this_node_is_pending),
      IN_OVERLAY(announced_peers_are_found),
      IN_OVERLAY(missing_peers_are_not_found),
      IN_OVERLAY(announce_and_put_work_in_both_families),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
