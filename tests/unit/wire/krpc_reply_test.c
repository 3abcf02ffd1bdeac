/* Decoding replies, and malformed keys. */
#include "decoding.h"
#include "unit.h"

#include <stdio.h>

static struct kad_message message;

static void a_reply_needs_an_id(void **state) {
  (void)state;
  kad_assert_no_message("d1:rde1:t2:aa1:y1:re");
  kad_assert_no_message("d1:rd2:id3:abce1:t2:aa1:y1:re");
  kad_assert_no_message("d1:rd2:idi1ee1:t2:aa1:y1:re");
  kad_assert_no_message("d1:t2:aa1:y1:re");
  kad_assert_no_message("d1:rle1:t2:aa1:y1:re");
}

static void contacts_of_both_families_are_read(void **state) {
  (void)state;
  assert_ok(
      kad_decode(&message, BYTES("d1:rd2:id" ID "5:nodes52:"
                                 "aaaaaaaaaaaaaaaaaaaa\300\0\2\1\032\341"
                                 "bbbbbbbbbbbbbbbbbbbb\300\0\2\2\0\1"
                                 "6:nodes638:cccccccccccccccccccc"
                                 "\040\1\15\270\0\0\0\0\0\0\0\0\0\0\0\3\032\342"
                                 "e1:t2:aa1:y1:re")));
  assert_false(message.malformed);
  assert_true(message.has_nodes && message.has_nodes6);
  assert_int_equal(message.contact_count, 3);
  kad_assert_id(&message.contacts[0].id, "aaaaaaaaaaaaaaaaaaaa");
  assert_int_equal(message.contacts[0].address.family, 4);
  assert_int_equal(message.contacts[0].address.port, 6881);
  assert_int_equal(message.contacts[1].address.port, 1);
  kad_assert_id(&message.contacts[2].id, "cccccccccccccccccccc");
  assert_int_equal(message.contacts[2].address.family, 6);
  assert_int_equal(message.contacts[2].address.ip[15], 3);
}

static void empty_nodes_count_as_present(void **state) {
  (void)state;
  kad_read_ok(&message, REPLY("5:nodes0:6:nodes60:"));
  assert_false(message.malformed);
  assert_true(message.has_nodes && message.has_nodes6);
  assert_int_equal(message.contact_count, 0);
}

static void contacts_with_port_0_are_ignored(void **state) {
  (void)state;
  assert_ok(kad_decode(&message, BYTES("d1:rd2:id" ID "5:nodes26:"
                                       "aaaaaaaaaaaaaaaaaaaa\300\0\2\1\0\0"
                                       "6:valuesl6:abcd\0\0"
                                       "6:abcd\0\1"
                                       "ee1:t2:aa1:y1:re")));
  assert_false(message.malformed);
  assert_int_equal(message.contact_count, 0);
  assert_int_equal(message.peer_count, 1);
  assert_int_equal(message.peers[0].port, 1);
}

static void nodes_of_a_wrong_size_are_malformed(void **state) {
  (void)state;
  kad_assert_malformed_reply(&message, REPLY("5:nodes9:def456..."));
  assert_false(message.has_nodes);
  kad_assert_malformed_reply(&message,
                             REPLY("5:nodes27:aaaaaaaaaaaaaaaaaaaaaaaaaaa"));
  assert_int_equal(message.contact_count, 0);
  kad_assert_malformed_reply(&message, REPLY("5:nodesle"));
  kad_assert_malformed_reply(&message,
                             REPLY("6:nodes626:aaaaaaaaaaaaaaaaaaaaaaaaaa"));
  assert_false(message.has_nodes6);
}

static void contacts_above_the_limit_are_ignored(void **state) {
  (void)state;
  char datagram[26 * (KAD_MESSAGE_CONTACTS + 2) + 100];
  char head[100];
  size_t count = KAD_MESSAGE_CONTACTS + 1;
  (void)snprintf(head, sizeof head, "d1:rd2:id" ID "5:nodes%zu:", 26 * count);
  kad_repeat(datagram, head, "abcdefghijklmnopqrstuvwxyz", count,
             "e1:t2:aa1:y1:re");
  kad_read_ok(&message, datagram);
  assert_int_equal(message.contact_count, KAD_MESSAGE_CONTACTS);
}

static void peers_above_the_limit_are_ignored(void **state) {
  (void)state;
  char datagram[8 * (KAD_MESSAGE_PEERS + 2) + 100];
  kad_repeat(datagram, "d1:rd2:id" ID "6:valuesl", "6:axje.u",
             KAD_MESSAGE_PEERS + 1, "ee1:t2:aa1:y1:re");
  kad_read_ok(&message, datagram);
  assert_false(message.malformed);
  assert_int_equal(message.peer_count, KAD_MESSAGE_PEERS);
}

static void values_that_are_not_peers_are_ignored(void **state) {
  (void)state;
  kad_read_ok(
      &message,
      REPLY("6:valuesl5:axje.7:axje.uui1ele6:axje.u18:abcdefghijklmnopqre"));
  assert_false(message.malformed);
  assert_int_equal(message.peer_count, 2);
  assert_int_equal(message.peers[0].family, 4);
  assert_int_equal(message.peers[1].family, 6);
}

static void records_of_a_reply_are_read(void **state) {
  (void)state;
  kad_read_ok(&message, REPLY("5:token2:to5:totali70e6:valuesld1:v1:xed" K32
                              "3:seqi1e" SIG "3:ttli4294967295e1:v1:yee"));
  assert_false(message.malformed);
  assert_int_equal(message.record_count, 2);
  assert_slice_is(message.records[0].value, "x");
  assert_true(message.records[1].ttl == UINT32_MAX);
  assert_true(message.has_total);
  assert_int_equal(message.total, 70);
  assert_slice_is(message.token, "to");
}

static void records_above_the_limit_are_ignored(void **state) {
  (void)state;
  char datagram[600];
  kad_repeat(datagram, "d1:rd2:id" ID "6:valuesl", "d1:v1:xe",
             KAD_RECORDS_PER_MESSAGE + 1, "ee1:t2:aa1:y1:re");
  kad_read_ok(&message, datagram);
  assert_false(message.malformed);
  assert_int_equal(message.record_count, KAD_RECORDS_PER_MESSAGE);
}

static void a_malformed_record_removes_all_values(void **state) {
  (void)state;
  kad_assert_malformed_reply(&message,
                             REPLY("6:valuesl6:axje.ud1:v1:xed1:vi1eee"));
  assert_int_equal(message.record_count, 0);
  assert_int_equal(message.peer_count, 0);
  kad_assert_malformed_reply(&message, REPLY("6:valuesld" K32 "1:v1:xee"));
  kad_assert_malformed_reply(&message, REPLY("6:values3:abc"));
}

static void the_reply_to_a_store_is_read(void **state) {
  (void)state;
  kad_read_ok(&message,
              REPLY("6:errorslli1ei205e9:too largeeli3ei-1e0:ee6:storedi2e"));
  assert_false(message.malformed);
  assert_true(message.has_stored);
  assert_int_equal(message.stored, 2);
  assert_int_equal(message.error_count, 2);
  assert_int_equal(message.errors[0].index, 1);
  assert_int_equal(message.errors[0].code, 205);
  assert_slice_is(message.errors[0].reason, "too large");
  assert_int_equal(message.errors[1].code, -1);
}

static void errors_above_the_limit_are_ignored(void **state) {
  (void)state;
  char datagram[600];
  kad_repeat(datagram, "d1:rd6:errorsl", "li0ei205e0:e", KAD_MESSAGE_ERRORS + 1,
             "e2:id" ID "e1:t2:aa1:y1:re");
  kad_read_ok(&message, datagram);
  assert_false(message.malformed);
  assert_int_equal(message.error_count, KAD_MESSAGE_ERRORS);
}

static void other_keys_of_a_wrong_form_are_malformed(void **state) {
  (void)state;
  kad_assert_malformed_reply(&message, REPLY("5:tokeni1e"));
  assert_int_equal(message.token.len, 0);
  kad_assert_malformed_reply(&message, REPLY("5:totali-1e"));
  assert_false(message.has_total);
  kad_assert_malformed_reply(&message, REPLY("5:total1:1"));
  kad_assert_malformed_reply(&message, REPLY("6:storedi4294967296e"));
  assert_false(message.has_stored);
  kad_assert_malformed_reply(&message, REPLY("6:errors4:none"));
  kad_assert_malformed_reply(&message, REPLY("6:errorsli1ee"));
  kad_assert_malformed_reply(&message, REPLY("6:errorslli1ei205eee"));
  kad_assert_malformed_reply(&message, REPLY("6:errorslli-1ei205e1:xee"));
  kad_assert_malformed_reply(&message, REPLY("6:errorslli1ei2147483648e1:xee"));
  assert_int_equal(message.error_count, 0);
}

static void other_keys_are_read_after_a_malformed_one(void **state) {
  (void)state;
  kad_assert_malformed_reply(
      &message, REPLY("5:nodes1:x5:token2:to5:total1:x6:storedi1e"));
  assert_slice_is(message.token, "to");
  assert_int_equal(message.stored, 1);
  assert_slice_is(message.reply,
                  "d2:id" ID "5:nodes1:x5:token2:to5:total1:x6:storedi1ee");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reply_needs_an_id),
      cmocka_unit_test(contacts_of_both_families_are_read),
      cmocka_unit_test(empty_nodes_count_as_present),
      cmocka_unit_test(contacts_with_port_0_are_ignored),
      cmocka_unit_test(nodes_of_a_wrong_size_are_malformed),
      cmocka_unit_test(contacts_above_the_limit_are_ignored),
      cmocka_unit_test(peers_above_the_limit_are_ignored),
      cmocka_unit_test(values_that_are_not_peers_are_ignored),
      cmocka_unit_test(records_of_a_reply_are_read),
      cmocka_unit_test(records_above_the_limit_are_ignored),
      cmocka_unit_test(a_malformed_record_removes_all_values),
      cmocka_unit_test(the_reply_to_a_store_is_read),
      cmocka_unit_test(errors_above_the_limit_are_ignored),
      cmocka_unit_test(other_keys_of_a_wrong_form_are_malformed),
      cmocka_unit_test(other_keys_are_read_after_a_malformed_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
