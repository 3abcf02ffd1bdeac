#include "node/serve.h"

#include "lone_node.h"
#include "records/token.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct kad_lone lone_node;

/* Opens a node without rate limits. */
static int open_with(void **state, uint32_t k, unsigned id_bits) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  config.k = k;
  config.id_bits = id_bits;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int begin(void **state) {
  return open_with(state, 8, 160);
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* ------------------------------------------------------------- queries -- */

static void reply_to_ping_has_our_id_and_the_observed_address(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;

  kad_lone_query(lone, &from, KAD_METHOD_PING);

  const struct kad_lone_datagram *sent = kad_lone_reply(lone, &reply);
  assert_true(kad_address_equal(&sent->to, &from.address));
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_slice_is(reply.transaction, "qq");
  assert_true(kad_id_equal(&reply.id, kad_node_id(lone->node)));
  assert_true(kad_address_equal(&reply.observed, &from.address));
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
}

static void unknown_method_gets_204(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  kad_lone_query_custom(lone, &from, "vote", "d6:target3:abc5:tokeni7ee");
  assert_int_equal(kad_lone_error(lone), KAD_CODE_METHOD);
  (void)kad_lone_reply(lone, &reply);
  assert_true(kad_address_equal(&reply.observed, &from.address));
  assert_int_equal(kad_lone_stats(lone).refused, 1);
}

static void find_node_returns_the_k_closest_verified_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(99);
  struct kad_message reply;
  for (unsigned i = 1; i <= 20; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(lone, &contact);
  }

  kad_lone_query(lone, &from, KAD_METHOD_FIND_NODE);

  (void)kad_lone_reply(lone, &reply);
  assert_true(reply.has_nodes);
  assert_false(reply.has_nodes6);
  assert_int_equal(reply.contact_count, 8);
  for (unsigned i = 1; i <= 20; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    const struct kad_id *last = &reply.contacts[7].id;
    bool closer = kad_id_compare(&kad_lone_target, &contact.id, last) <= 0;
    bool known = kad_lone_knows(lone, &contact);
    assert_int_equal(kad_lone_message_has(&reply, &contact), closer && known);
  }
}

static void want_chooses_the_families_of_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(99);
  const struct kad_contact four = kad_lone_contact(1);
  const struct kad_contact six = kad_lone_contact_v6(2);
  struct kad_message message;
  kad_lone_add_contact(lone, &four);
  kad_lone_add_contact(lone, &six);
  kad_lone_begin(&message, KAD_METHOD_FIND_NODE);
  message.target = kad_lone_target;
  message.want4 = true;
  message.want6 = true;

  kad_lone_send(lone, &from, &message);

  (void)kad_lone_reply(lone, &message);
  assert_true(kad_lone_message_has(&message, &four));
  assert_true(kad_lone_message_has(&message, &six));

  kad_lone_query(lone, &six, KAD_METHOD_FIND_NODE);

  (void)kad_lone_reply(lone, &message);
  assert_false(message.has_nodes);
  assert_int_equal(message.contact_count, 1);
  assert_true(kad_lone_message_has(&message, &six));
}

static void serving_a_ping_or_find_node_allocates_nothing(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  for (unsigned i = 1; i <= 20; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(lone, &contact);
  }
  assert_true(kad_lone_knows(lone, &from));
  const size_t requests = lone->counting.requests;
  kad_lone_query(lone, &from, KAD_METHOD_PING);
  kad_lone_query(lone, &from, KAD_METHOD_FIND_NODE);
  assert_int_equal(lone->counting.requests, requests);
  assert_int_equal(kad_lone_stats(lone).served_find_node, 1);
}

/* ------------------------------------------------------- bounds of size -- */

/* Queries for both families. Fails if the reply is too large, or has
 * everything.
 */
static void check_size(struct kad_lone *lone, const struct kad_contact *from,
                       enum kad_method_id method) {
  const uint32_t k = kad_node_config(lone->node)->k;
  struct kad_message message;
  kad_lone_begin(&message, method);
  message.target = kad_lone_target;
  message.want4 = true;
  message.want6 = true;
  message.transaction = kad_slice_of("tttttttttttttttttttttttttttttttt");
  kad_lone_send(lone, from, &message);
  const struct kad_lone_datagram *sent = kad_lone_reply(lone, &message);
  assert_int_equal(message.kind, KAD_MESSAGE_REPLY);
  assert_in_range(sent->len, 400, lone->id_size == 20 ? 1024 : 1232);
  assert_in_range(message.contact_count, 1, 2 * k);
  if (method == KAD_METHOD_GET_PEERS) {
    assert_in_range(message.peer_count, 10, 160);
    assert_int_equal(message.token.len, KAD_TOKEN_SIZE);
  }
}

/* Fills the tables and announces 500 peers of each family. */
static void fill(struct kad_lone *lone) {
  for (unsigned i = 1; i <= 500; i++) {
    const struct kad_contact four = kad_lone_contact(i);
    const struct kad_contact six = kad_lone_contact_v6(i);
    lone->now += 1000;
    kad_lone_add_contact(lone, &four);
    kad_lone_add_contact(lone, &six);
    kad_lone_announce(lone, i % 2 == 0 ? &four : &six, 7000);
  }
  assert_int_equal(kad_lone_stats(lone).records, 500);
}

static void replies_have_at_most_1024_bytes(void **state) {
  for (unsigned round = 0; round < 4; round++) {
    kad_lone_close(&lone_node);
    (void)open_with(state, round < 2 ? 8 : 20, round % 2 == 0 ? 160 : 256);
    struct kad_lone *lone = *state;
    const struct kad_contact four = kad_lone_contact(1);
    const struct kad_contact six = kad_lone_contact_v6(1);
    fill(lone);
    check_size(lone, &four, KAD_METHOD_FIND_NODE);
    check_size(lone, &six, KAD_METHOD_FIND_NODE);
    check_size(lone, &four, KAD_METHOD_GET_PEERS);
    check_size(lone, &six, KAD_METHOD_GET_PEERS);
  }
}

static void reply_to_an_unverified_address_is_at_most_ten_times_the_query(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact stranger = kad_lone_contact(900);
  struct kad_message reply;
  fill(lone);
  const char query[] = "d1:ad2:id20:abcdefghij01234567899:info_hash20:"
                       "\x42\x13\x37\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                       "e1:q9:get_peers1:t1:a1:y1:qe";
  const struct kad_slice bytes = {(const uint8_t *)query, sizeof query - 1};

  kad_lone_receive(lone, &stranger, bytes);

  assert_in_range(kad_lone_reply(lone, &reply)->len, 1, 10 * bytes.len);
  assert_true(reply.peer_count > 0);
}

static void value_of_1000_bytes_always_fits_into_a_reply(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t value[KAD_ITEM_VALUE_MAX];
  struct kad_message reply;
  memset(value, 'v', sizeof value);
  const struct kad_record record = {.value = {value, sizeof value}};
  for (unsigned i = 1; i <= 20; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(lone, &contact);
  }
  kad_lone_store(lone, &from, &record, 1);

  kad_lone_query(lone, &from, KAD_METHOD_FIND_VALUE);

  assert_in_range(kad_lone_reply(lone, &reply)->len, 1000, 1232);
  assert_int_equal(reply.record_count, 1);
  assert_int_equal(reply.records[0].value.len, KAD_ITEM_VALUE_MAX);
}

/* --------------------------------------------------------------- pages -- */

/* Sends a find_value for the target from the contact `number`, with `skip`. */
static void find_value_of(struct kad_lone *lone, unsigned number, uint32_t skip,
                          struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(number);
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_FIND_VALUE);
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.skip = skip;
  kad_lone_send(lone, &from, &message);
  (void)kad_lone_reply(lone, reply);
  assert_int_equal(reply->token.len, KAD_TOKEN_SIZE);
}

static void find_value(struct kad_lone *lone, uint32_t skip,
                       struct kad_message *reply) {
  find_value_of(lone, 2, skip, reply);
}

static void reply_without_values_has_no_total(void **state) {
  struct kad_message reply;
  find_value(*state, 0, &reply);
  assert_false(reply.has_total);
  assert_int_equal(reply.record_count, 0);
  assert_int_equal(kad_lone_stats(*state).served_find_value, 1);
}

static void values_are_read_page_by_page(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t values[5][400];
  struct kad_message reply;
  bool seen[5] = {false};
  uint32_t read = 0;
  unsigned pages = 0;
  for (uint8_t i = 0; i < 5; i++) {
    const struct kad_record record = {.value = {values[i], sizeof values[i]}};
    memset(values[i], i, sizeof values[i]);
    kad_lone_store(lone, &from, &record, 1);
  }
  do { /* the writer, whose address is proven */
    find_value_of(lone, 1, read, &reply);
    assert_true(reply.has_total);
    assert_int_equal(reply.total, 5);
    for (size_t i = 0; i < reply.record_count; i++) {
      seen[reply.records[i].value.data[0]] = true;
    }
    read += (uint32_t)reply.record_count;
    pages++;
  } while (read < 5 && reply.record_count > 0);
  assert_int_equal(read, 5);
  assert_int_equal(pages, 3);
  assert_true(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
  find_value(lone, 7, &reply);
  assert_int_equal(reply.record_count, 0);
}

static void reply_has_the_remaining_ttl(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record record = {.value = kad_slice_of("v"), .ttl = 600};
  struct kad_message reply;
  kad_lone_store(lone, &from, &record, 1);
  kad_lone_run(lone, 100000);
  find_value(lone, 0, &reply);
  assert_int_equal(reply.record_count, 1);
  assert_int_equal(reply.records[0].ttl, 500);
}

static void replies_sample_many_peers_at_random(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact reader = kad_lone_contact(1);
  struct kad_message first;
  struct kad_message second;
  fill(lone);
  kad_lone_query(lone, &reader, KAD_METHOD_GET_PEERS);
  (void)kad_lone_reply(lone, &first);
  kad_lone_query(lone, &reader, KAD_METHOD_GET_PEERS);
  (void)kad_lone_reply(lone, &second);
  assert_false(kad_address_equal(&first.peers[0], &second.peers[0]));
}

/* ------------------------------------------------------ custom queries -- */

static void say(void *state, const struct kad_hook_call *call,
                struct kad_hook_result *answer) {
  (void)call;
  answer->reply = kad_slice_of(state);
}

/* Sets a policy that replies to the query `say` with the bencoded `body`. */
static void teach(struct kad_lone *lone, void *body) {
  const struct kad_method method = {.name = "say", .state = body, .call = say};
  const struct kad_policy policy = {.methods = &method, .method_count = 1};
  assert_ok(kad_node_set_policy(lone->node, &policy));
}

/* Sends the query `say` with a target, and decodes the reply. Returns its
 * length.
 */
static size_t ask_custom(struct kad_lone *lone, const struct kad_contact *from,
                         struct kad_message *reply) {
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_CUSTOM);
  message.name = kad_slice_of("say");
  message.has_target = true;
  message.target = kad_lone_target;
  kad_lone_send(lone, from, &message);
  size_t len = kad_lone_reply(lone, reply)->len;
  assert_int_equal(reply->kind, KAD_MESSAGE_REPLY);
  return len;
}

static void reply_to_a_custom_query_with_a_target_has_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message closest;
  struct kad_message reply;
  fill(lone);
  teach(lone, "d4:text2:hie");
  kad_lone_query(lone, &from, KAD_METHOD_FIND_NODE);
  (void)kad_lone_reply(lone, &closest);

  (void)ask_custom(lone, &from, &reply);

  assert_true(reply.has_nodes && !reply.has_nodes6);
  assert_int_equal(reply.contact_count, 8);
  for (size_t i = 0; i < 8; i++) {
    assert_true(kad_id_equal(&reply.contacts[i].id, &closest.contacts[i].id));
  }
}

static void reply_to_a_custom_query_without_a_target_has_no_contacts(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  fill(lone);
  teach(lone, "d4:text2:hie");
  kad_lone_query_custom(lone, &from, "say", "d6:target2:mee");
  (void)kad_lone_reply(lone, &reply);
  assert_false(reply.has_nodes || reply.has_nodes6);
}

static void contacts_fill_the_room_beside_a_custom_reply(void **state) {
  struct kad_lone *lone = &lone_node;
  static char body[1200];
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  kad_lone_close(lone);
  (void)open_with(state, 20, 160);
  fill(lone);

  (void)snprintf(body, sizeof body, "d4:text600:%0600de", 0);
  teach(lone, body);
  assert_in_range(ask_custom(lone, &from, &reply), 1, 1024);
  assert_in_range(reply.contact_count, 4, 19);

  (void)snprintf(body, sizeof body, "d4:text900:%0900de", 0);
  teach(lone, body);
  (void)ask_custom(lone, &from, &reply);
  assert_false(reply.has_nodes);
}

static void contacts_do_not_amplify_a_custom_query(void **state) {
  struct kad_lone *lone = &lone_node;
  const struct kad_contact stranger = kad_lone_contact(900);
  struct kad_message reply;
  kad_lone_close(lone);
  (void)open_with(state, KAD_K_MAX, 160);
  fill(lone);
  teach(lone, "d4:text2:hie");
  const char query[] = "d1:ad2:id20:abcdefghij01234567896:target20:"
                       "\x42\x13\x37\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                       "e1:q3:say1:t1:a1:y1:qe";
  const struct kad_slice bytes = {(const uint8_t *)query, sizeof query - 1};

  kad_lone_receive(lone, &stranger, bytes);

  assert_in_range(kad_lone_reply(lone, &reply)->len, 1,
                  KAD_AMPLIFICATION_MAX * bytes.len);
  assert_true(reply.contact_count > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(reply_to_ping_has_our_id_and_the_observed_address),
      TEST(unknown_method_gets_204),
      TEST(reply_to_a_custom_query_with_a_target_has_contacts),
      TEST(reply_to_a_custom_query_without_a_target_has_no_contacts),
      TEST(contacts_fill_the_room_beside_a_custom_reply),
      TEST(contacts_do_not_amplify_a_custom_query),
      TEST(find_node_returns_the_k_closest_verified_contacts),
      TEST(want_chooses_the_families_of_contacts),
      TEST(serving_a_ping_or_find_node_allocates_nothing),
      TEST(replies_have_at_most_1024_bytes),
      TEST(reply_to_an_unverified_address_is_at_most_ten_times_the_query),
      TEST(value_of_1000_bytes_always_fits_into_a_reply),
      TEST(reply_without_values_has_no_total),
      TEST(values_are_read_page_by_page),
      TEST(reply_has_the_remaining_ttl),
      TEST(replies_sample_many_peers_at_random),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
