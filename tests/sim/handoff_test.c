/* A node that joins the k closest to a key gets the records under the key from
 * the closest holder, once. Source: Kademlia §2.5. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  K = 8,
  SIZE = 60,
  PUTTER = 5,
  DAY_S = 86400,
  NEVER_S = 30 * DAY_S, /* so that only a hand-off moves a record */
  MANY = 300
};

static struct kad_overlay overlay;
static enum kad_reason reasons[16];
static size_t reason_count;

static void keep_reason(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  (void)state;
  (void)answer;
  if (reason_count < sizeof reasons / sizeof reasons[0]) {
    reasons[reason_count++] = call->reason;
  }
}

/* Sets the type of values at a node: they are rarely republished. */
static void set_type(struct kad_node *node, kad_hook_fn validate) {
  const struct kad_type type = {.name = "value",
                                .ttl = 3 * DAY_S,
                                .republish = NEVER_S,
                                .validate = validate};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  assert_ok(kad_node_set_policy(node, &policy));
}

static void begin(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  kad_overlay_grow(&overlay, SIZE);
  for (size_t i = 0; i < SIZE; i++) {
    set_type(overlay.nodes[i], NULL);
  }
  reason_count = 0;
}

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

static void put(size_t i, const struct kad_id *key, const char *value) {
  const struct kad_record record = kad_overlay_record(key, value);
  assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
}

static bool holds(size_t i, const struct kad_id *key) {
  struct kad_record found;
  return kad_node_held(overlay.nodes[i], key, kad_slice_of("value"), &found,
                       1) > 0;
}

/* Returns how many of the k closest live nodes hold a record under `key`. */
static size_t count_holders(const struct kad_id *key) {
  size_t closest[K];
  size_t count = 0;
  (void)kad_overlay_closest(&overlay, key, NULL, closest, K);
  for (size_t i = 0; i < K; i++) {
    count += holds(closest[i], key);
  }
  return count;
}

static uint64_t count_handoffs(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    sum +=
        overlay.nodes[i] != NULL ? kad_overlay_stats(&overlay, i).handoffs : 0;
  }
  return sum;
}

/* Opens a node whose id differs from `key` only in bit `bit` (0: the first).
 * Returns its number. */
static size_t open_near(const struct kad_id *key, unsigned bit,
                        kad_hook_fn validate) {
  overlay.config.has_id = true;
  overlay.config.id = *key;
  overlay.config.id.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
  set_type(kad_overlay_add(&overlay), validate);
  overlay.config.has_id = false;
  return overlay.count - 1;
}

/* The same, and lets it join. */
static size_t add_near(const struct kad_id *key, unsigned bit,
                       kad_hook_fn validate) {
  const size_t i = open_near(key, bit, validate);
  kad_overlay_join(&overlay, i, 0);
  return i;
}

/* Kademlia §2.5: "when a node u learns of a new node w, it stores at w those of
 * its records to which w is closer". */
static void a_new_contact_gets_the_records_near_it(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");

  const size_t newcomer = add_near(&key, 100, keep_reason);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_true(holds(newcomer, &key));
  assert_int_equal(reason_count, 1);
  assert_int_equal(reasons[0], KAD_REASON_HANDOFF);
}

/* Kademlia §2.5: "to avoid redundant store RPCs, a node only transfers a pair
 * if its own id is closer to the key than are the ids of other nodes". */
static void only_the_closest_holder_hands_off(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  size_t closest;
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");
  (void)kad_overlay_closest(&overlay, &key, NULL, &closest, 1);

  (void)add_near(&key, 100, NULL);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);

  assert_int_equal(count_handoffs(), 1);
  assert_int_equal(kad_overlay_stats(&overlay, closest).handoffs, 1);
}

/* A contact is not queried again, and does not get records that came later from
 * elsewhere. */
static void a_record_is_handed_off_once(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");

  const size_t newcomer = add_near(&key, 100, NULL);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  const struct kad_stats before = kad_overlay_stats(&overlay, newcomer);
  kad_overlay_run(&overlay, 4 * KAD_HOUR_MS);
  const struct kad_stats after = kad_overlay_stats(&overlay, newcomer);

  assert_int_equal(after.served_store, before.served_store);
  assert_int_equal(after.served_find_value, before.served_find_value);
}

static void a_contact_farther_than_the_k_closest_gets_nothing(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");

  const size_t newcomer = add_near(&key, 0, NULL);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);

  assert_false(holds(newcomer, &key));
  assert_int_equal(count_handoffs(), 0);
}

/* The contact is queried first, and does not get the records that it holds. */
static void a_contact_that_holds_the_record_gets_nothing(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");

  const size_t newcomer = open_near(&key, 100, NULL);
  assert_ok(
      kad_node_put(overlay.nodes[newcomer], &record, NULL, NULL, NULL, NULL));
  kad_overlay_run(&overlay, KAD_SECOND_MS);
  assert_true(holds(newcomer, &key));
  kad_overlay_join(&overlay, newcomer, 0);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);

  assert_int_equal(count_handoffs(), 0);
  assert_int_equal(kad_overlay_stats(&overlay, newcomer).served_store, 0);
}

/* Several values under one key go in one message. */
static void values_of_a_key_are_handed_off_together(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  static const char *const values[] = {"a", "b", "c", "d", "e"};
  (void)state;
  begin(31);
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    put(PUTTER, &key, values[i]);
  }

  const size_t newcomer = add_near(&key, 100, NULL);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_int_equal(kad_overlay_stats(&overlay, newcomer).records, 5);
  assert_int_equal(kad_overlay_stats(&overlay, newcomer).served_store, 1);
}

static void a_record_keeps_its_expiry(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = kad_overlay_record(&key, "v");
  (void)state;
  begin(31);
  record.ttl = 3600;
  assert_ok(kad_overlay_put(&overlay, PUTTER, &record, NULL));
  kad_overlay_run(&overlay, KAD_HOUR_MS / 2);

  const size_t newcomer = add_near(&key, 100, NULL);
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
  assert_true(holds(newcomer, &key));
  kad_overlay_run(&overlay, 11 * KAD_MINUTE_MS);

  assert_false(holds(newcomer, &key));
}

/* Opens k nodes, each of which then holds many records. */
static void hold_many(void) {
  kad_overlay_grow(&overlay, K);
  for (size_t i = 0; i < K; i++) {
    set_type(overlay.nodes[i], NULL);
  }
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id other = kad_overlay_key(i);
    put(1, &other, "v");
  }
}

/* stores_per_s: a node that joins the k closest to many keys is not flooded. */
static void hand_offs_keep_the_store_budget(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  uint64_t before = 0;
  uint64_t most = 0;
  (void)state;
  kad_overlay_open(&overlay, 31);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  overlay.config.stores_per_s = 4;
  hold_many();

  const size_t newcomer = add_near(&key, 100, NULL);
  for (unsigned second = 0; second < 120; second++) {
    kad_overlay_run(&overlay, KAD_SECOND_MS);
    const uint64_t now = count_handoffs();
    most = now - before > most ? now - before : most;
    before = now;
  }

  /* There are nine nodes now. The new one is one of the eight closest to most
   * keys, and one of the eight others hands off each record. */
  assert_true(most <= 4 * K);
  assert_true(kad_overlay_held(&overlay, newcomer) > MANY / 2);
}

/* A contact that dies soon after it has joined is not queried about each key:
 * the hand-offs to other contacts would wait. */
static void a_contact_that_dies_early_delays_no_hand_off(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  uint64_t timeouts = 0;
  (void)state;
  kad_overlay_open(&overlay, 31);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  hold_many();
  const size_t newcomer = add_near(&key, 100, NULL);
  kad_overlay_run(&overlay, 4 * KAD_SECOND_MS);
  for (size_t i = 0; i < K; i++) {
    timeouts -= kad_overlay_stats(&overlay, i).timeouts;
  }
  kad_overlay_kill(&overlay, newcomer);
  kad_overlay_run(&overlay, 3 * KAD_MINUTE_MS);

  /* Each may have sent queries about eight keys, three times. */
  for (size_t i = 0; i < K; i++) {
    timeouts += kad_overlay_stats(&overlay, i).timeouts;
  }
  print_message("# %u queries were left unanswered\n", (unsigned)timeouts);
  assert_in_range(timeouts, 1, K * 8 * 3 + K * 8);
}

/* A holder that dies is replaced long before the next republish, by the contact
 * that is one of the k closest then. */
static void a_dead_holder_is_replaced(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  begin(31);
  put(PUTTER, &key, "v");
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  for (unsigned i = 0; i < 6; i++) {
    size_t closest[K];
    (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);

    kad_overlay_kill(&overlay, closest[(3 * i) % K]);
    assert_true(count_holders(&key) < K);
    kad_overlay_run(&overlay, 5 * KAD_MINUTE_MS);

    assert_int_equal(count_holders(&key), K);
  }
}

/* A node that leaves hands off its records, so that its death need not be
 * noticed first. */
static void a_node_that_leaves_hands_off_its_records(void **state) {
  (void)state;
  begin(31);
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id key = kad_overlay_key(i);
    put(PUTTER, &key, "v");
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  for (size_t i = 1; i <= 3; i++) {
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_leave(overlay.nodes[i], 10 * KAD_SECOND_MS,
                             kad_ending_done, &ending, NULL));
    assert_ok(kad_ending_reach(&ending));
    kad_ending_deinit(&ending);
    kad_overlay_kill(&overlay, i);
  }

  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id key = kad_overlay_key(i);
    assert_int_equal(count_holders(&key), K);
  }
}

/* A node without records leaves at once. Leaving ends at its deadline. */
static void leaving_ends_at_its_deadline(void **state) {
  struct kad_ending ending;
  (void)state;
  begin(31);
  kad_ending_init(&ending, &overlay);
  assert_ok(
      kad_node_leave(overlay.nodes[1], 0, kad_ending_done, &ending, NULL));
  kad_overlay_run(&overlay, KAD_SECOND_MS);
  assert_int_equal(ending.calls, 1);
  assert_int_equal(ending.result.status, 0);
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id key = kad_overlay_key(i);
    put(PUTTER, &key, "v");
  }

  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_ok(
      kad_node_leave(overlay.nodes[1], 50, kad_ending_done, &ending, NULL));
  kad_overlay_run(&overlay, KAD_SECOND_MS);
  assert_int_equal(ending.calls, 1);
  assert_int_equal(ending.result.status, KAD_ETIMEOUT);
  kad_ending_deinit(&ending);
}

/* A second leave at the same time is busy. */
static void a_second_leave_is_busy(void **state) {
  struct kad_ending first;
  struct kad_ending second;
  (void)state;
  begin(31);
  for (unsigned i = 0; i < MANY / 10; i++) {
    const struct kad_id key = kad_overlay_key(i);
    put(PUTTER, &key, "v");
  }
  kad_ending_init(&first, &overlay);
  kad_ending_init(&second, &overlay);
  assert_ok(kad_node_leave(overlay.nodes[1], 0, kad_ending_done, &first, NULL));
  assert_ok(
      kad_node_leave(overlay.nodes[1], 0, kad_ending_done, &second, NULL));
  assert_int_equal(kad_ending_reach(&second), KAD_EBUSY);
  assert_ok(kad_ending_reach(&first));
  kad_ending_deinit(&first);
  kad_ending_deinit(&second);
}

#define IN_OVERLAY(test) cmocka_unit_test_teardown(test, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(a_new_contact_gets_the_records_near_it),
      IN_OVERLAY(only_the_closest_holder_hands_off),
      IN_OVERLAY(a_record_is_handed_off_once),
      IN_OVERLAY(a_contact_farther_than_the_k_closest_gets_nothing),
      IN_OVERLAY(a_contact_that_holds_the_record_gets_nothing),
      IN_OVERLAY(values_of_a_key_are_handed_off_together),
      IN_OVERLAY(a_record_keeps_its_expiry),
      IN_OVERLAY(hand_offs_keep_the_store_budget),
      IN_OVERLAY(a_contact_that_dies_early_delays_no_hand_off),
      IN_OVERLAY(a_dead_holder_is_replaced),
      IN_OVERLAY(a_node_that_leaves_hands_off_its_records),
      IN_OVERLAY(leaving_ends_at_its_deadline),
      IN_OVERLAY(a_second_leave_is_busy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
