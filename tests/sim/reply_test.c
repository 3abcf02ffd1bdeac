/* How a node answers find_value, store, get_peers and announce_peer.
 * Source: Kademlia §2.3, BEP 5, docs/protocol.md.
 *
 * Tests core/node/reply.c, core/node/reply_store.c. */
#include "kadenza.h"
#include "lone_node.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  K = 8,
  CONTACTS = 20,
  VALUES = 60,
  PAGES_MAX = VALUES
};

static struct kad_lone lone;

static int open_node(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.limits = false;
  kad_lone_open(&lone, &config);
  for (unsigned i = 1; i <= CONTACTS; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(&lone, &contact);
  }
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* Sends find_value from contact 1 for the values from the `skip`th on. */
static void find_value(uint32_t skip, struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message query;
  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.has_target = true;
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  query.skip = skip;
  kad_lone_send(&lone, &from, &query);
  (void)kad_lone_reply(&lone, reply);
}

/* Stores one value from `from` with `token`. Returns the code of the error, 0
 * for none. */
static int store(const struct kad_contact *from, const char *value,
                 struct kad_slice token) {
  struct kad_message query;
  kad_lone_begin(&query, KAD_METHOD_STORE);
  query.has_target = true;
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  query.token = token;
  query.records[0] = (struct kad_record){.value = kad_slice_of(value)};
  query.record_count = 1;
  kad_lone_send(&lone, from, &query);
  return kad_lone_error(&lone);
}

/* Stores `count` values, each from another contact. */
static void store_values(unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    const struct kad_contact from = kad_lone_contact(i + 1);
    uint8_t token[KAD_TOKEN_MAX];
    char value[64];
    (void)snprintf(value, sizeof value, "value number %u of many", i);
    const struct kad_slice given = {token, kad_lone_token(&lone, &from, token)};
    assert_int_equal(store(&from, value, given), 0);
  }
}

/* Returns the number of a stored value. */
static size_t number_of(struct kad_slice value) {
  const size_t prefix = strlen("value number ");
  char text[64] = {0};
  assert_true(value.len > prefix && value.len < sizeof text);
  memcpy(text, value.data, value.len);
  return strtoul(text + prefix, NULL, 10);
}

/* Kademlia §2.3: FIND_VALUE behaves like FIND_NODE, and returns the k closest,
 * if the node has no value. protocol.md: with a token. */
static void find_value_without_a_value_returns_the_k_closest(void **state) {
  struct kad_message reply;
  (void)state;
  find_value(0, &reply);
  assert_int_equal(reply.record_count, 0);
  assert_false(reply.has_total);
  assert_int_equal(reply.contact_count, K);
  assert_true(reply.token.len > 0);
}

/* Kademlia §2.3: "it just returns the stored value"; protocol.md: with
 * contacts, so that a reader finds other holders, and the life that is left. */
static void find_value_returns_the_value_and_contacts(void **state) {
  struct kad_message reply;
  (void)state;
  store_values(1);
  kad_lone_run(&lone, 3600 * 1000);
  find_value(0, &reply);
  assert_int_equal(reply.record_count, 1);
  assert_int_equal(reply.total, 1);
  assert_slice_is(reply.records[0].value, "value number 0 of many");
  assert_int_equal(reply.records[0].ttl, 86400 - 3600);
  assert_true(reply.has_nodes);
}

/* protocol.md: a key has several values; a page has those that fit. */
static void each_value_is_on_one_page(void **state) {
  bool seen[VALUES] = {false};
  struct kad_message reply;
  uint32_t skip = 0;
  unsigned pages = 0;
  (void)state;
  store_values(VALUES);
  do {
    find_value(skip, &reply);
    assert_int_equal(reply.total, VALUES);
    for (size_t i = 0; i < reply.record_count; i++) {
      const size_t number = number_of(reply.records[i].value);
      assert_true(number < VALUES && !seen[number]);
      seen[number] = true;
    }
    skip += (uint32_t)reply.record_count;
    pages++;
  } while (reply.record_count > 0 && pages < PAGES_MAX);
  assert_int_equal(skip, VALUES);
  assert_true(pages > 2);
}

/* BEP 5 "get_peers": a token is valid for one address. */
static void a_store_needs_a_token_of_its_address(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  uint8_t token[KAD_TOKEN_MAX];
  const struct kad_slice given = {token, kad_lone_token(&lone, &from, token)};
  (void)state;
  assert_int_equal(store(&other, "v", given), KAD_CODE_PROTOCOL);
  token[0] ^= 1;
  assert_int_equal(store(&from, "v", given), KAD_CODE_PROTOCOL);
  token[0] ^= 1;
  assert_int_equal(store(&from, "v", given), 0);
  kad_lone_run(&lone, 20 * 60 * 1000);
  assert_int_equal(store(&from, "v", given), KAD_CODE_PROTOCOL);
}

static void get_peers(struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(3);
  kad_lone_query(&lone, &from, KAD_METHOD_GET_PEERS);
  (void)kad_lone_reply(&lone, reply);
}

/* BEP 5 "get_peers", "announce_peer": peers are returned with a token and
 * contacts. The port is the announced one, or, if implied, that of the query.
 */
static void announced_peers_are_returned_with_a_token(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  struct kad_message query;
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_MAX];
  (void)state;
  get_peers(&reply);
  assert_int_equal(reply.peer_count, 0);
  assert_int_equal(reply.contact_count, K);
  kad_lone_announce(&lone, &from, 7000);
  kad_lone_begin(&query, KAD_METHOD_ANNOUNCE_PEER);
  query.target = kad_lone_target;
  query.token = (struct kad_slice){token, kad_lone_token(&lone, &other, token)};
  query.has_port = true;
  query.port = 7000;
  query.implied_port = true;
  kad_lone_send(&lone, &other, &query);
  assert_int_equal(kad_lone_error(&lone), 0);

  get_peers(&reply);

  assert_int_equal(reply.peer_count, 2);
  assert_true(reply.token.len > 0);
  for (size_t i = 0; i < 2; i++) {
    const struct kad_address *peer = &reply.peers[i];
    const bool is_first = memcmp(peer->ip, from.address.ip, 4) == 0;
    assert_int_equal(peer->port, is_first ? 7000 : other.address.port);
  }
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(find_value_without_a_value_returns_the_k_closest),
      RULE(find_value_returns_the_value_and_contacts),
      RULE(each_value_is_on_one_page),
      RULE(a_store_needs_a_token_of_its_address),
      RULE(announced_peers_are_returned_with_a_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
