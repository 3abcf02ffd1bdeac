#include "membership/verification.h"

#include "lone_node.h"
#include "unit.h"

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

/* Returns the number of pings that the node has sent. */
static uint64_t pings(const struct kad_lone *lone) {
  return kad_lone_stats(lone).queries;
}

/* ------------------------------------------------------------- entering -- */

static void querying_nodes_become_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact visitors[] = {kad_lone_contact(1),
                                         kad_lone_contact(2)};
  struct kad_message reply;
  kad_lone_query(lone, &visitors[0], KAD_METHOD_FIND_NODE);
  kad_lone_query(lone, &visitors[1], KAD_METHOD_FIND_NODE);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.contact_count, 0);

  kad_lone_run_answering(lone, 1000, visitors, 2);
  kad_lone_query(lone, &visitors[0], KAD_METHOD_FIND_NODE);

  (void)kad_lone_reply(lone, &reply);
  assert_true(kad_lone_message_has(&reply, &visitors[1]));
}

static void querying_node_is_pinged(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact visitor = kad_lone_contact(1);
  struct kad_message query;
  kad_lone_query(lone, &visitor, KAD_METHOD_FIND_NODE);
  assert_true(kad_lone_find_query(lone, &visitor.address, &query));
  assert_int_equal(query.method, KAD_METHOD_PING);
  assert_true(kad_id_equal(&query.id, kad_node_id(lone->node)));
}

static void node_that_never_answered_is_not_in_replies(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact silent = kad_lone_contact(1);
  const struct kad_contact reader = kad_lone_contact(2);
  struct kad_message reply;
  for (unsigned i = 0; i < 20; i++) {
    kad_lone_query(lone, &silent, KAD_METHOD_FIND_NODE);
    kad_lone_run(lone, 1000);
  }

  kad_lone_query(lone, &reader, KAD_METHOD_FIND_NODE);

  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.contact_count, 0);
  assert_false(kad_lone_knows(lone, &silent));
  assert_true(pings(lone) >= 2);
}

static void query_from_another_address_does_not_replace_a_contact(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact real = kad_lone_contact(1);
  struct kad_contact impostor = real;
  impostor.address = kad_lone_contact(2).address;
  const struct kad_contact both[] = {real, impostor};
  kad_lone_add_contact(lone, &real);

  kad_lone_query(lone, &impostor, KAD_METHOD_PING);
  assert_true(kad_lone_knows(lone, &real));
  kad_lone_run_answering(lone, 60000, both, 2);

  assert_true(kad_lone_knows(lone, &real));
  assert_false(kad_lone_knows(lone, &impostor));
}

static void contact_that_moved_enters_when_its_old_address_is_dead(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact before = kad_lone_contact(1);
  struct kad_contact after = before;
  after.address = kad_lone_contact(2).address;
  kad_lone_add_contact(lone, &before);
  for (unsigned i = 0; i < 30 && !kad_lone_knows(lone, &after); i++) {
    kad_lone_query(lone, &after, KAD_METHOD_PING);
    kad_lone_run_answering(lone, 60000, &after, 1);
  }
  assert_true(kad_lone_knows(lone, &after));
  assert_false(kad_lone_knows(lone, &before));
}

static void contact_with_the_same_id_is_pinged_at_once(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact before = kad_lone_contact(1);
  struct kad_contact after = before;
  struct kad_message query;
  after.address = kad_lone_contact(2).address;
  kad_lone_add_contact(lone, &before);
  kad_lone_run(lone, 10000);
  const size_t sent = lone->sent;
  kad_lone_add_contact(lone, &after);
  assert_int_equal(lone->sent, sent + 3);
  const struct kad_lone_datagram *last = kad_lone_sent(lone, 0, &query);
  assert_int_equal(query.kind, KAD_MESSAGE_QUERY);
  assert_true(kad_address_equal(&last->to, &before.address));
}

/* A ping is a query from another address: two such nodes would ping each other
 * without end. */
static void contact_of_two_addresses_is_not_pinged_at_the_other(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact known = kad_lone_contact(1);
  struct kad_contact other = known;
  other.address = kad_lone_contact(2).address;
  kad_lone_add_contact(lone, &known);
  const uint64_t before = pings(lone);

  kad_lone_query(lone, &other, KAD_METHOD_PING);
  assert_int_equal(pings(lone), before);
  kad_lone_run(lone, 10000);
  kad_lone_query(lone, &other, KAD_METHOD_PING);

  assert_true(pings(lone) > before);
}

/* ------------------------------------------------- pinged addresses -- */

static void known_contact_is_not_pinged_again(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  kad_lone_add_contact(lone, &contact);
  const uint64_t before = pings(lone);
  kad_lone_query(lone, &contact, KAD_METHOD_FIND_NODE);
  assert_int_equal(pings(lone), before);
}

static void address_with_a_pending_ping_is_not_pinged_again(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  struct kad_message query;
  kad_lone_query(lone, &first, KAD_METHOD_PING);
  assert_true(kad_lone_find_query(lone, &first.address, &query));
  kad_lone_query(lone, &second, KAD_METHOD_PING);
  kad_lone_answer(lone, &first, &query); /* the slot is free again */
  kad_lone_query(lone, &second, KAD_METHOD_PING);
  assert_int_equal(pings(lone), 2);
}

static void address_that_did_not_answer_is_pinged_again(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact visitor = kad_lone_contact(1);
  kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  kad_lone_run(lone, 4000);
  kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  assert_int_equal(pings(lone), 2);
}

static void read_only_node_is_not_pinged(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_PING);
  message.read_only = true;
  kad_lone_send(lone, &contact, &message);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
  assert_int_equal(pings(lone), 0);
}

/* A contact that has become read-only does not answer any more: it is bad soon.
 * Where the query is forged, it answers, and stays. */
static void contact_that_says_it_is_read_only_is_checked(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_contact_info info;
  kad_lone_add_contact(lone, &contact);
  lone->answered = lone->sent;
  for (int forged = 1; forged >= 0; forged--) {
    const uint64_t before = pings(lone);
    struct kad_message message;
    kad_lone_begin(&message, KAD_METHOD_PING);
    message.read_only = true;
    kad_lone_send(lone, &contact, &message);
    assert_int_equal(pings(lone), before + 1);
    kad_lone_run_answering(lone, 30000, &contact, forged ? 1 : 0);
    assert_int_equal(kad_node_contacts(lone->node, &info, 1), 1);
    assert_int_equal(info.good, forged);
    assert_true(forged ? info.failures == 0 : info.failures >= 2);
  }
}

static void node_with_our_own_id_is_not_pinged(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact mirror = kad_lone_contact(1);
  mirror.id = *kad_node_id(lone->node);
  kad_lone_query(lone, &mirror, KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
  assert_int_equal(pings(lone), 0);
}

static void first_queries_at_time_0_are_pinged(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact visitor = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  kad_lone_close(lone);
  const struct kad_env env = kad_lone_env(lone, 1);
  lone->now = 0;
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  assert_int_equal(pings(lone), 1);
}

/* -------------------------------------------------------------- bounds -- */

/* Sends queries of many nodes that do not answer. */
static void visit_without_answering(struct kad_lone *lone) {
  for (unsigned i = 1; i <= 200; i++) {
    const struct kad_contact visitor = kad_lone_contact(i);
    kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  }
}

static void pings_in_flight_are_limited(void **state) {
  struct kad_lone *lone = *state;
  visit_without_answering(lone);
  assert_int_equal(kad_lone_stats(lone).pending,
                   KAD_VERIFICATION_MAX - KAD_VERIFICATION_OURS);
}

/* Returns true if one of the last 20 datagrams was a ping to `contact`. */
static bool has_pinged(struct kad_lone *lone,
                       const struct kad_contact *contact) {
  for (size_t back = 0; back < 20; back++) {
    struct kad_message query;
    const struct kad_lone_datagram *sent = kad_lone_sent(lone, back, &query);
    if (query.kind == KAD_MESSAGE_QUERY && query.method == KAD_METHOD_PING &&
        kad_address_equal(&sent->to, &contact->address)) {
      return true;
    }
  }
  return false;
}

static void silent_strangers_do_not_prevent_liveness_checks(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact known = kad_lone_contact(300);
  struct kad_config config;
  kad_config_default(&config);
  config.ping_s = 20;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  kad_lone_add_contact(lone, &known);
  lone->now += 21000; /* it is questionable now */
  visit_without_answering(lone);

  kad_node_tick(lone->node);

  assert_true(has_pinged(lone, &known));
}

static void pings_in_a_second_are_limited(void **state) {
  struct kad_lone *lone = *state;
  unsigned number = 0;
  for (unsigned i = 0; i < 200; i++) {
    for (unsigned j = 0; j < 10; j++) {
      const struct kad_contact visitor = kad_lone_contact(++number);
      struct kad_message query;
      kad_lone_query(lone, &visitor, KAD_METHOD_PING);
      /* Replies with an error, so that the slot is free at once. */
      if (kad_lone_find_query(lone, &visitor.address, &query)) {
        uint8_t bytes[100];
        struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
        kad_write_raw(&writer, kad_slice_of("d1:eli201e0:e1:t"));
        kad_write_string(&writer, query.transaction);
        kad_write_raw(&writer, kad_slice_of("1:y1:ee"));
        kad_lone_receive(lone, &visitor, (struct kad_slice){bytes, writer.len});
      }
    }
    kad_lone_run(lone, 50);
  }
  assert_in_range(pings(lone), 10 * KAD_VERIFICATION_PER_S,
                  10 * KAD_VERIFICATION_PER_S + KAD_VERIFICATION_MAX);
}

/* Opens the node again with local addresses allowed. */
static void allow_local(struct kad_lone *lone) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
}

/* Sends queries of many nodes in one subnet, and then of one in another. */
static void visit_from_one_subnet(struct kad_lone *lone) {
  const struct kad_contact other = kad_lone_contact(2);
  for (unsigned i = 1; i <= 100; i++) {
    struct kad_contact visitor = kad_lone_contact(1);
    visitor.id = kad_lone_contact(1000 + i).id;
    visitor.address.ip[3] = (uint8_t)(i / 10);
    visitor.address.port = (uint16_t)(1000 + i);
    kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  }
  assert_int_equal(kad_lone_stats(lone).pending, KAD_VERIFICATION_SUBNET);
  kad_lone_query(lone, &other, KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(lone).pending, KAD_VERIFICATION_SUBNET + 1);
}

static void pings_in_flight_to_one_subnet_are_limited(void **state) {
  visit_from_one_subnet(*state);
  allow_local(*state);
  visit_from_one_subnet(*state);
}

static void local_addresses_have_no_subnet_limit(void **state) {
  struct kad_lone *lone = *state;
  allow_local(lone);
  for (unsigned i = 1; i <= 20; i++) {
    struct kad_contact visitor = kad_lone_contact(i);
    visitor.address.ip[0] = 127;
    visitor.address.ip[2] = 0;
    visitor.address.ip[3] = (uint8_t)i;
    kad_lone_query(lone, &visitor, KAD_METHOD_PING);
  }
  assert_int_equal(kad_lone_stats(lone).pending, 20);
}

static void silent_strangers_do_not_prevent_pings_to_others(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact silent = kad_lone_contact(1);
  const struct kad_contact visitor = kad_lone_contact(2);
  for (unsigned i = 0; i < 300; i++) {
    kad_lone_query(lone, &silent, KAD_METHOD_PING);
  }
  assert_int_equal(pings(lone), 1);
  kad_lone_add_contact(lone, &visitor);
  assert_true(kad_lone_knows(lone, &visitor));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(querying_nodes_become_contacts),
      TEST(querying_node_is_pinged),
      TEST(contact_with_the_same_id_is_pinged_at_once),
      TEST(contact_of_two_addresses_is_not_pinged_at_the_other),
      TEST(address_with_a_pending_ping_is_not_pinged_again),
      TEST(address_that_did_not_answer_is_pinged_again),
      TEST(node_that_never_answered_is_not_in_replies),
      TEST(query_from_another_address_does_not_replace_a_contact),
      TEST(contact_that_moved_enters_when_its_old_address_is_dead),
      TEST(known_contact_is_not_pinged_again),
      TEST(read_only_node_is_not_pinged),
      TEST(contact_that_says_it_is_read_only_is_checked),
      TEST(node_with_our_own_id_is_not_pinged),
      TEST(first_queries_at_time_0_are_pinged),
      TEST(pings_in_flight_are_limited),
      TEST(silent_strangers_do_not_prevent_liveness_checks),
      TEST(pings_in_a_second_are_limited),
      TEST(pings_in_flight_to_one_subnet_are_limited),
      TEST(local_addresses_have_no_subnet_limit),
      TEST(silent_strangers_do_not_prevent_pings_to_others),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
