/* What a sealed node opens, drops and tells. The fixture seals what it sends as
 * another member does. */
#include "rpc/sealing.h"

#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static const struct kad_network_keys member_keys = {.keys = {{1}}, .count = 1};
static const struct kad_network_keys other_keys = {.keys = {{9}}, .count = 1};
static const struct kad_slice ping = {
    (const uint8_t *)"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    56};

static struct kad_lone lone_node;

/* A sealed ping, with what may be wrong with it. */
struct sealed_ping {
  struct kad_network_keys keys;
  int64_t ahead_s;
  uint8_t nonce; /* its first byte */
  uint8_t bytes[128];
};

static int begin(void **state) {
  struct kad_config config;
  kad_config_default(&config);
  config.network_keys = &member_keys;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Passes the ping to the node. Returns how many datagrams it then sends. */
static size_t send(struct kad_lone *lone, const struct kad_contact *from,
                   struct sealed_ping *it) {
  const size_t before = lone->sent;
  const uint8_t nonce[KAD_SEAL_NONCE_SIZE] = {it->nonce, 1};
  struct kad_seal seal;
  kad_seal_init(&seal, &it->keys);
  kad_seal_write(&seal, nonce,
                 (uint32_t)(kad_lone_wall_clock(lone) + it->ahead_s), ping,
                 it->bytes);
  kad_lone_receive_raw(
      lone, from, (struct kad_slice){it->bytes, ping.len + KAD_SEAL_OVERHEAD});
  return lone->sent - before;
}

static void a_member_is_answered(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  kad_lone_add_contact(lone, &from);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_true(kad_lone_knows(lone, &from));
}

static void a_stranger_gets_silence(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct sealed_ping foreign = {.keys = other_keys};
  kad_lone_receive_raw(lone, &from, ping);
  kad_lone_receive_raw(lone, &from, kad_slice_of("d1:t2:aa1:y1:qe"));
  kad_lone_receive_raw(lone, &from, (struct kad_slice){NULL, 0});
  assert_int_equal(send(lone, &from, &foreign), 0);
  kad_lone_run(lone, 60000);
  const struct kad_stats stats = kad_lone_stats(lone);
  assert_int_equal(lone->sent, 0);
  assert_int_equal(stats.dropped_unsealed, 4);
  assert_int_equal(stats.dropped_malformed, 0);
  assert_int_equal(stats.datagrams_in, 4);
}

/* What a member sends malformed gets an error, as without a seal. */
static void a_malformed_message_of_a_member_gets_an_error(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_receive(lone, &from, kad_slice_of("d1:t2:aa1:y1:qe"));
  assert_int_equal(kad_lone_error(lone), KAD_CODE_PROTOCOL);
}

static void a_replay_has_no_effect(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact attacker = kad_lone_contact(2);
  struct sealed_ping it = {.keys = member_keys};
  assert_true(send(lone, &from, &it) > 0);
  const size_t sent = lone->sent;
  const struct kad_slice copy = {it.bytes, ping.len + KAD_SEAL_OVERHEAD};
  for (unsigned minute = 0; minute < 30; minute++) {
    kad_lone_receive_raw(lone, &from, copy);
    kad_lone_receive_raw(lone, &attacker, copy);
    lone->now += 60000; /* without a tick, which may send something */
  }
  const struct kad_stats stats = kad_lone_stats(lone);
  assert_int_equal(lone->sent, sent);
  assert_int_equal(stats.served_ping, 1);
  assert_int_equal(stats.dropped_replayed + stats.dropped_stale, 60);
  assert_true(stats.dropped_replayed >= 10 && stats.dropped_stale >= 40);
}

/* The second one is what a node must refuse whose nonces were forgotten. */
static void the_window_bounds_the_time_of_a_datagram(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  static const struct {
    int64_t ahead_s;
    bool is_taken;
  } cases[] = {
      {0, true},
      {KAD_SEAL_WINDOW_S, true},
      {-KAD_SEAL_WINDOW_S, true},
      {KAD_SEAL_WINDOW_S + 1, false},
      {-KAD_SEAL_WINDOW_S - 1, false},
      {INT32_MAX, false},
      {INT32_MIN, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct sealed_ping it = {
        .keys = member_keys, .ahead_s = cases[i].ahead_s, .nonce = (uint8_t)i};
    assert_int_equal(send(lone, &from, &it) > 0, cases[i].is_taken);
  }
  assert_int_equal(kad_lone_stats(lone).dropped_stale, 4);
}

static void a_change_of_keys_loses_nothing(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_network_keys both = {.keys = {{1}, {9}}, .count = 2};
  const struct kad_network_keys swapped = {.keys = {{9}, {1}}, .count = 2};
  struct sealed_ping it = {.keys = other_keys};
  assert_ok(kad_node_set_network_keys(lone->node, &both));
  assert_true(send(lone, &from, &it) > 0); /* sealed with the old key */
  assert_ok(kad_node_set_network_keys(lone->node, &swapped));
  kad_seal_init(&lone->seal, &other_keys); /* opens what the node sends */
  it.nonce++;
  assert_true(send(lone, &from, &it) > 0);
  it = (struct sealed_ping){.keys = member_keys, .nonce = 2};
  assert_true(send(lone, &from, &it) > 0);
  assert_ok(kad_node_set_network_keys(lone->node, &other_keys));
  it.nonce++;
  assert_int_equal(send(lone, &from, &it), 0);
  assert_int_equal(kad_lone_stats(lone).dropped_unsealed, 1);
}

/* The wire has more bytes than the messages. */
static void counters_and_limits_are_of_the_wire(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  const struct kad_stats before = kad_lone_stats(lone);
  kad_lone_receive(lone, &from, ping);
  const size_t len = kad_lone_reply(lone, &reply)->len;
  const struct kad_stats stats = kad_lone_stats(lone);
  assert_int_equal(stats.bytes_in - before.bytes_in,
                   ping.len + KAD_SEAL_OVERHEAD);
  assert_true(stats.bytes_out - before.bytes_out >= len + KAD_SEAL_OVERHEAD);
  assert_int_equal(kad_node_message_room(lone->node),
                   kad_node_config(lone->node)->max_reply - KAD_SEAL_OVERHEAD);
}

/* ---------------------------------------------------------------- notices --
 */

static size_t count_notices(struct kad_lone *lone, uint64_t *cursor,
                            struct kad_seal_notice *last) {
  size_t count = 0;
  while (kad_node_next_seal_notice(lone->node, cursor, last)) {
    count++;
  }
  return count;
}

static void each_subnet_is_noticed_once(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact from = kad_lone_contact(1);
  struct kad_seal_notice last;
  uint64_t cursor = 0;
  assert_int_equal(count_notices(lone, &cursor, &last), 0);
  kad_lone_receive_raw(lone, &from, ping);
  kad_lone_receive_raw(lone, &from, ping);
  assert_int_equal(count_notices(lone, &cursor, &last), 1);
  assert_int_equal(last.problem, KAD_SEAL_PROBLEM_KEY);
  assert_true(kad_address_equal(&last.from, &from.address));
  from.address.ip[3]++; /* a neighbour */
  kad_lone_receive_raw(lone, &from, ping);
  assert_int_equal(count_notices(lone, &cursor, &last), 0);
}

static void a_wrong_clock_is_noticed_with_the_difference(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_seal_notice last;
  uint64_t cursor = 0;
  struct sealed_ping it = {.keys = member_keys, .ahead_s = -7200};
  (void)send(lone, &from, &it);
  assert_int_equal(count_notices(lone, &cursor, &last), 1);
  assert_int_equal(last.problem, KAD_SEAL_PROBLEM_CLOCK);
  assert_int_equal(last.ahead_s, -7200);
}

/* A flood leaves room for members whose clocks are wrong. */
static void notices_are_bounded(void **state) {
  struct kad_lone *lone = *state;
  struct kad_seal_notice last;
  uint64_t cursor = 0;
  struct sealed_ping it = {.keys = member_keys, .ahead_s = 3600};
  for (unsigned i = 1; i < 500; i++) {
    const struct kad_contact from =
        i % 2 == 0 ? kad_lone_contact(i) : kad_lone_contact_v6(i);
    kad_lone_receive_raw(lone, &from, ping);
  }
  assert_int_equal(count_notices(lone, &cursor, &last),
                   KAD_SEAL_NOTICES_MAX / 2);
  const struct kad_contact member = kad_lone_contact(600);
  (void)send(lone, &member, &it);
  assert_int_equal(count_notices(lone, &cursor, &last), 1);
  assert_int_equal(kad_lone_stats(lone).dropped_unsealed, 499);
}

static void notices_begin_again_with_new_keys(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_seal_notice last;
  uint64_t cursor = 0;
  kad_lone_receive_raw(lone, &from, ping);
  assert_ok(kad_node_set_network_keys(lone->node, &other_keys));
  assert_int_equal(count_notices(lone, &cursor, &last), 0);
  kad_lone_receive_raw(lone, &from, ping);
  assert_int_equal(count_notices(lone, &cursor, &last), 1);
  cursor = 0; /* of another reader */
  assert_int_equal(count_notices(lone, &cursor, &last), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_member_is_answered),
      TEST(a_stranger_gets_silence),
      TEST(a_malformed_message_of_a_member_gets_an_error),
      TEST(a_replay_has_no_effect),
      TEST(the_window_bounds_the_time_of_a_datagram),
      TEST(a_change_of_keys_loses_nothing),
      TEST(counters_and_limits_are_of_the_wire),
      TEST(each_subnet_is_noticed_once),
      TEST(a_wrong_clock_is_noticed_with_the_difference),
      TEST(notices_are_bounded),
      TEST(notices_begin_again_with_new_keys),
#undef TEST
  };
  return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
