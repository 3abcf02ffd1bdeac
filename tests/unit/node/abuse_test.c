/* Attacks on a node, and attacks that use a node.
 * Tests core/node, core/membership, core/replication. */
#include "decoding.h"
#include "engine/node.h"
#include "lone_node.h"
#include "node/reply.h"
#include "unit.h"
#include "wire/bencode.h"

#include <string.h>

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

/* Returns true if the node replies to a ping of `from`. */
static bool lives(struct kad_lone *lone, const struct kad_contact *from) {
  const uint64_t before = kad_lone_stats(lone).served_ping;
  kad_lone_query(lone, from, KAD_METHOD_PING);
  return kad_lone_stats(lone).served_ping == before + 1;
}

/* ----------------------------------------------------------- bad input -- */

/* Malformed queries with the readable transaction "aa". */
static const char *const bad_queries[] = {
    "d1:ade1:q4:ping1:t2:aa1:y1:qe",
    "d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe",
    "d1:ad2:idi5ee1:q4:ping1:t2:aa1:y1:qe",
    "d1:ale1:q4:ping1:t2:aa1:y1:qe",
    "d1:t2:aa1:y1:qe",
    "d1:q4:ping1:t2:aa1:y1:qe",
    "d1:ad2:id" ID "e1:qi4e1:t2:aa1:y1:qe",
    QUERY("9:find_node", ""),
    QUERY("9:find_node", "6:target3:abc"),
    QUERY("9:find_node", "6:targeti7e"),
    QUERY("9:find_node", "6:target" HASH "4:wanti4e"),
    QUERY("9:get_peers", "9:info_hash19:mnopqrstuvwxyz12345"),
    /* A token that is a number, and invalid ports. */
    QUERY("13:announce_peer", "9:info_hash" HASH "4:porti80e5:tokeni5e"),
    QUERY("13:announce_peer", "9:info_hash" HASH "4:porti0e5:token2:to"),
    QUERY("13:announce_peer", "9:info_hash" HASH "4:porti-1e5:token2:to"),
    QUERY("13:announce_peer", "9:info_hash" HASH "4:porti65536e5:token2:to"),
    QUERY("13:announce_peer",
          "9:info_hash" HASH "4:porti4294967376e5:token2:to"),
    QUERY("13:announce_peer", "9:info_hash" HASH "4:port2:805:token2:to"),
    QUERY("13:announce_peer", "9:info_hash" HASH "5:token2:to"),
    QUERY("10:find_value", "6:target" HASH),
    QUERY("10:find_value", "4:skipi-1e6:target" HASH "4:type5:value"),
    QUERY("10:find_value", "6:target" HASH "4:type0:"),
    STORE(""),
    STORE("6:valuesle"),
    STORE("6:valuesl1:ve"),
    STORE("6:valuesld1:vi5eee"),
    STORE("6:valuesld3:seq1:11:v1:xee"),
};

static void malformed_query_gets_203_and_allocates_nothing(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const size_t count = sizeof bad_queries / sizeof *bad_queries;
  for (size_t i = 0; i < count; i++) {
    struct kad_message reply;
    const size_t requests = lone->counting.requests;
    kad_lone_receive(lone, &from, kad_slice_of(bad_queries[i]));
    assert_int_equal(lone->counting.requests, requests);
    assert_int_equal(lone->sent, i + 1);
    (void)kad_lone_sent(lone, 0, &reply);
    assert_int_equal(reply.kind, KAD_MESSAGE_ERROR);
    assert_int_equal(reply.code, KAD_CODE_PROTOCOL);
    assert_slice_is(reply.transaction, "aa");
  }
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, count);
  assert_int_equal(kad_lone_stats(lone).refused, count);
  assert_int_equal(kad_lone_stats(lone).queries, 0);
  assert_true(lives(lone, &from));
}

static void malformed_datagram_that_is_no_query_is_dropped(void **state) {
  static const char *const datagrams[] = {
      "",
      "d",
      "i5e",
      "le",
      "de",
      "hello",
      "d1:y1:qe",
      "d1:t0:1:y1:qe",
      "d1:ti5e1:y1:qe",
      "d1:t33:ttttttttttttttttttttttttttttttttt1:y1:qe",
      "d1:t2:aa1:y1:xe",
      "d1:t2:aa1:yi1ee",
      "d1:t2:aa1:y1:re",
      "d1:rd2:id3:abce1:t2:aa1:y1:re",
      "d1:eli201ee1:t2:aa1:y1:ee",
      "d1:t99999999999999999999:aa1:y1:qe",
      QUERY("4:ping", "") "x",
      "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll",
  };
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const size_t count = sizeof datagrams / sizeof *datagrams;
  const size_t requests = lone->counting.requests;
  for (size_t i = 0; i < count; i++) {
    kad_lone_receive(lone, &from, kad_slice_of(datagrams[i]));
    assert_int_equal(kad_lone_stats(lone).dropped_malformed, i + 1);
  }
  assert_int_equal(lone->counting.requests, requests);
  assert_int_equal(lone->sent, 0);
  assert_true(lives(lone, &from));
}

static void truncated_query_allocates_nothing(void **state) {
  static const char query[] =
      QUERY("9:get_peers", "9:info_hash" HASH "4:wantl2:n42:n6e");
  struct kad_lone *lone = *state;
  struct kad_config config;
  const struct kad_contact from = kad_lone_contact(1);
  kad_config_default(&config);
  config.limits = false;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  kad_lone_add_contact(lone, &from);
  for (size_t len = 0; len < sizeof query - 1; len++) {
    const struct kad_slice cut = {(const uint8_t *)query, len};
    const size_t requests = lone->counting.requests;
    kad_lone_receive(lone, &from, cut);
    assert_int_equal(lone->counting.requests, requests);
  }
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, sizeof query - 1);
  assert_int_equal(kad_lone_stats(lone).served_get_peers, 0);
}

static void huge_datagram_is_dropped_like_any_other(void **state) {
  static uint8_t bytes[65507];
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const size_t requests = lone->counting.requests;
  memset(bytes, 'l', sizeof bytes);
  kad_lone_receive(lone, &from, (struct kad_slice){bytes, sizeof bytes});
  memset(bytes, '9', sizeof bytes);
  kad_lone_receive(lone, &from, (struct kad_slice){bytes, sizeof bytes});
  assert_int_equal(lone->counting.requests, requests);
  assert_true(lives(lone, &from));
}

/* Passes a valid ping of `len` bytes to the node, most of them its version. */
static void send_long_ping(struct kad_lone *lone, size_t len) {
  static const char head[] = "d1:ad2:id" ID "1:x1400:";
  static const char tail[] = "e1:q4:ping1:t2:aa1:v";
  static const char end_of_all[] = "1:y1:qe";
  const struct kad_contact from = kad_lone_contact(1);
  uint8_t bytes[2048];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  kad_write_raw(&writer, BYTES(head));
  memset(bytes + writer.len, 'x', 1400);
  writer.len += 1400;
  kad_write_raw(&writer, BYTES(tail));
  const size_t version = len - writer.len - (sizeof end_of_all - 1) - 3;
  assert_in_range(version, 10, 99); /* a length of two digits */
  memset(kad_writer_reserve_string(&writer, version), 'v', version);
  kad_write_raw(&writer, BYTES(end_of_all));
  assert_int_equal(writer.len, len);
  kad_lone_receive(lone, &from, (struct kad_slice){bytes, len});
}

static void datagram_above_1500_bytes_is_dropped(void **state) {
  struct kad_lone *lone = *state;
  send_long_ping(lone, 1500);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 0);

  send_long_ping(lone, 1501);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 1);
  assert_int_equal(kad_lone_stats(lone).refused, 0);
}

static void unmatched_replies_are_counted_only(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const size_t requests = lone->counting.requests;
  kad_lone_receive(lone, &from, kad_slice_of(REPLY("")));
  kad_lone_receive(lone, &from, kad_slice_of("d1:eli201e1:xe1:t4:aaaa1:y1:ee"));
  assert_int_equal(kad_lone_stats(lone).dropped_unmatched, 2);
  assert_int_equal(lone->counting.requests, requests);
  assert_int_equal(lone->sent, 0);
}

/* ----------------------------------------------------------- addresses -- */

static void datagram_from_a_martian_address_is_dropped(void **state) {
  static const char *const nowhere[] = {
      "0.0.0.0:1",         "127.0.0.1:1",  "10.0.0.1:1",  "192.168.0.1:1",
      "224.0.0.1:1",       "80.1.2.3:0",   "[::1]:1",     "[fe80::1]:1",
      "[ff02::1]:1",       "172.16.0.1:1", "[fd00::1]:1", "169.254.0.1:1",
      "255.255.255.255:1",
  };
  struct kad_lone *lone = *state;
  const size_t count = sizeof nowhere / sizeof *nowhere;
  for (size_t i = 0; i < count; i++) {
    struct kad_contact from = kad_lone_contact(1);
    assert_ok(kad_address_parse(kad_slice_of(nowhere[i]), &from.address));
    kad_lone_query(lone, &from, KAD_METHOD_PING);
    kad_lone_receive(lone, &from, kad_slice_of(bad_queries[0]));
  }
  assert_int_equal(kad_lone_stats(lone).dropped_martian, 2 * count);
  assert_int_equal(lone->sent, 0);
}

static void node_never_queries_a_martian_address_or_port_0(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message query;
  uint8_t bytes[500];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  const uint8_t nodes[] =
      "aaaaaaaaaaaaaaaaaaaa\x7f\0\0\1\x1a\xe1"  /* loopback */
      "bbbbbbbbbbbbbbbbbbbb\x50\1\2\3\0\0"      /* port 0 */
      "cccccccccccccccccccc\xe0\0\0\1\x1a\xe1"  /* multicast */
      "dddddddddddddddddddd\x0a\0\0\1\x1a\xe1"; /* private */
  kad_lone_add_contact(lone, &from);
  assert_ok(
      kad_node_find_node(lone->node, &kad_lone_target, NULL, NULL, NULL, NULL));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &from.address, &query));
  assert_int_equal(query.method, KAD_METHOD_FIND_NODE);
  kad_write_raw(&writer, kad_slice_of("d1:rd2:id20:"));
  kad_write_raw(&writer, (struct kad_slice){from.id.bytes, 20});
  kad_write_raw(&writer, kad_slice_of("5:nodes"));
  kad_write_string(&writer, (struct kad_slice){nodes, sizeof nodes - 1});
  kad_write_raw(&writer, kad_slice_of("e1:t"));
  kad_write_string(&writer, query.transaction);
  kad_write_raw(&writer, kad_slice_of("1:y1:re"));
  const uint64_t queries = kad_lone_stats(lone).queries;

  kad_lone_receive(lone, &from, (struct kad_slice){bytes, writer.len});
  kad_lone_run(lone, 1);

  assert_int_equal(kad_lone_stats(lone).queries, queries);
  assert_int_equal(kad_lone_stats(lone).operations, 0);
}

/* -------------------------------------------------------------- limits -- */

static void flood_of_one_address_does_not_affect_others(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact loud = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  for (unsigned i = 0; i < 20000; i++) {
    loud.address.port = (uint16_t)(1 + i);
    kad_lone_query(lone, &loud, KAD_METHOD_FIND_NODE);
    kad_lone_receive(lone, &loud, kad_slice_of(bad_queries[i % 20]));
    if (i % 1000 == 0) {
      kad_lone_run(lone, 50);
      assert_true(lives(lone, &other));
    }
  }
  assert_true(kad_lone_stats(lone).dropped_limited > 15000);
  assert_true(kad_lone_stats(lone).served_find_node < 3000);
}

static void flood_of_one_subnet_does_not_affect_others(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact loud = kad_lone_contact_v6(1);
  const struct kad_contact other = kad_lone_contact(2);
  for (unsigned i = 0; i < 20000; i++) {
    loud.address.ip[14] = (uint8_t)(i >> 8);
    loud.address.ip[15] = (uint8_t)i;
    kad_lone_query(lone, &loud, KAD_METHOD_GET_PEERS);
    if (i % 1000 == 0) {
      kad_lone_run(lone, 50);
      assert_true(lives(lone, &other));
    }
  }
  assert_true(kad_lone_stats(lone).dropped_limited > 14000);
}

/* Stores ten signed values from `from`, each under a seed of its own. With
 * `bad`, no signature is valid. */
static void store_signed(struct kad_lone *lone, const struct kad_contact *from,
                         uint8_t seed, bool bad) {
  enum {
    COUNT = 10
  };
  struct kad_record records[COUNT];
  uint8_t publisher[COUNT][KAD_PUBLISHER_SIZE];
  uint8_t signature[COUNT][KAD_SIGNATURE_SIZE];
  for (unsigned i = 0; i < COUNT; i++) {
    const uint8_t bytes[32] = {seed, (uint8_t)i};
    uint8_t secret[KAD_SECRET_SIZE];
    kad_keypair(bytes, publisher[i], secret);
    records[i] = (struct kad_record){
        .key = kad_lone_target,
        .type = kad_slice_of("value"),
        .value = kad_slice_of("v"),
        .publisher = publisher[i],
        .has_seq = true,
        .seq = 1,
    };
    assert_ok(kad_record_sign(&records[i], 160, secret, signature[i]));
    signature[i][0] ^= bad;
    records[i].signature = signature[i];
  }
  kad_lone_store(lone, from, records, COUNT);
}

/* Verifying a signature takes a tenth of a millisecond. */
static void bad_signatures_are_soon_not_verified(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact loud = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  for (unsigned i = 0; i < 400; i++) {
    store_signed(lone, &loud, 1, true);
  }
  assert_in_range(kad_lone_stats(lone).bad_signature, 2, 20);
  assert_true(kad_lone_stats(lone).dropped_limited >= 380);

  store_signed(lone, &other, 2, false);
  assert_ok(kad_lone_error(lone));
  assert_int_equal(kad_lone_stats(lone).records, 10);
  assert_true(lives(lone, &loud));
}

/* At once at most 100 of an address, and 250 of all, are verified. */
static void bursts_of_signatures_are_short(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact loud = kad_lone_contact(1);
  for (unsigned i = 0; i < 100; i++) {
    store_signed(lone, &loud, 1, false);
  }
  assert_int_equal(kad_lone_stats(lone).served_store, 100 / 10);

  for (unsigned who = 2; who < 20; who++) {
    loud = kad_lone_contact(who);
    for (unsigned i = 0; i < 20; i++) {
      store_signed(lone, &loud, 1, false);
    }
  }
  assert_int_equal(kad_lone_stats(lone).served_store, 250 / 10);

  kad_lone_run(lone, 100);
  loud = kad_lone_contact(30);
  store_signed(lone, &loud, 1, false);
  assert_int_equal(kad_lone_stats(lone).served_store, 250 / 10 + 1);
}

static void replies_stay_within_bytes_per_s(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  kad_config_default(&config);
  config.bytes_per_s = 2000;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  const uint64_t before = kad_lone_stats(lone).bytes_out;
  for (unsigned i = 1; i <= 1000; i++) {
    struct kad_message message;
    const struct kad_contact from = kad_lone_contact(i);
    kad_lone_begin(&message, KAD_METHOD_PING);
    message.read_only = true; /* so that the node sends replies only */
    kad_lone_send(lone, &from, &message);
    lone->now += 10;
  }
  assert_in_range(kad_lone_stats(lone).bytes_out - before, 9 * 2000, 12 * 2000);
  assert_true(kad_lone_stats(lone).dropped_limited > 0);
}

static void malformed_queries_are_rate_limited(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  for (unsigned i = 0; i < 5000; i++) {
    kad_lone_receive(lone, &from, kad_slice_of(bad_queries[0]));
  }
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 5000);
  assert_int_equal(lone->sent, 4 * config.queries_per_s_address);
}

static void error_is_a_few_times_the_query(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact_v6(1);
  struct kad_message reply;
  const char query[] = "d1:t1:a1:y1:qe";
  kad_lone_receive(lone, &from, kad_slice_of(query));
  assert_in_range(kad_lone_sent(lone, 0, &reply)->len, 1,
                  KAD_AMPLIFICATION_MAX * (sizeof query - 1));
  assert_true(kad_address_equal(&reply.observed, &from.address));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(malformed_query_gets_203_and_allocates_nothing),
      TEST(malformed_datagram_that_is_no_query_is_dropped),
      TEST(truncated_query_allocates_nothing),
      TEST(huge_datagram_is_dropped_like_any_other),
      TEST(datagram_above_1500_bytes_is_dropped),
      TEST(unmatched_replies_are_counted_only),
      TEST(datagram_from_a_martian_address_is_dropped),
      TEST(node_never_queries_a_martian_address_or_port_0),
      TEST(flood_of_one_address_does_not_affect_others),
      TEST(flood_of_one_subnet_does_not_affect_others),
      TEST(bad_signatures_are_soon_not_verified),
      TEST(bursts_of_signatures_are_short),
      TEST(replies_stay_within_bytes_per_s),
      TEST(malformed_queries_are_rate_limited),
      TEST(error_is_a_few_times_the_query),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
