/* Decoding queries, and malformed queries. */
#include "decoding.h"
#include "unit.h"

#include <stdio.h>

static struct kad_message message;

static void a_query_needs_a_name_and_arguments(void **state) {
  (void)state;
  kad_assert_bad_query("d1:ad2:id" ID "e1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:ad2:id" ID "e1:qi1e1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:ale1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:a2:de1:q4:ping1:t2:aa1:y1:qe");
}

static void an_id_has_exactly_its_size(void **state) {
  (void)state;
  kad_assert_bad_query("d1:ade1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query(
      "d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query(
      "d1:ad2:id21:abcdefghij0123456789xe1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:ad2:id0:e1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:ad2:idi1ee1:q4:ping1:t2:aa1:y1:qe");
  kad_assert_bad_query("d1:ad1:x1:xe1:q6:custom1:t2:aa1:y1:qe");
}

static void ids_of_256_bits_are_read(void **state) {
  (void)state;
  const char *text = "d1:ad2:id32:abcdefghijklmnopqrstuvwxyz0123456:target"
                     "32:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345e"
                     "1:q9:find_node1:t2:aa1:y1:qe";
  assert_ok(kad_krpc_decode(NULL, kad_slice_of(text), 32, &message));
  assert_memory_equal(message.id.bytes, "abcdefghijklmnopqrstuvwxyz012345", 32);
  assert_memory_equal(message.target.bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
                      32);
  kad_assert_bad_query(text);
}

static void required_arguments_are_required(void **state) {
  (void)state;
  kad_assert_bad_query(QUERY("9:find_node", ""));
  kad_assert_bad_query(QUERY("9:find_node", "9:info_hash" HASH));
  kad_assert_bad_query(QUERY("9:get_peers", ""));
  kad_assert_bad_query(QUERY("9:get_peers", "6:target" HASH));
  kad_assert_bad_query(QUERY("13:announce_peer", "4:porti1e5:token2:to"));
  kad_assert_bad_query(
      QUERY("13:announce_peer", "9:info_hash" HASH "4:porti1e"));
  kad_assert_bad_query(
      QUERY("13:announce_peer", "9:info_hash" HASH "5:token2:to"));
  kad_assert_bad_query(QUERY("10:find_value", "4:type5:value"));
  kad_assert_bad_query(QUERY("10:find_value", "6:target" HASH));
  kad_read_ok(&message, STORE("6:valuesld1:v1:xee"));
  kad_assert_bad_query(STORE(""));
  kad_assert_bad_query(QUERY("5:store", "5:token2:to4:type5:value"
                                        "6:valuesld1:v1:xee"));
  kad_assert_bad_query(QUERY("5:store", "6:target" HASH "4:type5:value"
                                        "6:valuesld1:v1:xee"));
  kad_assert_bad_query(QUERY("5:store", "6:target" HASH "5:token2:to"
                                        "6:valuesld1:v1:xee"));
}

static void a_target_has_exactly_its_size(void **state) {
  (void)state;
  kad_assert_bad_query(QUERY("9:find_node", "6:target19:mnopqrstuvwxyz12345"));
  kad_assert_bad_query(QUERY("9:find_node",
                             "6:target32:"
                             "mnopqrstuvwxyz123456789012345678"));
  kad_assert_bad_query(QUERY("9:find_node", "6:targeti1e"));
  kad_assert_bad_query(QUERY("9:get_peers", "9:info_hash3:abc"));
}

static void want_is_a_list_of_families(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY("9:find_node", "6:target" HASH "4:wantl2:n4e"));
  assert_true(message.want4 && !message.want6);
  kad_read_ok(&message, QUERY("9:find_node", "6:target" HASH "4:wantl2:n6e"));
  assert_true(!message.want4 && message.want6);
  kad_read_ok(&message,
              QUERY("9:get_peers", "9:info_hash" HASH "4:wantl2:n62:n4e"));
  assert_true(message.want4 && message.want6);
  kad_read_ok(&message, QUERY("9:find_node",
                              "6:target" HASH "4:wantl2:n82:x43:n44i4elee"));
  assert_false(message.want4 || message.want6);
  kad_assert_bad_query(QUERY("9:find_node", "6:target" HASH "4:want2:n4"));
  kad_assert_bad_query(QUERY("9:find_node", "6:target" HASH "4:wanti4e"));
}

#define ANNOUNCE(args) QUERY("13:announce_peer", "9:info_hash" HASH args)

static void a_port_is_1_to_65535(void **state) {
  (void)state;
  kad_read_ok(&message, ANNOUNCE("4:porti1e5:token2:to"));
  kad_read_ok(&message, ANNOUNCE("4:porti65535e5:token2:to"));
  assert_int_equal(message.port, 65535);
  kad_assert_bad_query(ANNOUNCE("4:porti0e5:token2:to"));
  kad_assert_bad_query(ANNOUNCE("4:porti-1e5:token2:to"));
  kad_assert_bad_query(ANNOUNCE("4:porti65536e5:token2:to"));
  kad_assert_bad_query(ANNOUNCE("4:porti4294967376e5:token2:to"));
  kad_assert_bad_query(ANNOUNCE("4:port4:68815:token2:to"));
  kad_assert_bad_query(ANNOUNCE("12:implied_porti0e4:porti0e5:token2:to"));
}

static void an_implied_port_leaves_the_port_unread(void **state) {
  (void)state;
  kad_read_ok(&message, ANNOUNCE("12:implied_porti1e5:token2:to"));
  assert_true(message.implied_port && !message.has_port);
  kad_read_ok(&message, ANNOUNCE("12:implied_porti-7e4:porti0e5:token2:to"));
  assert_true(message.implied_port && !message.has_port);
  kad_read_ok(&message, ANNOUNCE("12:implied_porti0e4:porti80e5:token2:to"));
  assert_false(message.implied_port);
  kad_assert_bad_query(ANNOUNCE("12:implied_port1:14:porti80e5:token2:to"));
}

static void a_token_is_a_string_of_at_most_64_bytes(void **state) {
  (void)state;
  char datagram[300];
  kad_read_ok(&message, ANNOUNCE("4:porti1e5:token0:"));
  assert_int_equal(message.token.len, 0);
  kad_assert_bad_query(ANNOUNCE("4:porti1e5:tokeni12345e"));
  kad_assert_bad_query(ANNOUNCE("4:porti1e5:tokenl2:toe"));
  (void)snprintf(datagram, sizeof datagram,
                 ANNOUNCE("4:porti1e5:token64:%064d"), 7);
  kad_read_ok(&message, datagram);
  assert_int_equal(message.token.len, KAD_TOKEN_MAX);
  (void)snprintf(datagram, sizeof datagram,
                 ANNOUNCE("4:porti1e5:token65:%065d"), 7);
  kad_assert_bad_query(datagram);
}

static void a_find_value_is_read(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY("10:find_value",
                              "4:skipi32e6:target" HASH "4:type5:value"));
  assert_int_equal(message.method, KAD_METHOD_FIND_VALUE);
  assert_slice_is(message.type, "value");
  assert_int_equal(message.skip, 32);
  kad_read_ok(&message, QUERY("10:find_value",
                              "4:skipi4294967295e6:target" HASH "4:type1:v"));
  assert_true(message.skip == UINT32_MAX);
  kad_assert_bad_query(
      QUERY("10:find_value", "4:skipi4294967296e6:target" HASH "4:type1:v"));
  kad_assert_bad_query(
      QUERY("10:find_value", "4:skipi-1e6:target" HASH "4:type1:v"));
  kad_assert_bad_query(
      QUERY("10:find_value", "4:skip1:36:target" HASH "4:type1:v"));
}

static void a_number_may_be_0(void **state) {
  (void)state;
  kad_read_ok(&message,
              QUERY("10:find_value", "4:skipi0e6:target" HASH "4:type5:value"));
  assert_int_equal(message.skip, 0);
  kad_read_ok(&message,
              QUERY("5:store", "6:target" HASH "5:token2:to3:ttli0e4:type1:v"
                               "6:valuesld3:ttli0e1:v1:xee"));
  assert_true(message.has_ttl);
  assert_int_equal(message.ttl, 0);
}

static void a_type_has_1_to_32_bytes(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY("10:find_value",
                              "6:target" HASH
                              "4:type32:abcdefghijklmnopqrstuvwxyz012345"));
  kad_assert_bad_query(QUERY("10:find_value",
                             "6:target" HASH
                             "4:type33:abcdefghijklmnopqrstuvwxyz0123456"));
  kad_assert_bad_query(QUERY("10:find_value", "6:target" HASH "4:type0:"));
  kad_assert_bad_query(QUERY("10:find_value", "6:target" HASH "4:typei1e"));
}

static void a_store_is_read(void **state) {
  (void)state;
  kad_read_ok(&message,
              QUERY("5:store",
                    "6:target" HASH "5:token2:to3:ttli3600e4:type7:counter"
                    "6:valuesld" K32 "4:salt4:salt3:seqi-5e" SIG
                    "3:ttli60e1:v3:abce"
                    "d1:v0:ee"));
  assert_int_equal(message.method, KAD_METHOD_STORE);
  assert_true(message.has_ttl);
  assert_int_equal(message.ttl, 3600);
  assert_int_equal(message.record_count, 2);
  const struct kad_record *record = &message.records[0];
  kad_assert_id(&record->key, "mnopqrstuvwxyz123456");
  assert_slice_is(record->type, "counter");
  assert_slice_is(record->value, "abc");
  assert_slice_is(record->salt, "salt");
  assert_int_equal(record->publisher[31], 'k');
  assert_int_equal(record->signature[63], 's');
  assert_true(record->has_seq);
  assert_int_equal(record->seq, -5);
  assert_int_equal(record->ttl, 60);
  assert_int_equal(record->age, 0);
  record = &message.records[1];
  assert_int_equal(record->value.len, 0);
  assert_null(record->publisher);
  assert_null(record->signature);
  assert_false(record->has_seq);
  assert_int_equal(record->ttl, 0);
}

static void a_store_may_have_a_why(void **state) {
  (void)state;
  kad_read_ok(&message, STORE("6:valuesld1:v1:xee3:why9:republish"));
  assert_slice_is(message.why, "republish");
  kad_read_ok(&message, STORE("6:valuesld1:v1:xee"));
  assert_int_equal(message.why.len, 0);
  kad_assert_bad_query(STORE("6:valuesld1:v1:xee3:whyi1e"));
  kad_assert_bad_query(
      STORE("6:valuesld1:v1:xee3:why33:abcdefghijklmnopqrstuvwxyz0123456"));
}

static void a_store_with_a_bad_record_is_malformed(void **state) {
  (void)state;
  kad_assert_bad_query(STORE("6:valuesde"));
  kad_assert_bad_query(STORE("6:values1:x"));
  kad_assert_bad_query(STORE("6:valuesle"));
  kad_assert_bad_query(STORE("6:valuesl6:axje.ue"));
  kad_assert_bad_query(STORE("6:valuesldee"));
  kad_assert_bad_query(STORE("6:valuesld1:v1:xed1:vi1eee"));
  kad_assert_bad_query(STORE("6:valuesld" K32 "1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld" SIG "1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld1:k3:kkk" SIG "1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld" K32 "3:sig3:sss1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld4:salti1e1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld3:seq1:11:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld3:ttli-1e1:v1:xee"));
  kad_assert_bad_query(STORE("6:valuesld3:ttli4294967296e1:v1:xee"));
}

static void a_salt_of_up_to_255_bytes_is_read(void **state) {
  (void)state;
  char datagram[512];
  (void)snprintf(datagram, sizeof datagram,
                 STORE("6:valuesld4:salt255:%0255d1:v1:xee"), 7);
  kad_read_ok(&message, datagram);
  assert_int_equal(message.records[0].salt.len, KAD_MESSAGE_SALT_MAX);
  (void)snprintf(datagram, sizeof datagram,
                 STORE("6:valuesld4:salt256:%0256d1:v1:xee"), 7);
  kad_assert_bad_query(datagram);
}

static void a_store_has_at_most_32_records(void **state) {
  (void)state;
  static const char head[] =
      "d1:ad2:id" ID "6:target" HASH "5:token2:to4:type5:value6:valuesl";
  static const char tail[] = "ee1:q5:store1:t2:aa1:y1:qe";
  char datagram[600];
  kad_repeat(datagram, head, "d1:v1:xe", KAD_RECORDS_PER_MESSAGE, tail);
  kad_read_ok(&message, datagram);
  assert_int_equal(message.record_count, KAD_RECORDS_PER_MESSAGE);
  kad_repeat(datagram, head, "d1:v1:xe", KAD_RECORDS_PER_MESSAGE + 1, tail);
  kad_assert_bad_query(datagram);
}

static void a_custom_query_keeps_its_arguments(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY("5:hello", "4:name5:world5:tokeni7e"));
  assert_int_equal(message.method, KAD_METHOD_CUSTOM);
  assert_slice_is(message.name, "hello");
  assert_slice_is(message.args, "d2:id" ID "4:name5:world5:tokeni7ee");
  assert_false(message.has_target);
  assert_int_equal(message.token.len, 0);
}

static void a_custom_query_may_have_a_target(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY("3:ask", "6:target" HASH "4:wantl2:n6e"));
  assert_true(message.has_target && message.want6);
  kad_read_ok(&message, QUERY("3:ask", "9:info_hash" HASH));
  assert_true(message.has_target);
  kad_read_ok(&message, QUERY("3:ask", "6:targeti1e4:want2:n6"));
  assert_false(message.has_target || message.want6);
}

static void a_custom_query_has_its_token_beside_the_arguments(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:ad2:id" ID "5:token2:noe1:q4:sing1:t2:aa"
                        "5:token2:to1:y1:qe");
  assert_slice_is(message.token, "to");
  kad_read_ok(&message, "d1:ad2:id" ID "5:token2:noe1:q4:sing1:t2:aa1:y1:qe");
  assert_int_equal(message.token.len, 0);
  kad_read_ok(&message, "d1:ad2:id" ID "e1:q4:sing1:t2:aa5:tokeni7e1:y1:qe");
  assert_int_equal(message.token.len, 0);
  kad_read_ok(&message, "d1:eli203e0:e1:t2:aa5:token2:to1:y1:ee");
  assert_slice_is(message.token, "to");
}

static void arguments_of_other_methods_are_ignored(void **state) {
  (void)state;
  kad_read_ok(
      &message,
      QUERY("4:ping", "4:porti0e6:targeti1e5:tokeni1e6:values1:x4:wanti1e"));
  assert_false(message.has_target || message.has_port);
  kad_read_ok(&message,
              QUERY("9:find_node", "4:porti0e6:target" HASH "6:values1:x"));
  assert_int_equal(message.record_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_query_needs_a_name_and_arguments),
      cmocka_unit_test(an_id_has_exactly_its_size),
      cmocka_unit_test(ids_of_256_bits_are_read),
      cmocka_unit_test(required_arguments_are_required),
      cmocka_unit_test(a_target_has_exactly_its_size),
      cmocka_unit_test(want_is_a_list_of_families),
      cmocka_unit_test(a_port_is_1_to_65535),
      cmocka_unit_test(an_implied_port_leaves_the_port_unread),
      cmocka_unit_test(a_token_is_a_string_of_at_most_64_bytes),
      cmocka_unit_test(a_find_value_is_read),
      cmocka_unit_test(a_number_may_be_0),
      cmocka_unit_test(a_type_has_1_to_32_bytes),
      cmocka_unit_test(a_store_is_read),
      cmocka_unit_test(a_store_may_have_a_why),
      cmocka_unit_test(a_store_with_a_bad_record_is_malformed),
      cmocka_unit_test(a_salt_of_up_to_255_bytes_is_read),
      cmocka_unit_test(a_store_has_at_most_32_records),
      cmocka_unit_test(a_custom_query_keeps_its_arguments),
      cmocka_unit_test(a_custom_query_may_have_a_target),
      cmocka_unit_test(a_custom_query_has_its_token_beside_the_arguments),
      cmocka_unit_test(arguments_of_other_methods_are_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
