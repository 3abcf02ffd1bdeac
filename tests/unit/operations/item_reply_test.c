/* Replies to the queries of a get and a put of items, as hostile and foreign
 * nodes send them. Tests core/operations/get.c, core/operations/put.c. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  CONTACTS = 2
};

static struct kad_lone lone;
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];
static uint8_t signature[KAD_SIGNATURE_SIZE];
static const uint8_t seed[32] = {4, 4};

/* The result of the operation. */
static struct {
  unsigned calls;
  int status;
  int code;
  size_t records;
  char value[64];
  bool has_seq;
  int64_t seq;
  uint32_t holders;
} done;

static int begin(void **state) {
  (void)state;
  memset(&done, 0, sizeof done);
  kad_keypair(seed, publisher, secret);
  kad_lone_open(&lone, NULL);
  for (unsigned i = 1; i <= CONTACTS; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(&lone, &contact);
  }
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void keep_result(void *data, const struct kad_result *result) {
  (void)data;
  done.calls++;
  done.status = result->status;
  done.code = result->code;
  done.records = result->record_count;
  if (result->record_count > 0) {
    const struct kad_slice value = result->records[0].value;
    assert_true(value.len < sizeof done.value);
    memcpy(done.value, value.data, value.len);
  }
  done.has_seq = result->has_seq;
  done.seq = result->seq;
  done.holders = result->holders;
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

static void start_get(const struct kad_id *key, const char *type,
                      const struct kad_lookup_options *options) {
  assert_ok(kad_node_get(lone.node, key, kad_slice_of(type), options,
                         keep_result, NULL, NULL));
  kad_node_tick(lone.node);
}

/* Decodes the latest query to contact `number`. */
static void read_query(unsigned number, struct kad_message *query) {
  const struct kad_contact contact = kad_lone_contact(number);
  assert_true(kad_lone_find_query(&lone, &contact.address, query));
}

/* Answers the latest query to contact `number`, with `item` (NULL: none) and
 * `seq` (NULL: none). */
static void answer(unsigned number, const struct kad_record *item,
                   const int64_t *seq) {
  const struct kad_contact contact = kad_lone_contact(number);
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message query;
  struct kad_message message;
  read_query(number, &query);
  kad_message_init(&message, KAD_MESSAGE_REPLY);
  message.transaction = query.transaction;
  message.has_id = true;
  message.id = contact.id;
  message.token = kad_slice_of("token");
  message.has_nodes = true;
  message.has_item = item != NULL;
  if (item != NULL) {
    message.records[0] = *item;
    message.record_count = 1;
  }
  message.has_seq = seq != NULL;
  message.seq = seq != NULL ? *seq : 0;
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  kad_lone_receive(&lone, &contact, (struct kad_slice){bytes, writer.len});
}

/* Answers the latest query to contact `number` with an error. */
static void answer_error(unsigned number, int code) {
  const struct kad_contact contact = kad_lone_contact(number);
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message query;
  struct kad_message message;
  read_query(number, &query);
  kad_message_init(&message, KAD_MESSAGE_ERROR);
  message.transaction = query.transaction;
  message.code = code;
  message.text = kad_slice_of("no");
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  kad_lone_receive(&lone, &contact, (struct kad_slice){bytes, writer.len});
}

static void await_result(void) {
  kad_lone_run(&lone, 30000);
  assert_int_equal(done.calls, 1);
}

/* ----------------------------------------------------------------- get -- */

static void get_and_put_are_sent_without_want(void **state) {
  const struct kad_id key = make_item("0:", "", 0).key;
  struct kad_message query;
  (void)state;
  start_get(&key, "mutable", NULL);
  read_query(1, &query);
  assert_int_equal(query.method, KAD_METHOD_GET);
  assert_true(kad_id_equal(&query.target, &key));
  assert_false(query.want4 || query.want6 || query.has_seq);
  await_result();
}

/* Seen in other nodes: an unsigned value under the target of a mutable item. */
static void bep44_unsigned_value_is_no_mutable_item(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  start_get(&item.key, "mutable", NULL);
  item.publisher = NULL;
  item.signature = NULL;
  answer(1, &item, NULL);
  answer(2, &item, NULL);
  await_result();
  assert_int_equal(done.status, KAD_ENOTFOUND);
  assert_int_equal(done.holders, 0);
}

static void bep44_item_of_another_publisher_is_ignored(void **state) {
  static const uint8_t other_seed[32] = {5, 5};
  uint8_t other[KAD_PUBLISHER_SIZE];
  uint8_t other_secret[KAD_SECRET_SIZE];
  struct kad_record item = make_item("5:hello", "", 9);
  (void)state;
  kad_keypair(other_seed, other, other_secret);
  start_get(&item.key, "mutable", NULL);
  item.publisher = other;
  assert_ok(kad_item_sign(item.value, item.salt, 9, other_secret, signature));
  answer(1, &item, NULL);
  const struct kad_record right = make_item("5:right", "", 1);
  answer(2, &right, NULL);
  await_result();
  assert_int_equal(done.status, 0);
  assert_string_equal(done.value, "5:right");
  assert_int_equal(done.seq, 1);
}

static void bep44_forged_signature_is_ignored(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  start_get(&item.key, "mutable", NULL);
  item.seq = INT64_MAX;
  answer(1, &item, NULL);
  item = make_item("5:right", "", 2);
  answer(2, &item, NULL);
  await_result();
  assert_string_equal(done.value, "5:right");
  assert_int_equal(kad_lone_stats(&lone).bad_signature, 1);
}

static void bep44_immutable_value_hashes_to_its_target(void **state) {
  struct kad_record item = {.value = kad_slice_of("5:right")};
  const struct kad_record wrong = {.value = kad_slice_of("5:wrong")};
  struct kad_id key;
  (void)state;
  assert_ok(kad_item_target_immutable(item.value, &key));
  start_get(&key, "immutable", NULL);
  answer(1, &wrong, NULL);
  assert_int_equal(done.calls, 0);
  answer(2, &item, NULL);
  kad_lone_run(&lone, 10);
  assert_int_equal(done.calls, 1); /* one right copy is enough */
  assert_string_equal(done.value, "5:right");
  assert_int_equal(done.holders, 1);
}

static void bep44_highest_seq_is_found(void **state) {
  static uint8_t old_signature[KAD_SIGNATURE_SIZE];
  struct kad_record old = make_item("1:a", "salt", 1);
  const struct kad_lookup_options options = {.salt = kad_slice_of("salt")};
  (void)state;
  memcpy(old_signature, signature, sizeof signature);
  old.signature = old_signature;
  start_get(&old.key, "mutable", &options);
  const struct kad_record item = make_item("1:b", "salt", 2);
  answer(1, &item, NULL);
  answer(2, &old, NULL);
  await_result();
  assert_int_equal(done.records, 1);
  assert_string_equal(done.value, "1:b");
  assert_int_equal(done.holders, 2);
}

/* What a node names without its item proves nothing. */
static void a_claimed_seq_hides_no_item(void **state) {
  static const int64_t huge = INT64_MAX;
  const struct kad_record item = make_item("1:a", "", 3);
  (void)state;
  start_get(&item.key, "mutable", NULL);
  answer(1, NULL, &huge);
  answer(2, &item, NULL);
  await_result();
  assert_string_equal(done.value, "1:a");
  assert_int_equal(done.seq, 3);
}

static void bep44_get_sends_the_seq_that_is_known(void **state) {
  const struct kad_record item = make_item("1:a", "", 3);
  const struct kad_lookup_options options = {.has_seq = true, .seq = 3};
  struct kad_message query;
  (void)state;
  start_get(&item.key, "mutable", &options);
  read_query(1, &query);
  assert_true(query.has_seq && query.seq == 3);
  answer(1, &item, NULL); /* a node that does not know `seq` in a get */
  answer(2, NULL, &item.seq);
  await_result();
  assert_int_equal(done.status, KAD_ENOTFOUND);
  assert_true(done.has_seq && done.seq == 3);
}

/* A reply with values of another kind, of a node that mixes them up. */
static void records_of_a_store_are_no_items(void **state) {
  struct kad_record item = make_item("1:a", "", 3);
  (void)state;
  start_get(&kad_lone_target, "value", NULL);
  answer(1, &item, NULL);
  answer(2, NULL, NULL);
  await_result();
  assert_int_equal(done.status, KAD_ENOTFOUND);
}

/* ----------------------------------------------------------------- put -- */

static void start_put(const struct kad_record *item,
                      const struct kad_lookup_options *options) {
  assert_ok(kad_node_put(lone.node, item, options, keep_result, NULL, NULL));
  kad_node_tick(lone.node);
}

/* "the cas field SHOULD NOT be included" where nothing was returned, and a
 * holder of an older version is compared with that. */
static void bep44_cas_is_sent_to_holders_alone(void **state) {
  static const int64_t older = 3;
  const struct kad_lookup_options options = {.has_cas = true, .cas = 5};
  const struct kad_record item = make_item("1:a", "", 6);
  struct kad_message query;
  (void)state;
  start_put(&item, &options);
  read_query(1, &query);
  assert_int_equal(query.method, KAD_METHOD_GET);
  assert_true(query.has_seq && query.seq == 5);
  answer(1, NULL, NULL);
  answer(2, NULL, &older);
  kad_lone_run(&lone, 10);
  read_query(1, &query);
  assert_int_equal(query.method, KAD_METHOD_PUT);
  assert_false(query.has_cas || query.has_ttl);
  assert_int_equal(query.records[0].seq, 6);
  read_query(2, &query);
  assert_int_equal(query.method, KAD_METHOD_PUT);
  assert_true(query.has_cas);
  assert_int_equal(query.cas, 3);
  answer(1, NULL, NULL);
  answer(2, NULL, NULL);
  await_result();
  assert_int_equal(done.status, 0);
}

static void bep44_proven_newer_version_ends_a_put_with_cas(void **state) {
  static uint8_t newer_signature[KAD_SIGNATURE_SIZE];
  const struct kad_lookup_options options = {.has_cas = true, .cas = 5};
  struct kad_record newer = make_item("1:b", "", 8);
  struct kad_message query;
  (void)state;
  memcpy(newer_signature, signature, sizeof signature);
  newer.signature = newer_signature;
  const struct kad_record item = make_item("1:a", "", 6);
  start_put(&item, &options);
  answer(1, &newer, NULL);
  answer(2, NULL, NULL);
  kad_lone_run(&lone, 10);
  for (unsigned i = 1; i <= CONTACTS; i++) {
    read_query(i, &query);
    assert_int_equal(query.method, KAD_METHOD_GET); /* nothing was put */
  }
  await_result();
  assert_int_equal(done.status, KAD_ECAS);
  assert_int_equal(done.code, KAD_CODE_CAS);
  assert_true(done.has_seq);
  assert_int_equal(done.seq, 8);
}

/* A liar cannot keep anyone from a put: neither with a number, nor with a
 * forged item. */
static void an_unproven_version_does_not_end_a_put(void **state) {
  static const int64_t huge = INT64_MAX;
  const struct kad_lookup_options options = {.has_cas = true, .cas = 5};
  struct kad_record forged = make_item("1:b", "", 8);
  struct kad_message query;
  (void)state;
  forged.seq = 9;
  start_put(&forged, NULL);
  kad_lone_run(&lone, 10);
  assert_int_equal(done.status, KAD_ESIGNATURE);
  memset(&done, 0, sizeof done);
  const struct kad_record item = make_item("1:a", "", 6);
  start_put(&item, &options);
  answer(1, NULL, &huge);
  answer(2, &forged, NULL);
  kad_lone_run(&lone, 10);
  read_query(1, &query);
  assert_int_equal(query.method, KAD_METHOD_PUT);
  assert_int_equal(query.cas, 5);
  answer_error(1, KAD_CODE_CAS);
  answer(2, NULL, NULL);
  await_result();
  assert_int_equal(done.status, 0);
}

static void most_holders_decide_about_a_conflict(void **state) {
  const struct kad_record item = make_item("1:a", "", 6);
  (void)state;
  start_put(&item, NULL);
  answer(1, NULL, NULL);
  answer(2, NULL, NULL);
  kad_lone_run(&lone, 10);
  answer_error(1, KAD_CODE_SEQ);
  answer_error(2, KAD_CODE_SEQ);
  await_result();
  assert_int_equal(done.code, KAD_CODE_SEQ);
  assert_int_equal(done.status, KAD_ESEQ);
}

/* Another put came between our lookup and our stores. */
static void bep44_lost_race_says_what_is_current(void **state) {
  static uint8_t newer_signature[KAD_SIGNATURE_SIZE];
  const struct kad_lookup_options options = {.has_cas = true, .cas = 5};
  static const int64_t held = 5;
  struct kad_record newer = make_item("1:b", "", 7);
  struct kad_message query;
  (void)state;
  memcpy(newer_signature, signature, sizeof signature);
  newer.signature = newer_signature;
  const struct kad_record item = make_item("1:a", "", 6);
  start_put(&item, &options);
  answer(1, NULL, &held);
  answer(2, NULL, &held);
  kad_lone_run(&lone, 10);
  answer_error(1, KAD_CODE_CAS);
  answer_error(2, KAD_CODE_CAS);
  read_query(1, &query);
  assert_int_equal(query.method, KAD_METHOD_GET);
  assert_int_equal(query.seq, 5);
  answer(1, &newer, NULL);
  answer(2, &newer, NULL);
  await_result();
  assert_int_equal(done.status, KAD_ECAS);
  assert_true(done.has_seq);
  assert_int_equal(done.seq, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(get_and_put_are_sent_without_want),
      TEST(bep44_unsigned_value_is_no_mutable_item),
      TEST(bep44_item_of_another_publisher_is_ignored),
      TEST(bep44_forged_signature_is_ignored),
      TEST(bep44_immutable_value_hashes_to_its_target),
      TEST(bep44_highest_seq_is_found),
      TEST(a_claimed_seq_hides_no_item),
      TEST(bep44_get_sends_the_seq_that_is_known),
      TEST(records_of_a_store_are_no_items),
      TEST(bep44_cas_is_sent_to_holders_alone),
      TEST(bep44_proven_newer_version_ends_a_put_with_cas),
      TEST(an_unproven_version_does_not_end_a_put),
      TEST(most_holders_decide_about_a_conflict),
      TEST(bep44_lost_race_says_what_is_current),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
