#include "rpc/talkers.h"

#include "base/address.h"
#include "base/time.h"
#include "kadenza_blocklist.h"
#include "kadenza_talkers.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  PERIOD_MS = KAD_TALKERS_PERIOD_S * KAD_MS_PER_S,
  STRANGERS = 20000
};

static struct kad_lone lone_node;

static int begin(void **state) {
  const struct kad_config config = kad_lone_unlimited();
  kad_lone_open(&lone_node, &config);
  assert_ok(kad_node_count_talkers(lone_node.node, true));
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

static void ping(struct kad_lone *lone, const struct kad_contact *from,
                 unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    kad_lone_query(lone, from, KAD_METHOD_PING);
  }
}

/* Returns the counts of a host; all 0: it is not among the first `cap`. */
static struct kad_talker counts(const struct kad_lone *lone,
                                const struct kad_contact *of, size_t cap) {
  struct kad_talker talkers[KAD_TALKERS_MAX];
  const size_t count = kad_node_talkers(lone->node, talkers, cap, NULL);
  for (size_t i = 0; i < count; i++) {
    if (kad_address_same_host(&talkers[i].host, &of->address)) {
      return talkers[i];
    }
  }
  return (struct kad_talker){.datagrams = 0};
}

/* A contact of a host that no other test number has. */
static struct kad_contact stranger(uint32_t number) {
  struct kad_contact contact = kad_lone_contact(1);
  contact.address.ip[0] = 20;
  contact.address.ip[1] = (uint8_t)(number >> 16);
  contact.address.ip[2] = (uint8_t)(number >> 8);
  contact.address.ip[3] = (uint8_t)number;
  return contact;
}

static void hosts_are_listed_by_what_they_send(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact quiet = kad_lone_contact(1);
  const struct kad_contact loud = kad_lone_contact(2);
  struct kad_talker talkers[2];
  const uint64_t before = kad_lone_stats(lone).bytes_in;
  ping(lone, &quiet, 2);
  const uint64_t bytes = kad_lone_stats(lone).bytes_in - before;
  ping(lone, &loud, 3);

  assert_int_equal(kad_node_talkers(lone->node, talkers, 2, NULL), 2);
  assert_true(kad_address_same_host(&talkers[0].host, &loud.address));
  assert_int_equal(talkers[0].host.port, 0);
  assert_int_equal(talkers[0].datagrams, 3);
  assert_int_equal(talkers[0].dropped, 0);
  assert_int_equal(talkers[1].datagrams, 2);
  assert_int_equal(talkers[1].bytes, bytes);
  assert_int_equal(kad_node_talkers(lone->node, talkers, 1, NULL), 1);
  assert_int_equal(talkers[0].datagrams, 3);
}

static void ports_and_the_addresses_of_a_64_are_one_host(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact ip4 = kad_lone_contact(1);
  struct kad_contact ip6 = kad_lone_contact_v6(1);
  const uint8_t none[8] = {0};
  for (unsigned i = 0; i < 3; i++) {
    ping(lone, &ip4, 1);
    ping(lone, &ip6, 2);
    ip4.address.port++;
    ip6.address.ip[15]++;
  }
  assert_int_equal(counts(lone, &ip4, 2).datagrams, 3);
  assert_int_equal(counts(lone, &ip6, 2).datagrams, 6);
  assert_memory_equal(counts(lone, &ip6, 2).host.ip + 8, none, sizeof none);
}

static void what_is_dropped_is_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact blocked = kad_lone_contact(2);
  const struct kad_address_range range = {blocked.address, blocked.address};
  ping(lone, &from, 1);
  kad_lone_receive(lone, &from, kad_slice_of("not bencode"));
  kad_lone_receive(lone, &from,
                   kad_slice_of("d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae"
                                "1:t2:zz1:y1:re"));
  assert_ok(kad_node_block(lone->node, &range, 1));
  ping(lone, &blocked, 2);

  assert_int_equal(counts(lone, &from, 2).datagrams, 3);
  assert_int_equal(counts(lone, &from, 2).dropped, 2);
  assert_int_equal(counts(lone, &blocked, 2).datagrams, 2);
  assert_int_equal(counts(lone, &blocked, 2).dropped, 2);
}

static void queries_over_a_limit_are_dropped_ones(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config;
  kad_lone_close(lone);
  kad_config_default(&config);
  config.queries_per_s_address = 10;
  kad_lone_open(lone, &config);
  assert_ok(kad_node_count_talkers(lone->node, true));
  ping(lone, &from, 100);
  assert_int_equal(counts(lone, &from, 1).datagrams, 100);
  assert_int_equal(counts(lone, &from, 1).dropped,
                   kad_lone_stats(lone).dropped_limited);
  assert_in_range(counts(lone, &from, 1).dropped, 50, 99);
}

static void a_flood_of_strangers_hides_no_talker(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact loud[] = {kad_lone_contact(1), kad_lone_contact(2),
                                     kad_lone_contact_v6(3)};
  for (uint32_t i = 0; i < STRANGERS; i++) {
    const struct kad_contact other = stranger(i);
    kad_lone_receive_raw(lone, &other, kad_slice_of("x"));
    kad_lone_receive_raw(lone, &loud[i % 3], kad_slice_of("x"));
  }
  for (size_t i = 0; i < 3; i++) {
    assert_in_range(counts(lone, &loud[i], 3).datagrams, STRANGERS / 3 - 500,
                    STRANGERS / 3 + 1);
  }
}

static void counts_are_never_too_high(void **state) {
  struct kad_lone *lone = *state;
  struct kad_talker talkers[KAD_TALKERS_MAX];
  for (uint32_t i = 0; i < STRANGERS; i++) {
    const struct kad_contact other = stranger(i);
    kad_lone_receive_raw(lone, &other, kad_slice_of("x"));
  }
  const size_t count =
      kad_node_talkers(lone->node, talkers, KAD_TALKERS_MAX, NULL);
  assert_in_range(count, 1, KAD_TALKERS_MAX);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(talkers[i].datagrams, 1);
    assert_int_equal(talkers[i].bytes, 1);
  }
}

static void counts_cover_one_to_two_periods(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_talker talkers[1];
  kad_time_ms over_ms;
  kad_lone_run(lone, 1000);
  ping(lone, &from, 1);
  assert_int_equal(kad_node_talkers(lone->node, talkers, 1, &over_ms), 1);
  assert_int_equal(over_ms, 1000);

  kad_lone_run(lone, PERIOD_MS);
  ping(lone, &from, 2);
  assert_int_equal(counts(lone, &from, 1).datagrams, 3);
  kad_node_talkers(lone->node, talkers, 1, &over_ms);
  assert_int_equal(over_ms, PERIOD_MS + 1000);

  kad_lone_run(lone, PERIOD_MS);
  ping(lone, &from, 4);
  assert_int_equal(counts(lone, &from, 1).datagrams, 6);
  kad_lone_run(lone, PERIOD_MS - 1000);
  assert_int_equal(counts(lone, &from, 1).datagrams, 4);
  kad_node_talkers(lone->node, talkers, 1, &over_ms);
  assert_int_equal(over_ms, PERIOD_MS);
}

static void old_counts_are_forgotten(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  ping(lone, &from, 5);
  kad_lone_run(lone, 2 * PERIOD_MS);
  assert_int_equal(counts(lone, &from, 1).datagrams, 0);
  ping(lone, &from, 1);
  assert_int_equal(counts(lone, &from, 1).datagrams, 1);
}

static void nothing_is_counted_while_it_is_off(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_talker talkers[1];
  ping(lone, &from, 1);
  assert_ok(kad_node_count_talkers(lone->node, true));
  assert_int_equal(counts(lone, &from, 1).datagrams, 1);
  assert_ok(kad_node_count_talkers(lone->node, false));
  ping(lone, &from, 1);
  assert_int_equal(kad_node_talkers(lone->node, talkers, 1, NULL), 0);
  assert_ok(kad_node_count_talkers(lone->node, true));
  assert_int_equal(kad_node_talkers(lone->node, talkers, 1, NULL), 0);
}

static void without_memory_nothing_is_counted(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  assert_ok(kad_node_count_talkers(lone->node, false));
  kad_counting_fail_at(&lone->counting, 0);
  assert_int_equal(kad_node_count_talkers(lone->node, true), KAD_ENOMEM);
  kad_counting_never_fail(&lone->counting);
  ping(lone, &from, 1);
  assert_int_equal(counts(lone, &from, 1).datagrams, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(hosts_are_listed_by_what_they_send),
      TEST(ports_and_the_addresses_of_a_64_are_one_host),
      TEST(what_is_dropped_is_counted),
      TEST(queries_over_a_limit_are_dropped_ones),
      TEST(a_flood_of_strangers_hides_no_talker),
      TEST(counts_are_never_too_high),
      TEST(counts_cover_one_to_two_periods),
      TEST(old_counts_are_forgotten),
      TEST(nothing_is_counted_while_it_is_off),
      TEST(without_memory_nothing_is_counted),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
