/* Which records enter the store of a node: validate, merge, expire, quotas. */
#include "stores.h"
#include "unit.h"

#include <string.h>

enum {
  OPEN_MAX = 256,
  SET_MAX = 64,
  MINUTE_MS = 60000
};

static struct kad_lone lone;

/* A pending call, which the test completes. */
struct pending_call {
  uint64_t call_id;
  uint8_t set[SET_MAX]; /* merge: the values to hold, a byte each */
  size_t size;
  bool merges;
};

/* The policy: the verdicts of its hooks, and the calls they received. */
struct rules {
  enum kad_verdict validate;
  enum kad_verdict merge; /* KAD_VERDICT_ACCEPT: held and incoming values */
  enum kad_verdict expire;
  uint32_t life_s;
  struct pending_call open[OPEN_MAX];
  size_t open_count;
  unsigned stored;
  unsigned dropped;
  uint8_t last_dropped;
  unsigned abandoned;
  struct kad_contact from;
  bool proven;
  enum kad_reason reason;
  bool overlong; /* merge: a value that is too long */
};

static struct rules rules;

static struct pending_call *pending_call(const struct kad_hook_call *call,
                                         struct kad_hook_result *answer) {
  struct pending_call *open = &rules.open[rules.open_count++];
  assert_true(rules.open_count <= OPEN_MAX);
  *open = (struct pending_call){.call_id = call->call_id};
  answer->verdict = KAD_VERDICT_PENDING;
  return open;
}

static void validate(void *state, const struct kad_hook_call *call,
                     struct kad_hook_result *answer) {
  (void)state;
  rules.from = call->from;
  rules.proven = call->proven;
  rules.reason = call->reason;
  answer->verdict = rules.validate;
  answer->code = 250;
  answer->reason = kad_slice_of("not today");
  if (rules.validate == KAD_VERDICT_PENDING) {
    (void)pending_call(call, answer);
  }
}

/* Makes records of single bytes. Valid until the next call. */
static const struct kad_record *records_of(const uint8_t *set, size_t size) {
  static uint8_t bytes[SET_MAX];
  static struct kad_record records[SET_MAX];
  memcpy(bytes, set, size);
  memset(records, 0, sizeof records);
  for (size_t i = 0; i < size; i++) {
    records[i].value = (struct kad_slice){&bytes[i], 1};
  }
  return records;
}

/* Writes the union of the held values and the incoming one to `set`. */
static size_t join_values(const struct kad_hook_call *call, uint8_t *set) {
  size_t size = 0;
  const uint8_t incoming = call->record->value.data[0];
  bool is_new = true;
  for (size_t i = 0; i < call->held_count; i++) {
    set[size] = call->held[i].value.data[0];
    is_new = is_new && set[size] != incoming;
    size++;
  }
  if (is_new) {
    set[size++] = incoming;
  }
  return size;
}

static void merge(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *answer) {
  uint8_t set[SET_MAX + 1];
  const size_t size = join_values(call, set);
  static const uint8_t large[KAD_ITEM_VALUE_MAX + 1];
  static const struct kad_record too_large = {.value = {large, sizeof large}};
  (void)state;
  answer->verdict = rules.merge;
  if (rules.overlong) {
    answer->records = &too_large;
    answer->record_count = 1;
  } else if (rules.merge == KAD_VERDICT_ACCEPT) {
    answer->records = records_of(set, size);
    answer->record_count = size;
  } else if (rules.merge == KAD_VERDICT_PENDING) {
    struct pending_call *open = pending_call(call, answer);
    memcpy(open->set, set, size);
    open->size = size;
    open->merges = true;
  }
}

static void expire(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  answer->verdict = rules.expire;
  answer->seconds = rules.life_s;
  if (rules.expire == KAD_VERDICT_PENDING) {
    (void)pending_call(call, answer);
  }
}

static void stored(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  (void)answer;
  assert_true(call->record->value.len > 0);
  assert_true(call->record->ttl > 0);
  assert_int_equal(call->reason, KAD_REASON_STORE);
  assert_int_not_equal(call->from.address.family, 0);
  rules.stored++;
}

static void dropped(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *answer) {
  (void)state;
  (void)answer;
  rules.dropped++;
  rules.last_dropped = call->record->value.data[0];
}

static void abandon(void *state, uint64_t call_id) {
  (void)state;
  (void)call_id;
  rules.abandoned++;
}

/* Sets the hooks of plain values: those of `type`, `stored` and `dropped`. */
static void set_rules(struct kad_type type) {
  type.name = "value";
  type.stored = stored;
  type.dropped = dropped;
  const struct kad_policy policy = {
      .types = &type, .type_count = 1, .abandon = abandon};
  rules = (struct rules){.life_s = 1};
  assert_ok(kad_node_set_policy(lone.node, &policy));
}

static int open_plain(void **state) {
  const struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_lone_open(&lone, &config);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* ------------------------------------------------------------- validate -- */

static void rejected_record_is_answered_with_its_reason(void **state) {
  (void)state;
  struct kad_message reply;
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_VERDICT_REJECT;

  assert_int_equal(kad_stores_code(&lone, 1, 'a'), 250);

  (void)kad_lone_reply(&lone, &reply);
  assert_slice_is(reply.text, "not today");
  assert_int_equal(kad_lone_records(&lone), 0);
  assert_int_equal(rules.stored, 0);
}

static void validate_sees_the_sender(void **state) {
  (void)state;
  const struct kad_contact known = kad_lone_contact(2);
  set_rules((struct kad_type){.validate = validate});

  kad_stores_put(&lone, 1, 'a');

  assert_int_equal(rules.reason, KAD_REASON_STORE);
  assert_int_equal(rules.from.address.ip[2], 1);
  assert_false(rules.proven);
  kad_lone_add_contact(&lone, &known);
  kad_stores_put(&lone, 2, 'b');
  assert_true(rules.proven);
  kad_stores_assert(&lone, "ba");
}

static void failing_validate_rejects(void **state) {
  (void)state;
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_VERDICT_FAILED;

  assert_int_equal(kad_stores_code(&lone, 1, 'a'), KAD_CODE_FAILED);

  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
  assert_int_equal(kad_lone_records(&lone), 0);
}

static void store_waits_for_a_pending_call(void **state) {
  (void)state;
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 1, 'a');
  const size_t sent = lone.sent;
  kad_lone_run(&lone, 1500);
  assert_int_equal(lone.sent, sent);

  assert_ok(kad_node_complete_hook(lone.node, rules.open[0].call_id, &yes));

  assert_int_equal(lone.sent, sent + 1);
  assert_int_equal(kad_lone_error(&lone), 0);
  kad_stores_assert(&lone, "a");
}

static void call_past_its_deadline_fails(void **state) {
  (void)state;
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 1, 'a');

  kad_lone_run(&lone, 2500);

  assert_int_equal(kad_lone_error(&lone), KAD_CODE_FAILED);
  assert_int_equal(rules.abandoned, 1);
  assert_int_equal(
      kad_node_complete_hook(lone.node, rules.open[0].call_id, &yes),
      KAD_ENOTFOUND);
  assert_int_equal(kad_lone_records(&lone), 0);
}

static void records_of_one_store_are_validated_one_by_one(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  static const uint8_t large[KAD_ITEM_VALUE_MAX + 1];
  const struct kad_record values[] = {
      {.value = {(const uint8_t *)"a", 1}},
      {.value = {large, 400}},
      {.value = {(const uint8_t *)"c", 1}},
  };
  set_rules((struct kad_type){.max_size = 300});

  kad_lone_store(&lone, &from, values, 3);

  (void)kad_lone_reply(&lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_int_equal(reply.stored, 2);
  assert_int_equal(reply.error_count, 1);
  assert_int_equal(reply.errors[0].index, 1);
  assert_int_equal(reply.errors[0].code, KAD_CODE_TOO_BIG);
  kad_stores_assert(&lone, "ca");
}

static void closing_abandons_pending_calls(void **state) {
  (void)state;
  set_rules((struct kad_type){.validate = validate, .merge = merge});
  rules.validate = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 1, 'a');
  rules.validate = KAD_VERDICT_ACCEPT;
  rules.merge = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 3, 'c');
  assert_int_equal(rules.open_count, 2);

  kad_node_free(lone.node);
  lone.node = NULL;

  assert_int_equal(rules.abandoned, 2);
  assert_int_equal(rules.stored, 0);
}

/* ---------------------------------------------------------------- merge -- */

static void merge_sets_what_is_held(void **state) {
  (void)state;
  const uint8_t all[] = {'a', 'b', 'c'};
  set_rules((struct kad_type){.merge = merge});

  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 3, 'c');
  kad_stores_put(&lone, 3, 'a');

  kad_stores_assert_set(&lone, all, sizeof all);
  assert_int_equal(rules.stored, 4);
  assert_int_equal(rules.dropped, 0);
}

static void merge_to_highest(void *state, const struct kad_hook_call *call,
                             struct kad_hook_result *answer) {
  static uint8_t best;
  (void)state;
  best = call->record->value.data[0];
  for (size_t i = 0; i < call->held_count; i++) {
    const uint8_t other = call->held[i].value.data[0];
    best = other > best ? other : best;
  }
  answer->records = records_of(&best, 1);
  answer->record_count = 1;
}

static void merge_may_drop_held_records(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge_to_highest});

  kad_stores_put(&lone, 1, 'b');
  kad_stores_put(&lone, 2, 'd');
  assert_int_equal(rules.dropped, 1);
  assert_int_equal(rules.last_dropped, 'b');
  kad_stores_put(&lone, 3, 'c');

  kad_stores_assert(&lone, "d");
  assert_int_equal(rules.dropped, 1);
}

static void drop_everything(void *state, const struct kad_hook_call *call,
                            struct kad_hook_result *answer) {
  (void)state;
  answer->verdict = KAD_VERDICT_ACCEPT;
  answer->record_count = call->record->value.data[0] == '0' ? 0 : 1;
  answer->records = records_of(call->record->value.data, 1);
}

static void merge_may_drop_all_records(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = drop_everything});
  kad_stores_put(&lone, 1, 'a');

  assert_int_equal(kad_stores_code(&lone, 2, '0'), 0);

  assert_int_equal(kad_lone_records(&lone), 0);
  assert_int_equal(rules.dropped, 1);
}

static void failing_merge_changes_nothing(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  kad_stores_put(&lone, 1, 'a');
  rules.merge = KAD_VERDICT_FAILED;

  assert_int_equal(kad_stores_code(&lone, 2, 'b'), KAD_CODE_FAILED);

  kad_stores_assert(&lone, "a");
}

static void merge_with_an_invalid_record_fails(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  kad_stores_put(&lone, 1, 'a');
  rules.overlong = true;

  assert_int_equal(kad_stores_code(&lone, 2, 'b'), KAD_CODE_FAILED);

  kad_stores_assert(&lone, "a");
  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
}

static void merge_beyond_max_values_is_cut_and_counted(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge, .max_values = 2});

  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  assert_int_equal(kad_stores_code(&lone, 3, 'c'), 0);

  assert_int_equal(kad_lone_records(&lone), 2);
  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
}

static void merges_of_one_key_run_one_by_one(void **state) {
  (void)state;
  const uint8_t all[] = {'a', 'b', 'c'};
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_VERDICT_PENDING;

  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 3, 'c');
  assert_int_equal(rules.open_count, 1);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(rules.open_count, i + 1);
    const struct kad_hook_result answer = {
        .verdict = KAD_VERDICT_ACCEPT,
        .records = records_of(rules.open[i].set, rules.open[i].size),
        .record_count = rules.open[i].size,
    };
    assert_ok(
        kad_node_complete_hook(lone.node, rules.open[i].call_id, &answer));
  }

  kad_stores_assert_set(&lone, all, sizeof all);
}

static void merge_at_its_deadline_frees_the_key(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  rules.merge = KAD_VERDICT_ACCEPT;

  kad_lone_run(&lone, 2500);

  kad_stores_assert(&lone, "b");
}

/* The last admissions of a long list would be answered too late, and hold
 * memory until then. */
static void number_of_waiters_for_one_key_is_bounded(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_VERDICT_PENDING;
  for (unsigned i = 1; i <= 65; i++) {
    kad_stores_put(&lone, i, (uint8_t)i);
  }
  const uint64_t refused = kad_lone_stats(&lone).refused;

  assert_int_equal(kad_stores_code(&lone, 66, 66), KAD_CODE_FAILED);

  assert_int_equal(refused, 0);
  assert_int_equal(rules.open_count, 1);
}

static void waiters_count_as_pending_calls(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_pending_hooks = 3;
  kad_lone_open(&lone, &config);
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 3, 'c');

  assert_int_equal(kad_stores_code(&lone, 4, 'd'), KAD_CODE_FAILED);

  rules.merge = KAD_VERDICT_ACCEPT;
  kad_lone_run(&lone, 2500);
  kad_stores_assert(&lone, "cb");
  rules.merge = KAD_VERDICT_PENDING;
  kad_stores_put(&lone, 5, 'e');
  kad_stores_put(&lone, 6, 'f');
  kad_stores_put(&lone, 7, 'g');
  assert_int_equal(kad_stores_code(&lone, 8, 'h'), KAD_CODE_FAILED);
  kad_lone_close(&lone);
}

static uint32_t draw(uint64_t *state, uint32_t bound) {
  *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)(*state >> 33) % bound;
}

/* Completes a pending call at random, and removes it from the list. Returns
 * false if there is none. */
static bool complete_one(uint64_t *random) {
  if (rules.open_count == 0) {
    return false;
  }
  const size_t index = draw(random, (uint32_t)rules.open_count);
  const struct pending_call open = rules.open[index];
  rules.open[index] = rules.open[--rules.open_count];
  const struct kad_hook_result answer = {
      .verdict = KAD_VERDICT_ACCEPT,
      .records = open.merges ? records_of(open.set, open.size) : NULL,
      .record_count = open.merges ? open.size : 0,
  };
  assert_ok(kad_node_complete_hook(lone.node, open.call_id, &answer));
  return true;
}

/* In whatever order calls are completed, no accepted value is lost. */
static void interleaved_merges_lose_no_value(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    const struct kad_config config = kad_lone_unlimited();
    uint8_t model[SET_MAX];
    size_t size = 0;
    uint64_t random = seed;
    kad_lone_open(&lone, &config);
    set_rules((struct kad_type){
        .validate = validate, .merge = merge, .expire = expire});
    rules.life_s = 1000;
    for (unsigned i = 0; i < 60; i++) {
      const uint8_t value = (uint8_t)(1 + draw(&random, 50));
      rules.validate =
          draw(&random, 2) ? KAD_VERDICT_PENDING : KAD_VERDICT_ACCEPT;
      rules.merge = draw(&random, 3) ? KAD_VERDICT_PENDING : KAD_VERDICT_ACCEPT;
      rules.expire = draw(&random, 2) ? KAD_VERDICT_FAILED : KAD_VERDICT_ACCEPT;
      kad_stores_put(&lone, 1 + i, value);
      if (memchr(model, value, size) == NULL) {
        model[size++] = value;
      }
      while (draw(&random, 2) == 0 && complete_one(&random)) {
      }
    }
    while (complete_one(&random)) {
    }

    kad_stores_assert_set(&lone, model, size);
    kad_lone_close(&lone);
  }
}

/* Whichever allocation fails, the query is answered, and a record is stored
 * completely or not at all. */
static void store_survives_any_failed_allocation(void **state) {
  (void)state;
  set_rules((struct kad_type){
      .validate = validate, .merge = merge, .expire = expire});
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    const uint8_t value = (uint8_t)(1 + n);
    const size_t before = kad_lone_records(&lone);
    kad_counting_fail_at(&lone.counting, n);
    const int code = kad_stores_code(&lone, 1, value);
    failed = lone.counting.has_failed;
    kad_counting_never_fail(&lone.counting);
    assert_int_equal(kad_lone_records(&lone), before + (code == 0));
    assert_true(n < 50);
  }
}

#define WITH_NODE(test) \
  cmocka_unit_test_setup_teardown(test, open_plain, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_NODE(rejected_record_is_answered_with_its_reason),
      WITH_NODE(validate_sees_the_sender),
      WITH_NODE(failing_validate_rejects),
      WITH_NODE(store_waits_for_a_pending_call),
      WITH_NODE(call_past_its_deadline_fails),
      WITH_NODE(records_of_one_store_are_validated_one_by_one),
      WITH_NODE(closing_abandons_pending_calls),
      WITH_NODE(merge_sets_what_is_held),
      WITH_NODE(merge_may_drop_held_records),
      WITH_NODE(merge_may_drop_all_records),
      WITH_NODE(failing_merge_changes_nothing),
      WITH_NODE(merge_with_an_invalid_record_fails),
      WITH_NODE(merge_beyond_max_values_is_cut_and_counted),
      WITH_NODE(merges_of_one_key_run_one_by_one),
      WITH_NODE(merge_at_its_deadline_frees_the_key),
      WITH_NODE(number_of_waiters_for_one_key_is_bounded),
      cmocka_unit_test(waiters_count_as_pending_calls),
      cmocka_unit_test(interleaved_merges_lose_no_value),
      WITH_NODE(store_survives_any_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
