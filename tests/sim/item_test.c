/* Items of BEP 44 in an overlay: what a put and a get promise, and how an item
 * outlives its holders.
 *
 * Tests core/operations/put.c, core/operations/get.c,
 * core/rpc/record_query.c. */
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  K = 8,
  SIZE = 40
};

static struct kad_overlay overlay;
static struct kad_ending ending;
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];
static uint8_t signature[KAD_SIGNATURE_SIZE];
static const uint8_t seed[32] = {4, 4};

static int begin(void **state) {
  (void)state;
  kad_keypair(seed, publisher, secret);
  kad_ending_open(&ending, &overlay, 44, SIZE);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static void renew_ending(void) {
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
}

static struct kad_record make_item(const char *value, const char *salt,
                                   int64_t seq) {
  struct kad_record item = {.type = kad_slice_of("mutable"),
                            .value = kad_slice_of(value),
                            .salt = kad_slice_of(salt),
                            .publisher = publisher,
                            .signature = signature,
                            .has_seq = true,
                            .seq = seq};
  assert_ok(kad_item_target_mutable(publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, seq, secret, signature));
  return item;
}

static struct kad_record make_immutable(const char *value) {
  struct kad_record item = {.type = kad_slice_of("immutable"),
                            .value = kad_slice_of(value)};
  assert_ok(kad_item_target_immutable(item.value, &item.key));
  return item;
}

static int put_with(size_t i, const struct kad_record *item,
                    const struct kad_lookup_options *options) {
  renew_ending();
  assert_ok(kad_node_put(overlay.nodes[i], item, options, kad_ending_done,
                         &ending, NULL));
  return kad_ending_await(&ending);
}

static int put(size_t i, const char *value, int64_t seq) {
  const struct kad_record item = make_item(value, "", seq);
  return put_with(i, &item, NULL);
}

static int put_cas(size_t i, const char *value, int64_t seq, int64_t cas) {
  const struct kad_lookup_options options = {.has_cas = true, .cas = cas};
  const struct kad_record item = make_item(value, "", seq);
  return put_with(i, &item, &options);
}

static int get(size_t i, const struct kad_id *key, const char *type,
               const struct kad_lookup_options *options) {
  renew_ending();
  return kad_overlay_get(&overlay, i, key, type, options, &ending);
}

static void assert_got(size_t i, const struct kad_id *key, const char *value,
                       int64_t seq) {
  assert_ok(get(i, key, "mutable", NULL));
  assert_int_equal(ending.result.record_count, 1);
  assert_true(
      kad_slice_equal(ending.result.records[0].value, kad_slice_of(value)));
  assert_true(ending.result.has_seq && ending.result.seq == seq);
}

static size_t count_holders(const struct kad_id *key, const char *type,
                            const char *value) {
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    struct kad_record held;
    count += overlay.nodes[i] != NULL &&
             kad_node_held(overlay.nodes[i], key, kad_slice_of(type), &held,
                           1) > 0 &&
             kad_slice_equal(held.value, kad_slice_of(value));
  }
  return count;
}

/* ------------------------------------------------------------ put, get -- */

static void bep44_immutable_item_is_stored_at_the_k_closest(void **state) {
  const struct kad_record item = make_immutable("d4:name5:worlde");
  (void)state;
  assert_ok(put_with(1, &item, NULL));
  assert_int_equal(ending.result.stored, K);
  assert_int_equal(count_holders(&item.key, "immutable", "d4:name5:worlde"), K);
  for (size_t i = 0; i < SIZE; i += 7) {
    assert_ok(get(i, &item.key, "immutable", NULL));
    assert_int_equal(ending.result.record_count, 1);
    assert_slice_is(ending.result.records[0].value, "d4:name5:worlde");
  }
}

static void bep44_mutable_item_is_found_and_updated(void **state) {
  const struct kad_id key = make_item("0:", "", 0).key;
  (void)state;
  assert_ok(put(1, "1:a", 1));
  assert_int_equal(ending.result.stored, K);
  assert_got(30, &key, "1:a", 1);
  assert_ok(put(2, "1:b", 2));
  assert_got(30, &key, "1:b", 2);
  assert_true(count_holders(&key, "mutable", "1:b") >= K); /* and a copy */
  assert_ok(put(2, "1:c", INT64_MAX));
  assert_got(31, &key, "1:c", INT64_MAX);
}

/* "the salt is not returned": the reader knows it. */
static void bep44_salted_item_is_found_with_its_salt(void **state) {
  const struct kad_record item = make_item("1:a", "foobar", 1);
  const struct kad_lookup_options right = {.salt = kad_slice_of("foobar")};
  const struct kad_lookup_options wrong = {.salt = kad_slice_of("foobaz")};
  (void)state;
  assert_ok(put_with(1, &item, NULL));
  assert_ok(get(20, &item.key, "mutable", &right));
  assert_slice_is(ending.result.records[0].value, "1:a");
  assert_slice_is(ending.result.records[0].salt, "foobar");
  for (size_t i = 0; i < SIZE; i += 3) {
    assert_int_equal(get(i, &item.key, "mutable", &wrong), KAD_ENOTFOUND);
    assert_int_equal(get(i, &item.key, "mutable", NULL), KAD_ENOTFOUND);
  }
}

static void a_large_item_is_read_whole(void **state) {
  static char value[1001];
  (void)state;
  memset(value, 'x', 1000);
  value[0] = '9';
  value[1] = '9';
  value[2] = '6';
  value[3] = ':';
  const struct kad_record item = make_item(value, "a salt", 1);
  const struct kad_lookup_options salted = {.salt = kad_slice_of("a salt")};
  assert_ok(put_with(1, &item, NULL));
  assert_int_equal(ending.result.stored, K);
  for (size_t i = 0; i < SIZE; i += 5) {
    assert_ok(get(i, &item.key, "mutable", &salted));
    assert_int_equal(ending.result.records[0].value.len, 1000);
  }
}

static void bep44_get_finds_only_what_is_newer(void **state) {
  const struct kad_lookup_options known = {.has_seq = true, .seq = 5};
  const struct kad_lookup_options older = {.has_seq = true, .seq = 4};
  const struct kad_id key = make_item("0:", "", 0).key;
  (void)state;
  assert_ok(put(1, "1:a", 5));
  for (size_t i = 0; i < SIZE; i += 9) {
    assert_int_equal(get(i, &key, "mutable", &known), KAD_ENOTFOUND);
    assert_ok(get(i, &key, "mutable", &older));
  }
  assert_int_equal(get(25, &key, "mutable", &known), KAD_ENOTFOUND);
  assert_true(ending.result.has_seq);
  assert_int_equal(ending.result.seq, 5);
}

/* ----------------------------------------------------------- conflicts -- */

static void bep44_older_put_says_what_is_current(void **state) {
  const struct kad_id key = make_item("0:", "", 0).key;
  (void)state;
  assert_ok(put(1, "1:b", 7));
  assert_int_equal(put(30, "1:a", 6), KAD_ESEQ);
  assert_int_equal(ending.result.code, KAD_CODE_SEQ);
  assert_true(ending.result.has_seq);
  assert_int_equal(ending.result.seq, 7);
  assert_int_equal(ending.result.stored, 0);
  assert_int_equal(put(30, "1:x", 7), KAD_ESEQ);
  assert_int_equal(count_holders(&key, "mutable", "1:b"), K);
}

static void bep44_cas_replaces_one_version_only(void **state) {
  const struct kad_id key = make_item("0:", "", 0).key;
  (void)state;
  assert_ok(put_cas(1, "1:a", 1, 77)); /* none is held: ignored */
  assert_ok(put_cas(2, "1:b", 2, 1));
  assert_int_equal(count_holders(&key, "mutable", "1:b"), K);

  assert_int_equal(put_cas(3, "1:c", 3, 1), KAD_ECAS);

  assert_int_equal(ending.result.code, KAD_CODE_CAS);
  assert_true(ending.result.has_seq);
  assert_int_equal(ending.result.seq, 2);
  assert_int_equal(count_holders(&key, "mutable", "1:b"), K);
  assert_ok(put_cas(3, "1:c", 3, ending.result.seq));
  assert_got(20, &key, "1:c", 3);
}

/* Two writers read version 1 and write version 2 at the same time. */
static void bep44_cas_lets_one_of_two_writers_win(void **state) {
  static uint8_t other_signature[KAD_SIGNATURE_SIZE];
  struct kad_ending other;
  const struct kad_lookup_options options = {.has_cas = true, .cas = 1};
  (void)state;
  assert_ok(put(1, "1:a", 1));
  struct kad_record mine = make_item("1:b", "", 2);
  memcpy(other_signature, signature, sizeof signature);
  mine.signature = other_signature;
  const struct kad_record theirs = make_item("1:c", "", 2);
  renew_ending();
  kad_ending_init(&other, &overlay);
  assert_ok(kad_node_put(overlay.nodes[3], &mine, &options, kad_ending_done,
                         &ending, NULL));
  assert_ok(kad_node_put(overlay.nodes[33], &theirs, &options, kad_ending_done,
                         &other, NULL));
  while (ending.calls == 0 || other.calls == 0) {
    kad_network_run(overlay.network, KAD_MINUTE_MS);
  }
  const int first = ending.result.status;
  const int second = other.result.status;
  kad_ending_deinit(&other);
  assert_true(first == KAD_ECAS || second == KAD_ECAS);
  assert_true(first == 0 || first == KAD_ECAS);
  assert_true(second == 0 || second == KAD_ECAS);
}

/* ------------------------------------------------------------- refusals -- */

static void invalid_items_are_refused_before_they_are_sent(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  item.value = kad_slice_of("5:hullo");
  assert_int_equal(put_with(1, &item, NULL), KAD_ESIGNATURE);
  item = make_immutable("le");
  item.key = make_item("0:", "", 0).key;
  assert_int_equal(put_with(1, &item, NULL), KAD_EREFUSED);
}

static void items_need_ids_of_160_bits(void **state) {
  const struct kad_record item = make_immutable("le");
  (void)state;
  kad_ending_close(&ending);
  kad_overlay_open(&overlay, 4);
  overlay.config.id_bits = 256;
  kad_overlay_grow(&overlay, 4);
  kad_ending_init(&ending, &overlay);
  assert_int_equal(put_with(1, &item, NULL), KAD_EREFUSED);
  assert_string_equal(ending.reason, "items need ids of 160 bits");
  assert_int_equal(get(1, &item.key, "immutable", NULL), KAD_EREFUSED);
  assert_string_equal(ending.reason, "items need ids of 160 bits");
  assert_int_equal(kad_node_publish(overlay.nodes[1], &item, 0), KAD_EREFUSED);
}

/* ------------------------------------------------------------ lifetimes -- */

/* Closes the holders of `key` one by one, with time for the rest to notice. */
static void close_holders(const struct kad_id *key, size_t leave) {
  size_t closest[K];
  (void)kad_overlay_closest(&overlay, key, NULL, closest, K);
  for (size_t i = leave; i < K; i++) {
    kad_overlay_kill(&overlay, closest[i]);
  }
}

/* "Any node that's interested in keeping a blob in the DHT alive may announce
 * it." The publisher leaves at once, and most holders before the first hour. */
static void bep44_holders_republish_without_the_publisher(void **state) {
  const struct kad_record item = make_item("1:a", "salt", 9);
  const struct kad_lookup_options salted = {.salt = kad_slice_of("salt")};
  (void)state;
  assert_ok(put_with(1, &item, NULL));
  kad_overlay_kill(&overlay, 1);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  close_holders(&item.key, 2);
  kad_overlay_run(&overlay, 80 * KAD_MINUTE_MS);
  assert_true(count_holders(&item.key, "mutable", "1:a") >= K);
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
  size_t reader = SIZE - 1;
  while (overlay.nodes[reader] == NULL) {
    reader--;
  }
  assert_ok(get(reader, &item.key, "mutable", &salted));
  assert_slice_is(ending.result.records[0].value, "1:a");
}

/* Holders alone do not prolong it: an item would never end otherwise. */
static void bep44_item_expires_without_a_publisher(void **state) {
  const struct kad_record item = make_immutable("le");
  (void)state;
  assert_ok(put_with(1, &item, NULL));
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  assert_int_equal(count_holders(&item.key, "immutable", "le"), 0);
}

/* A reader publishes what it got: it needs no secret for that. */
static void bep44_anyone_may_keep_an_item_alive(void **state) {
  static const char *const types[] = {"immutable", "mutable"};
  struct kad_record items[2];
  (void)state;
  items[0] = make_immutable("li1ei2ee");
  items[1] = make_item("1:a", "", 9);
  for (size_t i = 0; i < 2; i++) {
    assert_ok(put_with(1, &items[i], NULL));
    assert_ok(get(20, &items[i].key, types[i], NULL));
    struct kad_record kept = ending.result.records[0];
    kept.ttl = 0; /* without an end */
    assert_ok(kad_node_publish(overlay.nodes[20], &kept, 60));
  }
  kad_overlay_kill(&overlay, 1);
  kad_overlay_run(&overlay, 12 * KAD_HOUR_MS);
  for (size_t i = 0; i < 2; i++) {
    assert_ok(get(30, &items[i].key, types[i], NULL));
    assert_int_equal(ending.result.record_count, 1);
  }
  assert_ok(kad_node_unpublish(overlay.nodes[20], &items[0].key,
                               kad_slice_of("immutable"), NULL));
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  assert_int_equal(count_holders(&items[0].key, "immutable", "li1ei2ee"), 0);
}

static void an_item_is_handed_to_a_node_that_joins(void **state) {
  const struct kad_record item = make_item("1:a", "salt", 3);
  struct kad_record held;
  (void)state;
  kad_ending_close(&ending);
  kad_overlay_open(&overlay, 44);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* an id is chosen here */
  kad_overlay_grow(&overlay, SIZE);
  kad_ending_init(&ending, &overlay);
  assert_ok(put_with(1, &item, NULL));
  overlay.config.has_id = true;
  overlay.config.id = item.key;
  overlay.config.id.bytes[12] ^= 1;
  (void)kad_overlay_add(&overlay);
  kad_overlay_join(&overlay, SIZE, 0);
  kad_overlay_run(&overlay, 2 * KAD_MINUTE_MS);
  assert_int_equal(kad_node_held(overlay.nodes[SIZE], &item.key,
                                 kad_slice_of("mutable"), &held, 1),
                   1);
  assert_slice_is(held.salt, "salt");
  assert_in_range(held.ttl, 6800, 7199);
}

/* A holder that was away holds an old version, until a node reads the item. */
static void a_get_repairs_an_old_version(void **state) {
  const struct kad_record item = make_item("1:a", "", 1);
  size_t closest[K];
  (void)state;
  assert_ok(put_with(1, &item, NULL));
  (void)kad_overlay_closest(&overlay, &item.key, NULL, closest, K);
  assert_ok(kad_sim_set_group(overlay.network, overlay.nodes[closest[0]], 1));
  assert_ok(put(2, "1:b", 2));
  assert_ok(kad_sim_heal(overlay.network));
  kad_overlay_run(&overlay, 2 * KAD_MINUTE_MS);
  struct kad_record held;
  assert_int_equal(kad_node_held(overlay.nodes[closest[0]], &item.key,
                                 kad_slice_of("mutable"), &held, 1),
                   1);
  if (kad_slice_equal(held.value, kad_slice_of("1:a"))) {
    assert_got(30, &item.key, "1:b", 2);
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
    assert_int_equal(kad_node_held(overlay.nodes[closest[0]], &item.key,
                                   kad_slice_of("mutable"), &held, 1),
                     1);
  }
  assert_slice_is(held.value, "1:b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(bep44_immutable_item_is_stored_at_the_k_closest),
      TEST(bep44_mutable_item_is_found_and_updated),
      TEST(bep44_salted_item_is_found_with_its_salt),
      TEST(a_large_item_is_read_whole),
      TEST(bep44_get_finds_only_what_is_newer),
      TEST(bep44_older_put_says_what_is_current),
      TEST(bep44_cas_replaces_one_version_only),
      TEST(bep44_cas_lets_one_of_two_writers_win),
      TEST(invalid_items_are_refused_before_they_are_sent),
      TEST(items_need_ids_of_160_bits),
      TEST(bep44_holders_republish_without_the_publisher),
      TEST(bep44_item_expires_without_a_publisher),
      TEST(bep44_anyone_may_keep_an_item_alive),
      TEST(an_item_is_handed_to_a_node_that_joins),
      TEST(a_get_repairs_an_old_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
