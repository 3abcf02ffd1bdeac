/* A node whose store one host has filled goes on serving others. Tests
 * core/node/reply.c, core/node/reply_store.c, core/records/quota.c. */
#include "lone_node.h"
#include "unit.h"

enum {
  RECORDS = 2000 /* that the store has room for */
};

static struct kad_lone lone_node;

static int begin(void **state) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  config.max_records = RECORDS;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

static struct kad_id key_of(unsigned number) {
  struct kad_id key = kad_lone_target;
  key.bytes[18] = (uint8_t)(number >> 8);
  key.bytes[19] = (uint8_t)number;
  return key;
}

/* Sends a get_peers for a key. Copies the token, and returns its length. */
static size_t get_token(struct kad_lone *lone, const struct kad_contact *from,
                        const struct kad_id *key, uint8_t *token,
                        struct kad_message *reply) {
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_GET_PEERS);
  message.target = *key;
  kad_lone_send(lone, from, &message);
  (void)kad_lone_reply(lone, reply);
  for (size_t i = 0; i < reply->token.len; i++) {
    token[i] = reply->token.data[i];
  }
  return reply->token.len;
}

/* Announces a peer of a key. Returns false if there was no token, or an error
 * in reply. */
static bool announce(struct kad_lone *lone, const struct kad_contact *from,
                     const struct kad_id *key) {
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  struct kad_message reply;
  const size_t len = get_token(lone, from, key, token, &reply);
  if (len == 0) {
    return false;
  }
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.target = *key;
  message.has_port = true;
  message.port = 6881;
  message.token = (struct kad_slice){token, len};
  kad_lone_send(lone, from, &message);
  (void)kad_lone_reply(lone, &reply);
  return reply.kind == KAD_MESSAGE_REPLY;
}

static void others_get_tokens_and_room_after_one_host_stored_2000_peers(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact flooder = kad_lone_contact(1);
  const struct kad_contact honest = kad_lone_contact(2);
  const struct kad_id key = key_of(RECORDS + 1);
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_MAX];
  for (unsigned i = 0; i < RECORDS; i++) {
    const struct kad_id filled = key_of(i);
    assert_true(announce(lone, &flooder, &filled));
  }
  assert_int_equal(kad_lone_stats(lone).records, RECORDS);

  assert_true(announce(lone, &honest, &key));

  assert_true(get_token(lone, &honest, &key, token, &reply) > 0);
  assert_int_equal(reply.peer_count, 1);
  assert_int_equal(kad_lone_stats(lone).records, RECORDS);
  assert_int_equal(kad_lone_stats(lone).evicted, 1);
}

/* The host that filled the store displaces its own records only. */
static void a_host_that_fills_the_store_displaces_only_itself(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact flooder = kad_lone_contact(1);
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_MAX];
  for (unsigned i = 0; i < 50; i++) {
    const struct kad_contact honest = kad_lone_contact(100 + i);
    const struct kad_id key = key_of(5000 + i);
    assert_true(announce(lone, &honest, &key));
  }

  for (unsigned i = 0; i < 2 * RECORDS; i++) {
    const struct kad_id filled = key_of(i);
    (void)announce(lone, &flooder, &filled);
  }

  for (unsigned i = 0; i < 50; i++) {
    const struct kad_contact honest = kad_lone_contact(100 + i);
    const struct kad_id key = key_of(5000 + i);
    (void)get_token(lone, &honest, &key, token, &reply);
    assert_int_equal(reply.peer_count, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(others_get_tokens_and_room_after_one_host_stored_2000_peers),
      TEST(a_host_that_fills_the_store_displaces_only_itself),
  };
  return cmocka_run_group_tests_name("full_store", tests, NULL, NULL);
}
