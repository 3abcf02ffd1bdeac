/* Where a put stores a record, and what happens to stores that are lost or
 * rejected. Source: Kademlia §2.3.
 *
 * Tests core/operations/put.c, core/replication/fanout.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  K = 8,
  SIZE = 60,
  PUTTER = 5,
  ROUNDS = 25
};

static struct kad_overlay overlay;
static struct kad_ending ending;

/* Opens an overlay, whose nodes join one by one. */
static void begin(uint64_t seed, double loss) {
  kad_overlay_open_lossy(&overlay, seed, loss);
  for (size_t i = 0; i < SIZE; i++) {
    (void)kad_overlay_add(&overlay);
    if (i > 0) {
      kad_overlay_join(&overlay, i, i - 1);
    }
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  kad_ending_init(&ending, &overlay);
}

static int end(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static void put(const struct kad_id *key) {
  const struct kad_record record = kad_overlay_record(key, "v");
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_overlay_put(&overlay, PUTTER, &record, &ending));
}

static bool holds(size_t i, const struct kad_id *key) {
  struct kad_record found;
  return kad_node_held(overlay.nodes[i], key, kad_slice_of("value"), &found,
                       1) > 0;
}

static size_t count_holders(const struct kad_id *key) {
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    count += overlay.nodes[i] != NULL && holds(i, key);
  }
  return count;
}

static void fail_validate(void *state, const struct kad_hook_call *call,
                          struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->verdict = KAD_VERDICT_FAILED;
}

static void reject(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->verdict = KAD_VERDICT_REJECT;
  answer->reason = kad_slice_of("the name belongs to another key");
}

/* Sets the validate hook of plain values at node `i`. */
static void set_validate(size_t i, kad_hook_fn validate) {
  const struct kad_type type = {.name = "value", .validate = validate};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
}

/* Kademlia §2.3: "to store a pair, a participant locates the k closest nodes to
 * the key and sends them STORE RPCs". */
static void a_store_reaches_the_k_closest_and_counts_them(void **state) {
  (void)state;
  begin(21, 0);
  for (unsigned i = 0; i < ROUNDS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    size_t closest[K];
    (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);

    put(&key);

    for (size_t j = 0; j < K; j++) {
      assert_true(holds(closest[j], &key));
    }
    assert_int_equal(count_holders(&key), K);
    assert_int_equal(ending.result.stored, K);
    assert_int_equal(ending.result.asked, K);
  }
}

/* A datagram may be lost, so a store is sent again. */
static void a_store_that_is_lost_is_sent_again(void **state) {
  size_t stored = 0;
  size_t held = 0;
  (void)state;
  begin(22, 0.1);
  for (unsigned i = 0; i < ROUNDS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    put(&key);
    stored += ending.result.stored;
    const size_t holders = count_holders(&key);
    held += holders < K ? holders : K;
    assert_true(ending.result.stored <= holders);
  }
  print_message("reported %zu, held %zu of %d\n", stored, held, ROUNDS * K);
  assert_true(stored * 100 >= (size_t)ROUNDS * K * 95);
  assert_true(held * 100 >= (size_t)ROUNDS * K * 95);
}

/* A contact that cannot store the record is replaced by the next closest. */
static void a_contact_that_fails_is_replaced(void **state) {
  const struct kad_id key = kad_overlay_key(7);
  size_t closest[K];
  (void)state;
  begin(23, 0);
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[PUTTER], closest, K);
  set_validate(closest[0], fail_validate);
  set_validate(closest[3], fail_validate);

  put(&key);

  assert_false(holds(closest[0], &key));
  assert_int_equal(count_holders(&key), K);
  assert_int_equal(ending.result.stored, K);
  assert_int_equal(ending.result.asked, K + 2);
}

/* A record that the k closest reject for what it is goes to no other contact.
 */
static void a_rejected_record_goes_to_no_other_contact(void **state) {
  const struct kad_id key = kad_overlay_key(10);
  const struct kad_record record = kad_overlay_record(&key, "v");
  size_t closest[K];
  (void)state;
  begin(26, 0);
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[PUTTER], closest, K);
  for (size_t i = 0; i < K; i++) {
    set_validate(closest[i], reject);
  }

  assert_int_equal(kad_overlay_put(&overlay, PUTTER, &record, &ending),
                   KAD_EREMOTE);

  assert_int_equal(count_holders(&key), 0);
  assert_int_equal(ending.result.asked, K);
}

static unsigned thoughts;

static void wait_and_count(void *state, const struct kad_hook_call *call,
                           struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  thoughts++;
  answer->verdict = KAD_VERDICT_PENDING;
}

/* A store that is sent again while its hook call is pending, because that takes
 * longer than the soft timeout, is validated once. */
static void a_store_that_is_sent_again_is_validated_once(void **state) {
  const struct kad_id key = kad_overlay_key(11);
  size_t closest[K];
  (void)state;
  begin(27, 0);
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[PUTTER], closest, K);
  set_validate(closest[1], wait_and_count);
  thoughts = 0;

  put(&key);

  assert_true(ending.result.messages >
              ending.result.path_count + ending.result.asked);
  assert_int_equal(thoughts, 1);
}

static bool is_store(const struct kad_hook_call *call) {
  return kad_slice_equal(call->request->method, kad_slice_of("store"));
}

static void ignore_stores(void *state, const struct kad_hook_call *call,
                          struct kad_hook_result *answer) {
  (void)state;
  answer->verdict = is_store(call) ? KAD_VERDICT_DROP : KAD_VERDICT_ACCEPT;
}

/* A contact that does not answer the store is replaced as well. */
static void a_contact_that_does_not_answer_is_replaced(void **state) {
  const struct kad_id key = kad_overlay_key(8);
  const struct kad_policy policy = {.on_request = ignore_stores};
  size_t closest[K];
  (void)state;
  begin(24, 0);
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[PUTTER], closest, K);
  assert_ok(kad_node_set_policy(overlay.nodes[closest[2]], &policy));

  put(&key);

  assert_false(holds(closest[2], &key));
  assert_int_equal(count_holders(&key), K);
  assert_int_equal(ending.result.stored, K);
  assert_int_equal(ending.result.asked, K + 1);
}

/* A record with a sequence number that is too low goes to no other contact. */
static void a_record_that_is_too_old_goes_to_no_other_contact(void **state) {
  uint8_t seed[32] = {7};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_id key = kad_overlay_key(9);
  struct kad_record record = kad_overlay_record(&key, "new");
  (void)state;
  begin(25, 0);
  kad_keypair(seed, publisher, secret);
  record.publisher = publisher;
  record.signature = signature;
  record.has_seq = true;
  record.seq = 2;
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  assert_ok(kad_overlay_put(&overlay, PUTTER, &record, &ending));
  record.seq = 1;
  record.value = kad_slice_of("old");
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);

  assert_int_equal(kad_overlay_put(&overlay, PUTTER, &record, &ending),
                   KAD_EREMOTE);

  assert_int_equal(ending.result.code, KAD_CODE_SEQ);
  assert_int_equal(count_holders(&key), K);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_store_reaches_the_k_closest_and_counts_them,
                                end),
      cmocka_unit_test_teardown(a_store_that_is_lost_is_sent_again, end),
      cmocka_unit_test_teardown(a_contact_that_fails_is_replaced, end),
      cmocka_unit_test_teardown(a_rejected_record_goes_to_no_other_contact,
                                end),
      cmocka_unit_test_teardown(a_store_that_is_sent_again_is_validated_once,
                                end),
      cmocka_unit_test_teardown(a_contact_that_does_not_answer_is_replaced,
                                end),
      cmocka_unit_test_teardown(
          a_record_that_is_too_old_goes_to_no_other_contact, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
