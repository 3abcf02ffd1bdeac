/* Blocked addresses, and those exempt from the rate limits.
 * Tests core/node/blocklist.c, and where the node asks for its lists. */
#include "engine/node.h"
#include "kadenza_blocklist.h"
#include "lone_node.h"
#include "unit.h"
#include "wire/bencode.h"

#include <string.h>

enum {
  CONTACTS = 60,
  QUERIES = 2000 /* more than the limits allow an address at once */
};

static struct kad_lone lone_node;
static int status;
static unsigned endings;

static int begin(void **state) {
  struct kad_config config;
  kad_config_default(&config);
  config.queries_per_s_address = 100;
  kad_lone_open(&lone_node, &config);
  status = 1;
  endings = 0;
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

static void note_end(void *data, const struct kad_result *result) {
  (void)data;
  endings++;
  status = result->status;
}

static struct kad_address_range only(const struct kad_contact *contact) {
  return (struct kad_address_range){contact->address, contact->address};
}

static void block(struct kad_lone *lone, const struct kad_contact *contact) {
  const struct kad_address_range range = only(contact);
  assert_ok(kad_node_block(lone->node, &range, 1));
}

/* Returns how many of `count` pings of `from` the node answers. */
static uint64_t served(struct kad_lone *lone, const struct kad_contact *from,
                       unsigned count) {
  const uint64_t before = kad_lone_stats(lone).served_ping;
  for (unsigned i = 0; i < count; i++) {
    kad_lone_query(lone, from, KAD_METHOD_PING);
  }
  return kad_lone_stats(lone).served_ping - before;
}

static void a_blocked_address_gets_silence(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact ip4 = kad_lone_contact(1);
  const struct kad_contact ip6 = kad_lone_contact_v6(1);
  const struct kad_address_range ranges[] = {only(&ip6), only(&ip4)};
  const struct kad_contact other = kad_lone_contact(2);
  assert_ok(kad_node_block(lone->node, ranges, 2));

  assert_int_equal(served(lone, &ip4, 1), 0);
  assert_int_equal(served(lone, &ip6, 1), 0);
  kad_lone_receive(lone, &ip4, kad_slice_of("not bencode"));
  kad_lone_receive(lone, &ip4, kad_slice_of("d1:t2:aa1:y1:qe"));
  kad_lone_run(lone, 60000);

  assert_int_equal(lone->sent, 0);
  assert_int_equal(kad_lone_stats(lone).dropped_blocked, 4);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 0);
  assert_int_equal(served(lone, &other, 1), 1);
}

static void all_ports_of_an_address_are_blocked(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact from = kad_lone_contact(1);
  block(lone, &from);
  from.address.port++;
  assert_int_equal(served(lone, &from, 1), 0);
}

static void an_empty_list_blocks_nothing(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  block(lone, &from);
  assert_ok(kad_node_block(lone->node, NULL, 0));
  assert_int_equal(served(lone, &from, 1), 1);
}

static void a_new_list_replaces_the_old_one(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  block(lone, &first);
  block(lone, &second);
  assert_int_equal(served(lone, &first, 1), 1);
  assert_int_equal(served(lone, &second, 1), 0);
}

static void a_wrong_list_changes_nothing(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  struct kad_address_range ranges[] = {only(&second), only(&second)};
  ranges[1].last.family = 6;
  block(lone, &first);
  assert_int_equal(kad_node_block(lone->node, ranges, 2), KAD_EINVAL);
  assert_int_equal(served(lone, &first, 1), 0);
  assert_int_equal(served(lone, &second, 1), 1);
}

static void without_memory_the_old_list_stays(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  const struct kad_contact ip6 = kad_lone_contact_v6(3);
  const struct kad_address_range ranges[] = {only(&second), only(&ip6)};
  block(lone, &first);
  int error = KAD_ENOMEM;
  for (size_t n = 0; error != 0; n++) {
    kad_counting_fail_at(&lone->counting, n);
    error = kad_node_block(lone->node, ranges, 2);
    kad_counting_never_fail(&lone->counting);
    assert_true(error == 0 || error == KAD_ENOMEM);
    assert_int_equal(served(lone, &first, 1), error == 0);
    assert_int_equal(served(lone, &ip6, 1), error != 0);
    assert_true(n < 10);
  }
}

/* The replacement caches have contacts, too, which must not come back. */
static void contacts_that_become_blocked_are_thrown_out(void **state) {
  struct kad_lone *lone = *state;
  struct kad_address_range ranges[CONTACTS / 2];
  size_t known = 0;
  for (unsigned i = 0; i < CONTACTS; i++) {
    const struct kad_contact contact = kad_lone_contact(i + 1);
    kad_lone_add_contact(lone, &contact);
    known += kad_lone_knows(lone, &contact);
    if (i % 2 == 0) {
      ranges[i / 2] = only(&contact);
    }
  }
  assert_in_range(known, 10, CONTACTS);
  assert_ok(kad_node_block(lone->node, ranges, CONTACTS / 2));

  const uint64_t left = kad_lone_stats(lone).contacts;
  assert_in_range(left, 5, CONTACTS / 2);
  for (unsigned i = 0; i < CONTACTS; i += 2) {
    const struct kad_contact contact = kad_lone_contact(i + 1);
    assert_false(kad_lone_knows(lone, &contact));
  }
  /* Those that stay do not answer, so that others would take their places. */
  const size_t sent = lone->sent;
  kad_lone_run(lone, 3600000);
  assert_true(lone->sent > sent);
  for (size_t back = 0; back < lone->sent - sent && back < KAD_LONE_KEPT;
       back++) {
    struct kad_message query;
    const struct kad_address *to = &kad_lone_sent(lone, back, &query)->to;
    for (size_t i = 0; i < CONTACTS / 2; i++) {
      assert_false(kad_address_equal(to, &ranges[i].first));
    }
  }
}

static void nothing_is_sent_to_a_blocked_address(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  block(lone, &to);
  assert_int_equal(kad_node_check_address(lone->node, &to.address),
                   KAD_EBLOCKED);
  int error = kad_node_ping(lone->node, &to.address, note_end, NULL, NULL);
  kad_lone_run(lone, 1);
  assert_int_equal(error == 0 ? status : error, KAD_EBLOCKED);
  assert_ok(
      kad_node_bootstrap(lone->node, &to.address, 1, note_end, NULL, NULL));
  kad_lone_run(lone, 60000);
  assert_int_equal(status, KAD_EBLOCKED);
  assert_int_equal(lone->sent, 0);
}

static void replies_of_a_blocked_address_are_ignored(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_message query;
  assert_ok(kad_node_ping(lone->node, &to.address, note_end, NULL, NULL));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &to.address, &query));
  block(lone, &to);
  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 60000);

  assert_int_equal(kad_lone_stats(lone).dropped_blocked, 1);
  assert_int_equal(kad_lone_stats(lone).replies, 0);
  assert_false(kad_lone_knows(lone, &to));
  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ETIMEOUT);
}

/* Answers `query` of the node with the contact `named`. */
static void name(struct kad_lone *lone, const struct kad_contact *from,
                 const struct kad_message *query,
                 const struct kad_contact *named) {
  uint8_t bytes[500];
  uint8_t node[20 + KAD_COMPACT_IP4];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  memcpy(node, named->id.bytes, 20);
  (void)kad_address_pack(&named->address, node + 20);
  kad_write_raw(&writer, kad_slice_of("d1:rd2:id20:"));
  kad_write_raw(&writer, (struct kad_slice){from->id.bytes, 20});
  kad_write_raw(&writer, kad_slice_of("5:nodes"));
  kad_write_string(&writer, (struct kad_slice){node, sizeof node});
  kad_write_raw(&writer, kad_slice_of("e1:t"));
  kad_write_string(&writer, query->transaction);
  kad_write_raw(&writer, kad_slice_of("1:y1:re"));
  kad_lone_receive(lone, from, (struct kad_slice){bytes, writer.len});
}

static void lookups_do_not_ask_a_blocked_contact(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact blocked = kad_lone_contact(2);
  const struct kad_contact other = kad_lone_contact(3);
  struct kad_message query;
  kad_lone_add_contact(lone, &from);
  block(lone, &blocked);
  for (unsigned i = 0; i < 2; i++) {
    assert_ok(kad_node_find_node(lone->node, &kad_lone_target, NULL, note_end,
                                 NULL, NULL));
    kad_node_tick(lone->node);
    assert_true(kad_lone_find_query(lone, &from.address, &query));
    assert_int_equal(query.method, KAD_METHOD_FIND_NODE);
    name(lone, &from, &query, i == 0 ? &blocked : &other);
    kad_lone_run(lone, 1);
    assert_int_equal(endings, 1);
  }
  assert_false(kad_lone_find_query(lone, &blocked.address, &query));
  assert_true(kad_lone_find_query(lone, &other.address, &query));
  kad_lone_run(lone, 60000);
}

static void exempt_addresses_have_no_limit(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact friend = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  const struct kad_address_range range = only(&friend);
  assert_in_range(served(lone, &friend, QUERIES), 1, QUERIES - 1);
  assert_ok(kad_node_exempt(lone->node, &range, 1));
  assert_int_equal(served(lone, &friend, QUERIES), QUERIES);
  assert_in_range(served(lone, &other, QUERIES), 1, QUERIES - 1);

  assert_ok(kad_node_exempt(lone->node, NULL, 0));
  assert_int_equal(served(lone, &friend, QUERIES), 0);
}

static void exempt_addresses_use_up_nothing_of_others(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact friend = kad_lone_contact(1);
  struct kad_contact neighbour = friend; /* of the same subnet */
  const struct kad_address_range range = only(&friend);
  neighbour.address.ip[3]++;
  assert_ok(kad_node_exempt(lone->node, &range, 1));
  (void)served(lone, &friend, QUERIES);
  assert_int_equal(served(lone, &neighbour, 10), 10);
}

static void an_address_of_both_lists_is_blocked(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_address_range range = only(&from);
  assert_ok(kad_node_exempt(lone->node, &range, 1));
  block(lone, &from);
  assert_int_equal(served(lone, &from, 1), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_blocked_address_gets_silence),
      TEST(all_ports_of_an_address_are_blocked),
      TEST(an_empty_list_blocks_nothing),
      TEST(a_new_list_replaces_the_old_one),
      TEST(a_wrong_list_changes_nothing),
      TEST(without_memory_the_old_list_stays),
      TEST(contacts_that_become_blocked_are_thrown_out),
      TEST(nothing_is_sent_to_a_blocked_address),
      TEST(replies_of_a_blocked_address_are_ignored),
      TEST(lookups_do_not_ask_a_blocked_contact),
      TEST(exempt_addresses_have_no_limit),
      TEST(exempt_addresses_use_up_nothing_of_others),
      TEST(an_address_of_both_lists_is_blocked),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
