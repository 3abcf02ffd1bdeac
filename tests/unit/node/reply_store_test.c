/* The replies to announce_peer and store, and what they store. */
#include "base/address.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static const struct kad_slice empty = {NULL, 0};

static struct kad_lone lone_node;

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* -------------------------------------------------------------- tokens -- */

/* Sends an announcement with `token` and returns the code of the error. */
static int announce_with(struct kad_lone *lone, const struct kad_contact *from,
                         struct kad_slice token) {
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.target = kad_lone_target;
  message.token = token;
  message.has_port = true;
  message.port = 7000;
  kad_lone_send(lone, from, &message);
  return kad_lone_error(lone);
}

static void token_is_valid_for_its_address_on_any_port(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  uint8_t bytes[KAD_TOKEN_MAX];
  const struct kad_slice token = {bytes, kad_lone_token(lone, &from, bytes)};

  assert_int_equal(announce_with(lone, &other, token), KAD_CODE_PROTOCOL);
  assert_int_equal(announce_with(lone, &from, empty), KAD_CODE_PROTOCOL);
  assert_int_equal(announce_with(lone, &from, kad_slice_of("12345678")),
                   KAD_CODE_PROTOCOL);
  assert_int_equal(kad_lone_stats(lone).bad_token, 3);
  assert_int_equal(kad_lone_stats(lone).records, 0);
  from.address.port = 9;
  assert_int_equal(announce_with(lone, &from, token), 0);
  assert_int_equal(kad_lone_stats(lone).records, 1);
}

static void token_is_valid_for_five_minutes_and_not_for_ten(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t bytes[KAD_TOKEN_MAX];
  const struct kad_slice token = {bytes, kad_lone_token(lone, &from, bytes)};
  kad_lone_run(lone, 300000);
  assert_int_equal(announce_with(lone, &from, token), 0);
  kad_lone_run(lone, 300000);
  assert_int_equal(announce_with(lone, &from, token), KAD_CODE_PROTOCOL);
}

static void tokens_of_two_nodes_differ(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config;
  uint8_t first[KAD_TOKEN_MAX];
  uint8_t second[KAD_TOKEN_MAX];
  const size_t len = kad_lone_token(lone, &from, first);
  kad_config_default(&config);
  kad_lone_close(lone);
  const struct kad_env env = kad_lone_env(lone, 2);
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_int_equal(kad_lone_token(lone, &from, second), len);
  assert_memory_not_equal(first, second, len);
}

static void address_at_its_limit_can_refresh_its_records(void **state) {
  struct kad_config config;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record record = {.value = kad_slice_of("one")};
  const struct kad_record other = {.value = kad_slice_of("two")};
  kad_config_default(&config);
  config.max_records_address = 1;
  kad_lone_close(&lone_node);
  kad_lone_open(&lone_node, &config);
  struct kad_lone *lone = *state;
  kad_lone_store(lone, &from, &record, 1);
  assert_int_equal(kad_lone_error(lone), 0);

  kad_lone_store(lone, &from, &record, 1);

  assert_int_equal(kad_lone_error(lone), 0);
  kad_lone_store(lone, &from, &other, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_REFUSED);
}

static void token_is_checked_before_signatures(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t zeros[KAD_SIGNATURE_SIZE] = {0};
  const struct kad_record forged = {
      .value = kad_slice_of("v"), .publisher = zeros, .signature = zeros};
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token = kad_slice_of("12345678");
  message.records[0] = forged;
  message.record_count = 1;

  kad_lone_send(lone, &from, &message);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_PROTOCOL);
  kad_lone_store(lone, &from, &forged, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_SIGNATURE);
  assert_int_equal(kad_lone_stats(lone).records, 0);
}

/* --------------------------------------------------------------- peers -- */

static void check_peer(struct kad_lone *lone, uint16_t port) {
  const struct kad_contact reader = kad_lone_contact(2);
  struct kad_message reply;
  kad_lone_query(lone, &reader, KAD_METHOD_GET_PEERS);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.peer_count, 1);
  struct kad_address expected = kad_lone_contact(1).address;
  expected.port = port;
  assert_true(kad_address_equal(&reply.peers[0], &expected));
}

static void peer_is_stored_with_its_announced_port(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_announce(lone, &from, 7000);
  check_peer(lone, 7000);
}

static void implied_port_is_the_port_of_the_datagram(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.target = kad_lone_target;
  message.token = (struct kad_slice){token, kad_lone_token(lone, &from, token)};
  message.implied_port = true;
  message.has_port = true;
  message.port = 1;
  kad_lone_send(lone, &from, &message);
  check_peer(lone, 6881);
}

static void peer_at_another_address_is_rejected(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_address victim = kad_lone_contact(3).address;
  uint8_t compact[KAD_COMPACT_IP6];
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("peers");
  message.token = (struct kad_slice){token, kad_lone_token(lone, &from, token)};
  message.records[0] = (struct kad_record){
      .value = {compact, kad_address_pack(&victim, compact)}};
  message.record_count = 1;
  kad_lone_send(lone, &from, &message);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_REFUSED);
  assert_int_equal(kad_lone_stats(lone).records, 0);
}

/* --------------------------------------------------------------- store -- */

static void sequence_number_above_2_53_is_returned_exactly(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const uint8_t seed[32] = {7};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  struct kad_message reply;
  struct kad_record record = {
      .key = kad_lone_target,
      .type = kad_slice_of("value"),
      .value = kad_slice_of("v"),
      .publisher = publisher,
      .has_seq = true,
      .seq = 9007199254740993,
  };
  kad_keypair(seed, publisher, secret);
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  record.signature = signature;
  kad_lone_store(lone, &from, &record, 1);

  kad_lone_query(lone, &from, KAD_METHOD_FIND_VALUE);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.record_count, 1);
  assert_true(reply.records[0].seq == 9007199254740993);
}

static void bad_signature_ends_the_message(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  static const uint8_t zeros[KAD_SIGNATURE_SIZE];
  struct kad_message reply;
  const struct kad_record records[] = {
      {.value = kad_slice_of("a")},
      {.value = kad_slice_of("b"), .publisher = zeros, .signature = zeros},
      {.value = kad_slice_of("c")},
      {.value = kad_slice_of("d"), .publisher = zeros, .signature = zeros},
  };
  kad_lone_store(lone, &from, records, 4);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.stored, 1);
  assert_int_equal(reply.error_count, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(reply.errors[i].index, i + 1);
    assert_int_equal(reply.errors[i].code, KAD_CODE_SIGNATURE);
  }
  assert_int_equal(kad_lone_stats(lone).bad_signature, 1);
  assert_int_equal(kad_lone_stats(lone).records, 1);
}

static void large_values_and_salts_have_error_codes(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t large[KAD_ITEM_VALUE_MAX + 1] = {0};
  const struct kad_record value = {.value = {large, sizeof large}};
  const struct kad_record salted = {.value = kad_slice_of("v"),
                                    .salt = {large, KAD_SALT_MAX + 1}};
  kad_lone_store(lone, &from, &value, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_TOO_BIG);
  kad_lone_store(lone, &from, &salted, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_SALT);
  const struct kad_record just = {.value = {large, KAD_ITEM_VALUE_MAX},
                                  .salt = {large, KAD_SALT_MAX}};
  kad_lone_store(lone, &from, &just, 1);
  assert_int_equal(kad_lone_error(lone), 0);
}

/* Accepts "yes". Rejects others with a long code, and "no" with a reason of 200
 * bytes. */
static void refuse_at_length(void *state, const struct kad_hook_call *call,
                             struct kad_hook_result *answer) {
  static uint8_t reason[200];
  (void)state;
  memset(reason, 'r', sizeof reason);
  if (!kad_slice_equal(call->record->value, kad_slice_of("yes"))) {
    answer->verdict = KAD_VERDICT_REJECT;
    answer->code = -2000000000;
    bool no = kad_slice_equal(call->record->value, kad_slice_of("no"));
    answer->reason = (struct kad_slice){reason, no ? sizeof reason : 0};
  }
}

/* Stores 32 records. The last is accepted, the first `mum` are rejected without
 * a reason, the others with one. Checks that the node replies. */
static void check_refusals(struct kad_lone *lone, size_t mum,
                           size_t least_errors) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_type type = {.name = "value", .validate = refuse_at_length};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_record records[KAD_RECORDS_PER_MESSAGE];
  struct kad_message reply;
  for (size_t i = 0; i < KAD_RECORDS_PER_MESSAGE; i++) {
    records[i] =
        (struct kad_record){.value = kad_slice_of(i < mum ? "mum" : "no")};
  }
  records[KAD_RECORDS_PER_MESSAGE - 1].value = kad_slice_of("yes");
  assert_ok(kad_node_set_policy(lone->node, &policy));

  kad_lone_store(lone, &from, records, KAD_RECORDS_PER_MESSAGE);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_true(reply.has_stored);
  assert_int_equal(reply.stored, 1);
  assert_in_range(reply.error_count, least_errors, 31);
  assert_int_equal(reply.errors[0].code, -2000000000);
  assert_in_range(reply.errors[mum].reason.len, 1, 200);
}

static void reply_to_a_store_fits_with_any_errors(void **state) {
  struct kad_config config;
  check_refusals(*state, 0, 31);
  kad_lone_close(&lone_node);
  kad_config_default(&config);
  config.max_reply = 512;
  kad_lone_open(&lone_node, &config);
  check_refusals(&lone_node, 0, 1);
  check_refusals(&lone_node, 6, 7);
}

static void reply_to_a_store_has_our_id_and_a_count(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record records[] = {{.value = kad_slice_of("one")},
                                       {.value = kad_slice_of("two")}};
  struct kad_message reply;
  kad_lone_store(lone, &from, records, 2);
  (void)kad_lone_reply(lone, &reply);
  assert_true(kad_id_equal(&reply.id, kad_node_id(lone->node)));
  assert_true(kad_address_equal(&reply.observed, &from.address));
  assert_slice_is(reply.transaction, "qq");
  assert_true(reply.has_stored);
  assert_int_equal(reply.stored, 2);
  assert_int_equal(reply.error_count, 0);
  assert_int_equal(kad_lone_stats(lone).served_store, 1);
  kad_lone_announce(lone, &from, 7000);
  (void)kad_lone_reply(lone, &reply);
  assert_false(reply.has_stored);
  assert_int_equal(kad_lone_stats(lone).served_announce_peer, 1);
  assert_int_equal(kad_lone_stats(lone).served_store, 1);
}

/* Sends a find_value for the target. */
static void find_value(struct kad_lone *lone, struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(2);
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_FIND_VALUE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  kad_lone_send(lone, &from, &message);
  (void)kad_lone_reply(lone, reply);
}

static void store_may_have_one_ttl_for_all_values(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token = (struct kad_slice){token, kad_lone_token(lone, &from, token)};
  message.has_ttl = true;
  message.ttl = 60;
  message.record_count = 2;
  message.records[0] = (struct kad_record){.value = kad_slice_of("one")};
  message.records[1] =
      (struct kad_record){.value = kad_slice_of("two"), .ttl = 30};
  kad_lone_send(lone, &from, &message);
  find_value(lone, &message);
  assert_int_equal(message.record_count, 2);
  assert_int_equal(message.records[0].ttl, 30);
  assert_int_equal(message.records[1].ttl, 60);
}

static void type_may_require_signatures(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_type type = {.name = "value", .signed_only = true};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  const struct kad_record record = {.value = kad_slice_of("v")};
  assert_ok(kad_node_set_policy(lone->node, &policy));
  kad_lone_store(lone, &from, &record, 1);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_SIGNATURE);
}

/* ---------------------------------------------------------------- room -- */

static void full_store_issues_no_tokens(void **state) {
  struct kad_config config;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t token[KAD_TOKEN_MAX];
  kad_config_default(&config);
  config.max_records = 0;
  kad_lone_close(&lone_node);
  kad_lone_open(&lone_node, &config);
  assert_int_equal(kad_lone_token(*state, &from, token), 0);
}

static void store_of_our_own_records_issues_no_tokens(void **state) {
  struct kad_config config;
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record record = {.key = kad_lone_target,
                                    .type = kad_slice_of("value"),
                                    .value = kad_slice_of("ours")};
  uint8_t token[KAD_TOKEN_MAX];
  kad_config_default(&config);
  config.max_records = 1;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  assert_true(kad_lone_token(lone, &from, token) > 0);

  assert_ok(kad_node_put(lone->node, &record, NULL, NULL, NULL, NULL));
  kad_lone_run(lone, 1000);

  assert_int_equal(kad_lone_records(lone), 1);
  assert_int_equal(kad_lone_token(lone, &from, token), 0);
}

/* Asks for `key` with each query whose reply may have a token. Returns how many
 * have one. */
static unsigned count_tokens(struct kad_lone *lone,
                             const struct kad_contact *from,
                             const struct kad_id *key) {
  static const enum kad_method_id methods[] = {
      KAD_METHOD_GET_PEERS, KAD_METHOD_GET, KAD_METHOD_FIND_VALUE};
  unsigned tokens = 0;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    struct kad_message message;
    kad_lone_begin(&message, methods[i]);
    message.has_target = true;
    message.target = *key;
    message.type = kad_slice_of("value");
    kad_lone_send(lone, from, &message);
    (void)kad_lone_reply(lone, &message);
    assert_int_equal(message.kind, KAD_MESSAGE_REPLY);
    tokens += message.token.len > 0;
  }
  return tokens;
}

/* Where an address at its limit holds nothing, its store would be refused. */
static void address_at_its_limit_gets_tokens_for_held_keys(void **state) {
  struct kad_config config;
  struct kad_lone *lone = *state;
  struct kad_contact neighbour = kad_lone_contact_v6(3);
  const struct kad_contact four = kad_lone_contact(1);
  const struct kad_contact six = kad_lone_contact_v6(3);
  const struct kad_record record = {.value = kad_slice_of("one")};
  struct kad_id other = kad_lone_target;
  other.bytes[5] ^= 1;
  neighbour.address.ip[15] ^= 1;
  kad_config_default(&config);
  config.max_records_address = 1;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  assert_int_equal(count_tokens(lone, &four, &other), 3);

  kad_lone_store(lone, &four, &record, 1);
  assert_int_equal(kad_lone_error(lone), 0);
  kad_lone_announce(lone, &six, 7000);
  assert_int_equal(kad_lone_error(lone), 0);

  assert_int_equal(count_tokens(lone, &four, &kad_lone_target), 3);
  assert_int_equal(count_tokens(lone, &four, &other), 0);
  assert_int_equal(count_tokens(lone, &neighbour, &kad_lone_target), 3);
  assert_int_equal(count_tokens(lone, &neighbour, &other), 0);
  const struct kad_contact stranger = kad_lone_contact(9);
  assert_int_equal(count_tokens(lone, &stranger, &other), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(token_is_valid_for_its_address_on_any_port),
      TEST(token_is_valid_for_five_minutes_and_not_for_ten),
      TEST(tokens_of_two_nodes_differ),
      TEST(address_at_its_limit_can_refresh_its_records),
      TEST(token_is_checked_before_signatures),
      TEST(peer_is_stored_with_its_announced_port),
      TEST(implied_port_is_the_port_of_the_datagram),
      TEST(peer_at_another_address_is_rejected),
      TEST(sequence_number_above_2_53_is_returned_exactly),
      TEST(large_values_and_salts_have_error_codes),
      TEST(reply_to_a_store_fits_with_any_errors),
      TEST(reply_to_a_store_has_our_id_and_a_count),
      TEST(store_may_have_one_ttl_for_all_values),
      TEST(bad_signature_ends_the_message),
      TEST(type_may_require_signatures),
      TEST(full_store_issues_no_tokens),
      TEST(store_of_our_own_records_issues_no_tokens),
      TEST(address_at_its_limit_gets_tokens_for_held_keys),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
