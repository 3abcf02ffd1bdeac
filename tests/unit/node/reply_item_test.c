/* Serving items of BEP 44: get and put, each error, and what keeps an item.
 *
 * Tests core/node/reply.c, core/node/reply_store.c. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static struct kad_lone lone;
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];
static uint8_t signature[KAD_SIGNATURE_SIZE];
static uint8_t token[KAD_TOKEN_MAX];
static const uint8_t seed[32] = {4, 4};

static int begin(void **state) {
  struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_keypair(seed, publisher, secret);
  kad_lone_open(&lone, &config);
  for (unsigned i = 1; i <= 3; i++) {
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

static struct kad_id target_of(const char *salt) {
  struct kad_id target;
  assert_ok(kad_item_target_mutable(publisher, kad_slice_of(salt), &target));
  return target;
}

static struct kad_id target_of_value(const char *value) {
  struct kad_id target;
  assert_ok(kad_item_target_immutable(kad_slice_of(value), &target));
  return target;
}

/* Returns a mutable item, signed in `signature`. */
static struct kad_record make_item(const char *value, const char *salt,
                                   int64_t seq) {
  const struct kad_record item = {.value = kad_slice_of(value),
                                  .salt = kad_slice_of(salt),
                                  .publisher = publisher,
                                  .signature = signature,
                                  .has_seq = true,
                                  .seq = seq};
  assert_ok(kad_item_sign(item.value, item.salt, seq, secret, signature));
  return item;
}

/* Sends a get of `from`, and decodes the reply. */
static void get_as(const struct kad_contact *from, const struct kad_id *target,
                   const int64_t *seq, struct kad_message *reply) {
  struct kad_message query;
  kad_lone_begin(&query, KAD_METHOD_GET);
  query.has_target = true;
  query.target = *target;
  query.has_seq = seq != NULL;
  query.seq = seq != NULL ? *seq : 0;
  kad_lone_send(&lone, from, &query);
  (void)kad_lone_reply(&lone, reply);
}

static void get(const struct kad_id *target, struct kad_message *reply) {
  const struct kad_contact reader = kad_lone_contact(1);
  get_as(&reader, target, NULL, reply);
}

/* Copies the token that `method` gives for `target`. */
static struct kad_slice token_of(const struct kad_contact *from,
                                 const struct kad_id *target,
                                 enum kad_method_id method) {
  struct kad_message query;
  struct kad_message reply;
  kad_lone_begin(&query, method);
  query.has_target = true;
  query.target = *target;
  query.type = kad_slice_of("value");
  kad_lone_send(&lone, from, &query);
  (void)kad_lone_reply(&lone, &reply);
  assert_true(reply.token.len > 0);
  memcpy(token, reply.token.data, reply.token.len);
  return (struct kad_slice){token, reply.token.len};
}

/* Sends a put of `from` with `write_token`. Returns the code of its error. */
static int put_with(const struct kad_contact *from,
                    const struct kad_record *item, struct kad_slice write_token,
                    const int64_t *cas) {
  struct kad_message query;
  kad_lone_begin(&query, KAD_METHOD_PUT);
  query.token = write_token;
  query.records[0] = *item;
  query.record_count = 1;
  query.has_cas = cas != NULL;
  query.cas = cas != NULL ? *cas : 0;
  query.transaction = kad_slice_of("pp");
  kad_lone_send(&lone, from, &query);
  return kad_lone_error(&lone);
}

static int put_cas(const struct kad_record *item, const int64_t *cas) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_record named = *item;
  if (item->publisher != NULL) {
    assert_ok(kad_item_target_mutable(item->publisher, item->salt, &named.key));
  } else {
    assert_ok(kad_item_target_immutable(item->value, &named.key));
  }
  return put_with(&from, item, token_of(&from, &named.key, KAD_METHOD_GET),
                  cas);
}

static int put(const struct kad_record *item) {
  return put_cas(item, NULL);
}

static int put_mutable(const char *value, int64_t seq) {
  const struct kad_record item = make_item(value, "", seq);
  return put(&item);
}

/* ----------------------------------------------------- put, then get -- */

static void bep44_immutable_item_is_put_and_got(void **state) {
  const struct kad_record item = {.value = kad_slice_of("d1:ali1ei2eee")};
  const struct kad_id target = target_of_value("d1:ali1ei2eee");
  struct kad_message reply;
  (void)state;
  assert_int_equal(put(&item), 0);
  (void)kad_lone_reply(&lone, &reply);
  assert_false(reply.has_stored);

  get(&target, &reply);

  assert_true(reply.has_item);
  assert_slice_is(reply.records[0].value, "d1:ali1ei2eee");
  assert_null(reply.records[0].publisher);
  assert_true(reply.has_nodes && reply.contact_count > 0);
  assert_int_equal(kad_lone_stats(&lone).served_put, 1);
}

static void bep44_mutable_item_is_put_and_got(void **state) {
  const struct kad_record item = make_item("5:hello", "foobar", INT64_MAX);
  const struct kad_id target = target_of("foobar");
  struct kad_message reply;
  (void)state;
  assert_int_equal(put(&item), 0);

  get(&target, &reply);

  assert_true(reply.has_item);
  assert_slice_is(reply.records[0].value, "5:hello");
  assert_memory_equal(reply.records[0].publisher, publisher, sizeof publisher);
  assert_memory_equal(reply.records[0].signature, signature, sizeof signature);
  assert_true(reply.records[0].seq == INT64_MAX);
  assert_int_equal(reply.records[0].salt.len, 0); /* never returned */
}

/* "It should also include a write token". */
static void bep44_reply_with_a_value_has_a_token(void **state) {
  const struct kad_id target = target_of("");
  struct kad_message reply;
  (void)state;
  get(&target, &reply);
  assert_false(reply.has_item);
  assert_true(reply.token.len > 0);
  assert_true(reply.has_total && reply.total == 0);
  assert_int_equal(put_mutable("5:hello", 1), 0);
  get(&target, &reply);
  assert_true(reply.has_item && reply.token.len > 0);
  assert_int_equal(reply.total, 1);
  assert_in_range(reply.records[0].ttl, 7190, 7200);
}

/* "the k, v, and sig fields SHOULD be omitted". */
static void bep44_get_with_seq_returns_newer_values_only(void **state) {
  static const int64_t seqs[] = {4, 5, 6, INT64_MAX, -1};
  const struct kad_contact reader = kad_lone_contact(1);
  const struct kad_id target = target_of("");
  struct kad_message reply;
  (void)state;
  assert_int_equal(put_mutable("5:hello", 5), 0);
  for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
    get_as(&reader, &target, &seqs[i], &reply);
    assert_int_equal(reply.has_item, seqs[i] < 5);
    assert_true(reply.has_seq);
    assert_int_equal(reply.seq, 5);
    assert_true(reply.token.len > 0);
  }
}

/* -------------------------------------------------------------- tokens -- */

/* Seen from a Rust client, which announces with a token of a get. */
static void bep44_tokens_of_all_queries_are_good_for_each_other(void **state) {
  static const enum kad_method_id methods[] = {
      KAD_METHOD_GET, KAD_METHOD_GET_PEERS, KAD_METHOD_FIND_VALUE};
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record item = {.value = kad_slice_of("le")};
  const struct kad_id target = target_of_value("le");
  (void)state;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    assert_int_equal(
        put_with(&from, &item, token_of(&from, &target, methods[i]), NULL), 0);
  }
  struct kad_message announce;
  kad_lone_begin(&announce, KAD_METHOD_ANNOUNCE_PEER);
  announce.token = token_of(&from, &target, KAD_METHOD_GET);
  announce.has_target = true;
  announce.target = target;
  announce.has_port = true;
  announce.port = 7000;
  kad_lone_send(&lone, &from, &announce);
  assert_int_equal(kad_lone_error(&lone), 0);
}

static void bep44_put_needs_the_token_of_its_target(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  const struct kad_record item = make_item("5:hello", "", 1);
  const struct kad_id target = target_of("");
  const struct kad_id wrong = target_of("s");
  (void)state;
  assert_int_equal(put_with(&from, &item, kad_slice_of("12345678"), NULL),
                   KAD_CODE_PROTOCOL);
  assert_int_equal(
      put_with(&from, &item, token_of(&from, &wrong, KAD_METHOD_GET), NULL),
      KAD_CODE_PROTOCOL);
  assert_int_equal(
      put_with(&other, &item, token_of(&from, &target, KAD_METHOD_GET), NULL),
      KAD_CODE_PROTOCOL);
  assert_int_equal(kad_lone_stats(&lone).bad_token, 3);
  assert_int_equal(kad_lone_records(&lone), 0);
}

/* -------------------------------------------------------------- errors -- */

/* A mutable item whose value is a string of `len` bytes with its length. */
static struct kad_record make_large(char *memory, size_t len,
                                    const char *salt) {
  memset(memory, 'x', len);
  memory[0] = '9';
  memory[1] = '9';
  memory[2] = (char)('6' + (int)len - 1000);
  memory[3] = ':';
  memory[len] = '\0';
  struct kad_record item = make_item("0:", salt, 1);
  item.value = kad_slice_of(memory);
  return item;
}

static void bep44_error_205_value_too_large(void **state) {
  static char memory[1100];
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_id target = target_of("");
  struct kad_record item = make_large(memory, 1001, "");
  (void)state;
  assert_int_equal(
      put_with(&from, &item, token_of(&from, &target, KAD_METHOD_GET), NULL),
      KAD_CODE_TOO_BIG);
  item.publisher = NULL;
  item.signature = NULL;
  assert_int_equal(put_with(&from, &item, kad_slice_of("to"), NULL),
                   KAD_CODE_TOO_BIG);
  item = make_large(memory, 1000, "");
  assert_ok(kad_item_sign(item.value, item.salt, 1, secret, signature));
  assert_int_equal(put(&item), 0);
}

static void bep44_error_206_bad_signature(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  item.seq = 2;
  assert_int_equal(put(&item), KAD_CODE_SIGNATURE);
  item = make_item("5:hello", "", 1);
  item.value = kad_slice_of("5:hullo");
  assert_int_equal(put(&item), KAD_CODE_SIGNATURE);
  item = make_item("5:hello", "a", 1);
  item.salt = kad_slice_of("b");
  assert_int_equal(put(&item), KAD_CODE_SIGNATURE);
  assert_int_equal(kad_lone_records(&lone), 0);
  assert_int_equal(kad_lone_stats(&lone).bad_signature, 3);
}

static void bep44_error_207_salt_too_large(void **state) {
  static char salt[80];
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  memset(salt, 's', 65);
  item.salt = kad_slice_of(salt);
  assert_int_equal(put_with(&from, &item, kad_slice_of("to"), NULL),
                   KAD_CODE_SALT);
  salt[64] = '\0';
  item = make_item("5:hello", salt, 1);
  assert_int_equal(put(&item), 0);
}

static void bep44_error_301_cas_mismatch(void **state) {
  static const int64_t wrong = 4;
  static const int64_t right = 5;
  struct kad_record item = make_item("1:a", "", 5);
  (void)state;
  assert_int_equal(put_cas(&item, &wrong), 0); /* nothing is held: ignored */
  item = make_item("1:b", "", 6);
  assert_int_equal(put_cas(&item, &wrong), KAD_CODE_CAS);
  assert_int_equal(put_cas(&item, &right), 0);
  assert_int_equal(put_cas(&item, &right), 0); /* sent again: confirmed */
  item = make_item("1:c", "", 7);
  assert_int_equal(put_cas(&item, &right), KAD_CODE_CAS);
}

static void bep44_error_302_seq_too_low(void **state) {
  const struct kad_id target = target_of("");
  struct kad_message reply;
  (void)state;
  assert_int_equal(put_mutable("1:a", INT64_C(9007199254740993)), 0);
  assert_int_equal(put_mutable("1:b", INT64_C(9007199254740992)), KAD_CODE_SEQ);
  get(&target, &reply);
  assert_slice_is(reply.records[0].value, "1:a");
  assert_int_equal(put_mutable("1:b", INT64_C(9007199254740994)), 0);
  get(&target, &reply);
  assert_slice_is(reply.records[0].value, "1:b");
}

/* Seen in other nodes: equal seq with another value overwrites. */
static void bep44_equal_seq_only_confirms(void **state) {
  const struct kad_id target = target_of("");
  struct kad_message reply;
  (void)state;
  assert_int_equal(put_mutable("1:a", 5), 0);
  kad_lone_run(&lone, 3600 * 1000);
  assert_int_equal(put_mutable("1:b", 5), KAD_CODE_SEQ);
  get(&target, &reply);
  assert_slice_is(reply.records[0].value, "1:a");
  assert_in_range(reply.records[0].ttl, 3500, 3600);
  assert_int_equal(put_mutable("1:a", 5), 0);
  get(&target, &reply);
  assert_in_range(reply.records[0].ttl, 7190, 7200);
}

static void bep44_negative_seq_is_refused(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  item.seq = -1;
  assert_int_equal(put(&item), KAD_CODE_PROTOCOL);
  item.seq = INT64_MIN;
  assert_int_equal(put(&item), KAD_CODE_PROTOCOL);
}

static void bep44_items_expire_after_two_hours(void **state) {
  const struct kad_record item = {.value = kad_slice_of("le")};
  (void)state;
  assert_int_equal(put(&item), 0);
  kad_lone_run(&lone, 7190 * 1000);
  assert_int_equal(kad_lone_records(&lone), 1);
  kad_lone_run(&lone, 20 * 1000);
  assert_int_equal(kad_lone_records(&lone), 0);
}

/* ----------------------------------------------------- other queries -- */

static void items_are_not_served_by_store_and_find_value(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message query;
  const struct kad_id target = target_of_value("le");
  (void)state;
  kad_lone_begin(&query, KAD_METHOD_STORE);
  query.token = token_of(&from, &target, KAD_METHOD_GET);
  query.has_target = true;
  query.target = target;
  query.type = kad_slice_of("immutable");
  query.records[0] = (struct kad_record){.value = kad_slice_of("le")};
  query.record_count = 1;
  kad_lone_send(&lone, &from, &query);
  assert_int_equal(kad_lone_error(&lone), KAD_CODE_PROTOCOL);
  assert_int_equal(kad_lone_records(&lone), 0);

  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.has_target = true;
  query.target = target;
  query.type = kad_slice_of("mutable");
  kad_lone_send(&lone, &from, &query);
  assert_int_equal(kad_lone_error(&lone), KAD_CODE_PROTOCOL);
}

static void items_need_ids_of_160_bits(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config = kad_lone_unlimited();
  (void)state;
  config.id_bits = 256;
  kad_lone_close(&lone);
  kad_lone_open(&lone, &config);
  kad_lone_query(&lone, &from, KAD_METHOD_GET);
  assert_int_equal(kad_lone_error(&lone), KAD_CODE_METHOD);
}

/* ------------------------------------------------------- amplification -- */

/* An address that has proven nothing gets no large value, but a token, with
 * which it proves itself. */
static void a_stranger_gets_the_value_with_a_token(void **state) {
  static char memory[1100];
  const struct kad_contact stranger = kad_lone_contact(900);
  struct kad_record item = make_large(memory, 1000, "");
  const struct kad_id target = target_of("");
  struct kad_message query;
  struct kad_message reply;
  (void)state;
  assert_ok(kad_item_sign(item.value, item.salt, 1, secret, signature));
  assert_int_equal(put(&item), 0);

  get_as(&stranger, &target, NULL, &reply);

  assert_false(reply.has_item);
  assert_true(reply.has_seq && reply.seq == 1);
  assert_int_equal(reply.total, 1);
  assert_true(reply.contact_count > 0);

  kad_lone_begin(&query, KAD_METHOD_GET);
  query.has_target = true;
  query.target = target;
  query.token = token_of(&stranger, &target, KAD_METHOD_GET_PEERS);
  kad_lone_send(&lone, &stranger, &query);
  (void)kad_lone_reply(&lone, &reply);
  assert_true(reply.has_item);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(bep44_immutable_item_is_put_and_got),
      TEST(bep44_mutable_item_is_put_and_got),
      TEST(bep44_reply_with_a_value_has_a_token),
      TEST(bep44_get_with_seq_returns_newer_values_only),
      TEST(bep44_tokens_of_all_queries_are_good_for_each_other),
      TEST(bep44_put_needs_the_token_of_its_target),
      TEST(bep44_error_205_value_too_large),
      TEST(bep44_error_206_bad_signature),
      TEST(bep44_error_207_salt_too_large),
      TEST(bep44_error_301_cas_mismatch),
      TEST(bep44_error_302_seq_too_low),
      TEST(bep44_equal_seq_only_confirms),
      TEST(bep44_negative_seq_is_refused),
      TEST(bep44_items_expire_after_two_hours),
      TEST(items_are_not_served_by_store_and_find_value),
      TEST(items_need_ids_of_160_bits),
      TEST(a_stranger_gets_the_value_with_a_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
