/* Decoding any message: the examples of BEP 5, the envelope, and errors. */
#include "decoding.h"
#include "unit.h"

static struct kad_message message;

static void an_error_is_read(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
  assert_int_equal(message.kind, KAD_MESSAGE_ERROR);
  assert_int_equal(message.code, 201);
  assert_slice_is(message.text, "A Generic Error Ocurred");
  assert_slice_is(message.transaction, "aa");
}

static void a_ping_is_read(void **state) {
  (void)state;
  kad_read_ok(&message,
              "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
  assert_int_equal(message.kind, KAD_MESSAGE_QUERY);
  assert_int_equal(message.method, KAD_METHOD_PING);
  assert_slice_is(message.name, "ping");
  assert_slice_is(message.transaction, "aa");
  assert_slice_is(message.args, "d2:id20:abcdefghij0123456789e");
  assert_true(message.has_id);
  kad_assert_id(&message.id, "abcdefghij0123456789");
  assert_false(message.has_target || message.read_only);
  assert_int_equal(message.version.len, 0);
}

static void a_pong_is_read(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
  assert_int_equal(message.kind, KAD_MESSAGE_REPLY);
  assert_slice_is(message.reply, "d2:id20:mnopqrstuvwxyz123456e");
  kad_assert_id(&message.id, "mnopqrstuvwxyz123456");
  assert_false(message.malformed || message.has_nodes || message.has_nodes6);
  assert_int_equal(message.contact_count, 0);
}

static void a_find_node_is_read(void **state) {
  (void)state;
  kad_read_ok(&message,
              "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e"
              "1:q9:find_node1:t2:aa1:y1:qe");
  assert_int_equal(message.method, KAD_METHOD_FIND_NODE);
  assert_true(message.has_target);
  kad_assert_id(&message.target, "mnopqrstuvwxyz123456");
  assert_false(message.want4 || message.want6);
}

static void a_get_peers_is_read(void **state) {
  (void)state;
  kad_read_ok(
      &message,
      "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e"
      "1:q9:get_peers1:t2:aa1:y1:qe");
  assert_int_equal(message.method, KAD_METHOD_GET_PEERS);
  kad_assert_id(&message.target, "mnopqrstuvwxyz123456");
}

static void peers_are_read(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth"
                        "6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
  assert_false(message.malformed);
  assert_slice_is(message.token, "aoeusnth");
  assert_int_equal(message.peer_count, 2);
  assert_int_equal(message.peers[0].family, 4);
  assert_memory_equal(message.peers[0].ip, "axje", 4);
  assert_int_equal(message.peers[0].port, '.' << 8 | 'u');
  assert_memory_equal(message.peers[1].ip, "idht", 4);
  assert_int_equal(message.record_count, 0);
}

static void an_announce_peer_is_read(void **state) {
  (void)state;
  kad_read_ok(&message,
              "d1:ad2:id20:abcdefghij012345678912:implied_porti1e"
              "9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe"
              "1:q13:announce_peer1:t2:aa1:y1:qe");
  assert_int_equal(message.method, KAD_METHOD_ANNOUNCE_PEER);
  assert_true(message.implied_port && message.has_port);
  assert_int_equal(message.port, 6881);
  assert_slice_is(message.token, "aoeusnth");
  kad_assert_id(&message.target, "mnopqrstuvwxyz123456");
}

static void the_kind_is_decided_by_y_alone(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:ad2:id" ID "e1:eli203e1:xe1:q4:ping1:rd2:id" ID
                        "e1:t2:aa1:y1:re");
  assert_int_equal(message.kind, KAD_MESSAGE_REPLY);
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aae");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aa1:y1:xe");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aa1:y2:qqe");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aa1:y0:e");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aa1:yi1ee");
}

static void transactions_have_1_to_32_bytes(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:ad2:id" ID "e1:q4:ping1:t1:a1:y1:qe");
  kad_read_ok(&message,
              "d1:ad2:id" ID
              "e1:q4:ping1:t32:abcdefghijklmnopqrstuvwxyz0123451:y1:qe");
  assert_int_equal(message.transaction.len, KAD_TRANSACTION_MAX);
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t0:1:y1:qe");
  kad_assert_no_message(
      "d1:ad2:id" ID
      "e1:q4:ping1:t33:abcdefghijklmnopqrstuvwxyz01234561:y1:qe");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:ti7e1:y1:qe");
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:y1:qe");
}

static void anything_but_one_dictionary_is_malformed(void **state) {
  (void)state;
  kad_assert_no_message("");
  kad_assert_no_message("d");
  kad_assert_no_message("de");
  kad_assert_no_message("i1e");
  kad_assert_no_message("l1:t2:aa1:y1:qe");
  kad_assert_no_message(QUERY("4:ping", "") "e");
  kad_assert_no_message(QUERY("4:ping", "") "\r\n");
  kad_assert_no_message(QUERY("4:ping", "") QUERY("4:ping", ""));
  kad_assert_no_message("d1:ad2:id" ID "e1:q4:ping1:t2:aa1:t2:aa1:y1:qe");
  kad_assert_no_message(QUERY("4:ping", "1:xi1e1:xi2e"));
  kad_assert_no_message(QUERY("4:ping", "1:xi01e"));
}

static void unsorted_and_unknown_keys_are_accepted(void **state) {
  (void)state;
  kad_read_ok(
      &message,
      "d1:y1:q1:t2:aa1:q4:ping1:zl1:ae3:yyyd1:xi1ee1:ad1:z1:z2:bsi1e2:id" ID
      "ee");
  assert_int_equal(message.method, KAD_METHOD_PING);
  kad_assert_id(&message.id, "abcdefghij0123456789");
}

static void the_first_of_repeated_keys_counts(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:ad2:id" ID "1:xi1e2:id" HASH
                        "e1:q4:ping1:t2:aa1:y1:q1:t2:bbe");
  kad_assert_id(&message.id, "abcdefghij0123456789");
  assert_slice_is(message.transaction, "aa");
}

static void depth_is_limited_over_the_whole_message(void **state) {
  (void)state;
  /* 16 deep and 17 deep, with the message and its arguments. */
  kad_read_ok(&message, QUERY("4:ping", "1:xlllllllllllllleeeeeeeeeeeeee"));
  kad_assert_no_message(QUERY("4:ping", "1:xllllllllllllllleeeeeeeeeeeeeee"));
}

static void the_envelope_is_read(void **state) {
  (void)state;
  assert_ok(
      kad_decode(&message, BYTES("d2:ip6:\177\0\0\1\032\341"
                                 "1:rd2:id" ID "e2:roi1e1:t2:aa1:v4:KA\0\1"
                                 "1:y1:re")));
  assert_slice_is(message.version, "KA\0\1");
  assert_true(message.read_only);
  assert_int_equal(message.observed.family, 4);
  assert_memory_equal(message.observed.ip, "\177\0\0\1", 4);
  assert_int_equal(message.observed.port, 6881);
}

static void a_malformed_envelope_is_ignored(void **state) {
  (void)state;
  kad_read_ok(&message,
              "d2:ip5:abcde1:rd2:id" ID "e2:roi2e1:t2:aa1:vi1e1:y1:re");
  assert_int_equal(message.observed.family, 0);
  assert_false(message.read_only);
  assert_int_equal(message.version.len, 0);
  kad_read_ok(&message, "d2:ipi1e1:rd2:id" ID "e2:ro1:11:t2:aa1:y1:re");
  assert_false(message.read_only);
}

static void an_error_is_a_code_and_a_text(void **state) {
  (void)state;
  kad_read_ok(&message, "d1:eli-7e0:i1ee1:t2:aa1:y1:ee");
  assert_int_equal(message.code, -7);
  assert_int_equal(message.text.len, 0);
  kad_assert_no_message("d1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:e3:abc1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:ele1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:eli203ee1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:el3:203i1ee1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:eli203ei1ee1:t2:aa1:y1:ee");
  kad_assert_no_message("d1:eli4294967499e1:xe1:t2:aa1:y1:ee");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_error_is_read),
      cmocka_unit_test(a_ping_is_read),
      cmocka_unit_test(a_pong_is_read),
      cmocka_unit_test(a_find_node_is_read),
      cmocka_unit_test(a_get_peers_is_read),
      cmocka_unit_test(peers_are_read),
      cmocka_unit_test(an_announce_peer_is_read),
      cmocka_unit_test(the_kind_is_decided_by_y_alone),
      cmocka_unit_test(transactions_have_1_to_32_bytes),
      cmocka_unit_test(anything_but_one_dictionary_is_malformed),
      cmocka_unit_test(unsorted_and_unknown_keys_are_accepted),
      cmocka_unit_test(the_first_of_repeated_keys_counts),
      cmocka_unit_test(depth_is_limited_over_the_whole_message),
      cmocka_unit_test(the_envelope_is_read),
      cmocka_unit_test(a_malformed_envelope_is_ignored),
      cmocka_unit_test(an_error_is_a_code_and_a_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
