/* Reading records in an overlay: which are found, in which order, and the hooks
 * that a policy has for them. */
#include "overlay.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  NODES = 40,
  K = 8
};

static struct kad_overlay overlay;
static struct kad_ending got;
static struct kad_id key;

static int open_forty(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 3);
  kad_overlay_grow(&overlay, NODES);
  kad_ending_init(&got, &overlay);
  key = kad_overlay_key(1);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_deinit(&got);
  kad_overlay_close(&overlay);
  return 0;
}

static void put(size_t i, const char *value) {
  const struct kad_record record = kad_overlay_record(&key, value);
  assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
}

static int get(size_t i, const struct kad_lookup_options *options) {
  return kad_overlay_get(&overlay, i, &key, "value", options, &got);
}

/* Returns the index of `value` in the results, or their number. */
static size_t find_value(const char *value) {
  size_t i = 0;
  while (i < got.result.record_count &&
         !kad_slice_equal(got.result.records[i].value, kad_slice_of(value))) {
    i++;
  }
  return i;
}

/* Returns a node that is not among the 2 k closest to the key. */
static size_t pick_far(void) {
  size_t order[NODES];
  const size_t count = kad_overlay_closest(&overlay, &key, NULL, order, NODES);
  return order[count - 1];
}

static void stored_value_is_found(void **state) {
  (void)state;
  put(1, "hello");

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, 1);
  assert_slice_is(got.result.records[0].value, "hello");
  assert_slice_is(got.result.records[0].type, "value");
  assert_true(kad_id_equal(&got.result.records[0].key, &key));
  assert_true(got.result.records[0].ttl > 80000);
  assert_true(got.result.records[0].ttl <= 86400);
  assert_int_equal(got.result.holders, K);
  size_t had_value = 0;
  for (size_t i = 0; i < got.result.path_count; i++) {
    had_value += got.result.path[i].had_value;
  }
  assert_int_equal(had_value, K);
}

static void missing_value_is_not_found(void **state) {
  (void)state;

  assert_int_equal(get(1, NULL), KAD_ENOTFOUND);

  assert_int_equal(got.result.record_count, 0);
  assert_int_equal(got.result.holders, 0);
  assert_int_equal(got.result.closest_count, K);
}

static void lone_node_has_no_contacts(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  (void)kad_overlay_add(&overlay);

  assert_int_equal(get(lone, NULL), KAD_ENOCONTACTS);
}

static void unknown_type_is_an_error(void **state) {
  (void)state;

  assert_int_equal(kad_overlay_get(&overlay, 1, &key, "unheard-of", NULL, &got),
                   KAD_ETYPE);
}

static void several_values_are_found(void **state) {
  (void)state;
  put(1, "one");
  put(2, "two");
  put(3, "three");

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, 3);
  assert_true(find_value("one") < 3);
  assert_true(find_value("two") < 3);
  assert_true(find_value("three") < 3);
}

static void more_values_than_fit_in_a_datagram_are_found(void **state) {
  (void)state;
  enum {
    VALUES = 40
  };
  char value[100];
  for (int i = 0; i < VALUES; i++) {
    memset(value, 'a' + i % 26, sizeof value - 1);
    snprintf(value, sizeof value, "%02d", i);
    value[2] = '.';
    value[sizeof value - 1] = 0;
    put(1, value);
  }

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, VALUES);
}

static void empty_value_is_a_value(void **state) {
  (void)state;
  put(1, "");

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, 1);
  assert_int_equal(got.result.records[0].value.len, 0);
}

static void second_put_adds_no_value(void **state) {
  (void)state;
  put(1, "same");
  put(2, "same");

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, 1);
}

/* The keys of a signed record. */
struct signer {
  uint8_t *publisher;
  uint8_t *signature;
};

static struct kad_record sign(const struct signer *signer, const char *value,
                              int64_t seq, const char *salt) {
  const uint8_t seed[32] = {7};
  uint8_t secret[KAD_SECRET_SIZE];
  struct kad_record record = kad_overlay_record(&key, value);
  kad_keypair(seed, signer->publisher, secret);
  record.publisher = signer->publisher;
  record.signature = signer->signature;
  record.salt = kad_slice_of(salt);
  record.seq = seq;
  record.has_seq = true;
  assert_ok(kad_record_sign(&record, 160, secret, signer->signature));
  return record;
}

static void put_signed(size_t i, const char *value, int64_t seq,
                       const char *salt) {
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct signer signer = {publisher, signature};
  const struct kad_record record = sign(&signer, value, seq, salt);
  assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
}

static void higher_seq_replaces_a_lower(void **state) {
  (void)state;
  put_signed(1, "first", 1, "");
  put_signed(2, "second", 2, "");
  put_signed(3, "beside", 1, "other salt");

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.record_count, 2);
  assert_int_equal(find_value("second"), 0);
  assert_int_equal(got.result.records[0].seq, 2);
  assert_int_equal(find_value("beside"), 1);
}

/* Only the four closest store the update. The reader gets only the update. */
static void newer_record_wins_over_stale_holders(void **state) {
  (void)state;
  const struct kad_lookup_options four = {.k = 4};
  struct kad_ending put_ending;
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct signer signer = {publisher, signature};
  const struct kad_record record = sign(&signer, "new", 2, "");
  put_signed(pick_far(), "old", 1, "");
  kad_ending_init(&put_ending, &overlay);
  assert_ok(kad_node_put(overlay.nodes[pick_far()], &record, &four,
                         kad_ending_done, &put_ending, NULL));
  assert_ok(kad_ending_await(&put_ending));
  assert_int_equal(put_ending.result.stored, 4);
  kad_ending_deinit(&put_ending);

  assert_ok(get(pick_far(), NULL));

  assert_int_equal(got.result.holders, K);
  assert_int_equal(got.result.record_count, 1);
  assert_slice_is(got.result.records[0].value, "new");
}

static void quorum_ends_a_get_early(void **state) {
  (void)state;
  const struct kad_lookup_options one = {.quorum = 1, .alpha = 1};
  put(1, "hello");
  const size_t reader = pick_far();
  assert_ok(get(reader, NULL));
  const uint32_t messages = got.result.messages;
  assert_int_equal(got.result.holders, K);
  kad_ending_deinit(&got);
  kad_ending_init(&got, &overlay);

  assert_ok(get(reader, &one));

  assert_int_equal(got.result.holders, 1);
  assert_int_equal(got.result.record_count, 1);
  assert_true(got.result.messages < messages);
}

static void holder_with_quorum_one_sends_no_query(void **state) {
  (void)state;
  const struct kad_lookup_options one = {.quorum = 1};
  size_t closest[1];
  put(1, "hello");
  (void)kad_overlay_closest(&overlay, &key, NULL, closest, 1);

  assert_ok(get(closest[0], &one));

  assert_int_equal(got.result.messages, 0);
  assert_int_equal(got.result.record_count, 1);
}

static void quorum_ends_a_search_for_peers(void **state) {
  (void)state;
  const struct kad_lookup_options one = {.quorum = 1, .alpha = 1};
  struct kad_ending announced;
  kad_ending_init(&announced, &overlay);
  assert_ok(kad_node_announce(overlay.nodes[1], &key, 99, NULL, kad_ending_done,
                              &announced, NULL));
  assert_ok(kad_ending_await(&announced));
  kad_ending_deinit(&announced);

  assert_ok(kad_node_get_peers(overlay.nodes[pick_far()], &key, &one,
                               kad_ending_done, &got, NULL));

  assert_ok(kad_ending_await(&got));
  assert_int_equal(got.result.holders, 1);
  assert_int_equal(got.result.peer_count, 1);
}

/* -------------------------------------------------------------- policies -- */

/* Hooks that reject values that begin with `!`, merge to the longest value, and
 * select the first record. Each call may be pending. */
struct policy {
  bool later;
  bool refuse_select;
  bool fail_merge;
  struct kad_node *node;
  uint64_t call_ids[64];
  struct kad_record answers[64]; /* of the pending calls, if `has` */
  bool has[64];
  enum kad_verdict verdicts[64];
  size_t open;
  unsigned validated;
  unsigned merged;
  unsigned selected;
};

static struct policy policy;

/* Returns the result now, or keeps it for the pending call. */
static void return_result(const struct kad_hook_call *call,
                          struct kad_hook_result *answer,
                          enum kad_verdict verdict,
                          const struct kad_record *record) {
  if (!policy.later) {
    answer->verdict = verdict;
    answer->records = record;
    answer->record_count = record != NULL;
    return;
  }
  assert_true(policy.open < 64);
  policy.call_ids[policy.open] = call->call_id;
  policy.verdicts[policy.open] = verdict;
  policy.has[policy.open] = record != NULL;
  if (record != NULL) {
    policy.answers[policy.open] = *record;
  }
  policy.open++;
  answer->verdict = KAD_VERDICT_PENDING;
}

/* Copies a record of a call, which is valid during the call only. */
static struct kad_record keep_record(const struct kad_record *record) {
  static uint8_t bytes[64][64];
  static size_t used;
  struct kad_record kept = {0};
  uint8_t *place = bytes[used++ % 64];
  assert_true(record->value.len <= 64);
  memcpy(place, record->value.data, record->value.len);
  kept.value = (struct kad_slice){place, record->value.len};
  return kept;
}

static void validate(void *state, const struct kad_hook_call *call,
                     struct kad_hook_result *answer) {
  (void)state;
  policy.validated++;
  assert_int_equal(call->reason, KAD_REASON_GET);
  return_result(call, answer,
                call->record->value.data[0] == '!' ? KAD_VERDICT_REJECT
                                                   : KAD_VERDICT_ACCEPT,
                NULL);
}

static void merge(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *answer) {
  static struct kad_record winner;
  (void)state;
  policy.merged++;
  assert_int_equal(call->reason, KAD_REASON_GET);
  assert_true(call->held_count <= 1);
  const bool wins = call->held_count == 0 ||
                    call->record->value.len > call->held[0].value.len;
  winner = keep_record(wins ? call->record : &call->held[0]);
  return_result(call, answer,
                policy.fail_merge ? KAD_VERDICT_FAILED : KAD_VERDICT_ACCEPT,
                &winner);
}

static void select_first(void *state, const struct kad_hook_call *call,
                         struct kad_hook_result *answer) {
  static struct kad_record chosen;
  (void)state;
  policy.selected++;
  chosen = keep_record(&call->held[call->held_count - 1]);
  return_result(call, answer,
                policy.refuse_select ? KAD_VERDICT_FAILED : KAD_VERDICT_ACCEPT,
                &chosen);
}

static void set_policy(size_t i, kad_hook_fn validate_hook,
                       kad_hook_fn merge_hook, kad_hook_fn select_hook) {
  const struct kad_type type = {.name = "value",
                                .validate = validate_hook,
                                .merge = merge_hook,
                                .select = select_hook};
  const struct kad_policy rules = {.types = &type, .type_count = 1};
  policy = (struct policy){.node = overlay.nodes[i]};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &rules));
}

/* Gets at node `i`, and completes each pending call after 100 ms. */
static int get_with_answers(size_t i) {
  assert_ok(kad_node_get(overlay.nodes[i], &key, kad_slice_of("value"), NULL,
                         kad_ending_done, &got, NULL));
  size_t answered = 0;
  for (unsigned turn = 0; turn < 200 && got.calls == 0; turn++) {
    kad_overlay_run(&overlay, 100);
    for (; answered < policy.open; answered++) {
      const struct kad_hook_result answer = {
          .verdict = policy.verdicts[answered],
          .records = &policy.answers[answered],
          .record_count = policy.has[answered],
      };
      assert_ok(kad_node_complete_hook(policy.node, policy.call_ids[answered],
                                       &answer));
    }
  }
  return kad_ending_await(&got);
}

static void put_three(void) {
  put(1, "a");
  put(2, "!refused by its reader");
  put(3, "longest");
}

static void reader_validates_the_records(void **state) {
  (void)state;
  const size_t reader = pick_far();
  for (int later = 0; later <= 1; later++) {
    if (later == 0) {
      put_three();
    }
    kad_ending_deinit(&got);
    kad_ending_init(&got, &overlay);
    set_policy(reader, validate, NULL, NULL);
    policy.later = later;

    assert_ok(get_with_answers(reader));

    assert_int_equal(got.result.record_count, 2);
    assert_int_equal(find_value("!refused by its reader"), 2);
    assert_int_equal(policy.validated, 3);
  }
}

static void reader_merges_and_selects(void **state) {
  (void)state;
  const size_t reader = pick_far();
  put_three();
  for (int later = 0; later <= 1; later++) {
    kad_ending_deinit(&got);
    kad_ending_init(&got, &overlay);
    set_policy(reader, validate, merge, select_first);
    policy.later = later;

    assert_ok(get_with_answers(reader));

    assert_int_equal(got.result.record_count, 1);
    assert_slice_is(got.result.records[0].value, "longest");
    assert_slice_is(got.result.records[0].type, "value");
    assert_true(kad_id_equal(&got.result.records[0].key, &key));
    assert_int_equal(policy.merged, 2);
    assert_int_equal(policy.selected, 1);
  }
}

static void select_that_fails_leaves_the_default(void **state) {
  (void)state;
  const size_t reader = pick_far();
  put_three();
  set_policy(reader, NULL, NULL, select_first);
  policy.refuse_select = true;

  assert_ok(get_with_answers(reader));

  assert_int_equal(got.result.record_count, 3);
}

static void merge_that_fails_drops_the_record(void **state) {
  (void)state;
  const size_t reader = pick_far();
  put_three();
  set_policy(reader, NULL, merge, NULL);
  policy.fail_merge = true;

  assert_int_equal(get_with_answers(reader), KAD_ENOTFOUND);
  assert_int_equal(policy.merged, 3);
}

static void pending_calls_do_not_delay_the_end_of_a_get(void **state) {
  (void)state;
  const size_t reader = pick_far();
  const struct kad_lookup_options options = {.deadline_ms = 3000};
  for (unsigned i = 0; i < 12; i++) {
    const char value[] = {(char)('a' + i), '\0'};
    put(i, value);
  }
  set_policy(reader, validate, NULL, NULL);
  policy.later = true;

  assert_int_equal(get(reader, &options), KAD_ETIMEOUT);

  assert_in_range(got.result.took_ms, 3000, 3000 + 4000 + 1000 + 10);
  assert_int_equal(kad_overlay_stats(&overlay, reader).pending_hooks, 0);
}

static void node_closes_while_a_get_waits(void **state) {
  (void)state;
  const size_t reader = pick_far();
  put_three();
  set_policy(reader, validate, merge, select_first);
  policy.later = true;
  assert_ok(kad_node_get(overlay.nodes[reader], &key, kad_slice_of("value"),
                         NULL, kad_ending_done, &got, NULL));
  kad_overlay_run(&overlay, 1500);
  assert_int_equal(policy.open, 1);

  kad_overlay_kill(&overlay, reader);
  kad_overlay_run(&overlay, 100);

  assert_int_equal(got.calls, 1);
  assert_int_equal(got.result.status, KAD_ECLOSED);
  assert_int_equal(policy.open, 1);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_forty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(stored_value_is_found),
      IN_OVERLAY(missing_value_is_not_found),
      IN_OVERLAY(lone_node_has_no_contacts),
      IN_OVERLAY(unknown_type_is_an_error),
      IN_OVERLAY(several_values_are_found),
      IN_OVERLAY(more_values_than_fit_in_a_datagram_are_found),
      IN_OVERLAY(empty_value_is_a_value),
      IN_OVERLAY(second_put_adds_no_value),
      IN_OVERLAY(higher_seq_replaces_a_lower),
      IN_OVERLAY(newer_record_wins_over_stale_holders),
      IN_OVERLAY(quorum_ends_a_get_early),
      IN_OVERLAY(holder_with_quorum_one_sends_no_query),
      IN_OVERLAY(quorum_ends_a_search_for_peers),
      IN_OVERLAY(reader_validates_the_records),
      IN_OVERLAY(reader_merges_and_selects),
      IN_OVERLAY(select_that_fails_leaves_the_default),
      IN_OVERLAY(merge_that_fails_drops_the_record),
      IN_OVERLAY(pending_calls_do_not_delay_the_end_of_a_get),
      IN_OVERLAY(node_closes_while_a_get_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
