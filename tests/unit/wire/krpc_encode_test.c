/* Encoding: the examples of BEP 5, byte for byte, and everything else. */
#include "decoding.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct kad_id our_id = {.bytes = "abcdefghij0123456789"};
static const struct kad_id other_id = {.bytes = "mnopqrstuvwxyz123456"};
static const struct kad_address peer4 = {
    .family = 4, .ip = "axje", .port = '.' << 8 | 'u'};
static const struct kad_address peer6 = {
    .family = 6, .ip = "0123456789abcdef", .port = '.' << 8 | 'u'};

static struct kad_message message;

static void begin(enum kad_message_kind kind) {
  memset(&message, 0xff, sizeof message);
  kad_message_init(&message, kind);
  message.transaction = kad_slice_of("aa");
  message.has_id = true;
  message.id = our_id;
}

static void begin_query(enum kad_method_id method) {
  begin(KAD_MESSAGE_QUERY);
  message.method = method;
  message.has_target = true;
  message.target = other_id;
}

static void begin_custom(const char *name, const char *args) {
  begin(KAD_MESSAGE_QUERY);
  message.name = kad_slice_of(name);
  message.args = kad_slice_of(args);
}

static void assert_encodes(size_t id_size, const char *expected) {
  uint8_t memory[1500];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};
  assert_ok(kad_krpc_encode(NULL, &message, id_size, &writer));
  if (writer.len != strlen(expected) ||
      memcmp(memory, expected, writer.len) != 0) {
    fail_msg("wrote\n%.*s\ninstead of\n%s", (int)writer.len, (char *)memory,
             expected);
  }
}

static void assert_written(const char *expected) {
  assert_encodes(20, expected);
}

/* ------------------------------------------------- the examples of BEP 5 -- */

static void an_error_is_written(void **state) {
  (void)state;
  begin(KAD_MESSAGE_ERROR);
  message.code = 201;
  message.text = kad_slice_of("A Generic Error Ocurred");
  assert_written("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
}

static void a_ping_and_its_reply_are_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_PING);
  assert_written("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
  begin(KAD_MESSAGE_REPLY);
  assert_written("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re");
}

static void a_find_node_and_its_reply_are_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_FIND_NODE);
  assert_written("d1:ad2:id20:abcdefghij01234567896:target"
                 "20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe");
  begin(KAD_MESSAGE_REPLY);
  message.has_nodes = true;
  message.contact_count = 1;
  message.contacts[0] = (struct kad_contact){other_id, peer4};
  assert_written("d1:rd2:id20:abcdefghij01234567895:nodes26:"
                 "mnopqrstuvwxyz123456axje.ue1:t2:aa1:y1:re");
}

static void a_get_peers_and_its_reply_are_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_GET_PEERS);
  assert_written("d1:ad2:id20:abcdefghij01234567899:info_hash"
                 "20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe");
  begin(KAD_MESSAGE_REPLY);
  message.token = kad_slice_of("aoeusnth");
  message.peer_count = 2;
  message.peers[0] = peer4;
  message.peers[1] = peer6;
  assert_written("d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth"
                 "6:valuesl6:axje.u18:0123456789abcdef.uee1:t2:aa1:y1:re");
}

static void an_announce_peer_is_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_ANNOUNCE_PEER);
  message.token = kad_slice_of("aoeusnth");
  message.implied_port = true;
  message.has_port = true;
  message.port = 6881;
  assert_written("d1:ad2:id20:abcdefghij012345678912:implied_porti1e"
                 "9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
                 "5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe");
}

/* ------------------------------------------------------------- the rest -- */

static void an_implied_port_is_written_beside_port_0(void **state) {
  (void)state;
  begin_query(KAD_METHOD_ANNOUNCE_PEER);
  message.token = kad_slice_of("to");
  message.implied_port = true;
  assert_written("d1:ad2:id20:abcdefghij012345678912:implied_porti1e"
                 "9:info_hash20:mnopqrstuvwxyz1234564:porti0e"
                 "5:token2:toe1:q13:announce_peer1:t2:aa1:y1:qe");
}

static void the_envelope_is_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_PING);
  message.read_only = true;
  message.version = kad_slice_of("KA01");
  message.observed = peer4;
  assert_written("d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e"
                 "1:t2:aa1:v4:KA011:y1:qe");
  begin(KAD_MESSAGE_REPLY);
  message.read_only = true;
  message.version = kad_slice_of("KA01");
  message.observed = peer4;
  assert_written("d2:ip6:axje.u1:rd2:id20:abcdefghij0123456789e"
                 "1:t2:aa1:v4:KA011:y1:re");
  begin(KAD_MESSAGE_ERROR);
  message.code = 204;
  message.observed = peer6;
  assert_written("d1:eli204e0:e2:ip18:0123456789abcdef.u1:t2:aa1:y1:ee");
}

static void want_is_written_for_lookup_queries_only(void **state) {
  (void)state;
  begin_query(KAD_METHOD_FIND_NODE);
  message.want4 = true;
  message.want6 = true;
  assert_written("d1:ad2:id20:abcdefghij01234567896:target"
                 "20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee"
                 "1:q9:find_node1:t2:aa1:y1:qe");
  begin_query(KAD_METHOD_PING);
  message.want6 = true;
  assert_written("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
}

static void contacts_go_to_the_key_of_their_family(void **state) {
  (void)state;
  begin(KAD_MESSAGE_REPLY);
  message.has_nodes6 = true;
  message.contact_count = 3;
  message.contacts[0] = (struct kad_contact){our_id, peer6};
  message.contacts[1] = (struct kad_contact){other_id, peer4};
  message.contacts[2] = (struct kad_contact){other_id, peer6};
  assert_written("d1:rd2:id20:abcdefghij01234567896:nodes676:"
                 "abcdefghij01234567890123456789abcdef.u"
                 "mnopqrstuvwxyz1234560123456789abcdef.ue1:t2:aa1:y1:re");
  message.has_nodes = true;
  message.contact_count = 0;
  assert_written("d1:rd2:id20:abcdefghij01234567895:nodes0:6:nodes60:e"
                 "1:t2:aa1:y1:re");
}

static void ids_of_256_bits_are_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_FIND_NODE);
  memcpy(message.id.bytes, "abcdefghijklmnopqrstuvwxyz012345", 32);
  memcpy(message.target.bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", 32);
  assert_encodes(32, "d1:ad2:id32:abcdefghijklmnopqrstuvwxyz0123456:target"
                     "32:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345e"
                     "1:q9:find_node1:t2:aa1:y1:qe");
}

static void a_find_value_is_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_FIND_VALUE);
  message.type = kad_slice_of("value");
  message.skip = 1;
  message.want4 = true;
  assert_written("d1:ad2:id20:abcdefghij01234567894:skipi1e6:target"
                 "20:mnopqrstuvwxyz1234564:type5:value4:wantl2:n4ee"
                 "1:q10:find_value1:t2:aa1:y1:qe");
}

/* Adds a plain record and one with every field to the message. */
static void add_records(void) {
  message.record_count = 2;
  message.records[0] = (struct kad_record){.value = kad_slice_of("plain")};
  message.records[1] = (struct kad_record){
      .value = kad_slice_of("full"),
      .salt = kad_slice_of("salt"),
      .publisher = (const uint8_t *)"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
      .signature = (const uint8_t *)"ssssssssssssssssssssssssssssssss"
                                    "ssssssssssssssssssssssssssssssss",
      .has_seq = true,
      .seq = -5,
      .ttl = 60,
  };
}

#define RECORDS                                            \
  "6:valuesld1:v5:plained" K32 "4:salt4:salt3:seqi-5e" SIG \
  "3:ttli60e1:v4:full"                                     \
  "ee"

static void a_store_and_its_reply_are_written(void **state) {
  (void)state;
  begin_query(KAD_METHOD_STORE);
  message.type = kad_slice_of("value");
  message.token = kad_slice_of("to");
  message.has_ttl = true;
  message.ttl = 0;
  add_records();
  assert_written(
      "d1:ad2:id20:abcdefghij01234567896:target"
      "20:mnopqrstuvwxyz1234565:token2:to3:ttli0e4:type5:value" RECORDS
      "e1:q5:store1:t2:aa1:y1:qe");
  message.why = kad_slice_of("republish");
  assert_written(
      "d1:ad2:id20:abcdefghij01234567896:target"
      "20:mnopqrstuvwxyz1234565:token2:to3:ttli0e4:type5:value" RECORDS
      "3:why9:republishe1:q5:store1:t2:aa1:y1:qe");
  begin(KAD_MESSAGE_REPLY);
  message.has_stored = true;
  message.stored = 1;
  message.error_count = 1;
  message.errors[0] =
      (struct kad_record_error){1, 205, kad_slice_of("too large")};
  assert_written("d1:rd6:errorslli1ei205e9:too largeee"
                 "2:id20:abcdefghij01234567896:storedi1ee1:t2:aa1:y1:re");
}

static void a_page_of_records_is_written(void **state) {
  (void)state;
  begin(KAD_MESSAGE_REPLY);
  message.has_nodes = true;
  message.token = kad_slice_of("to");
  message.has_total = true;
  message.total = 40;
  add_records();
  assert_written("d1:rd2:id20:abcdefghij01234567895:nodes0:5:token2:to"
                 "5:totali40e" RECORDS "e1:t2:aa1:y1:re");
}

static void assert_size_is_right(const struct kad_record *record) {
  static const char rest[] = "d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re";
  uint8_t memory[1500];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};
  begin(KAD_MESSAGE_REPLY);
  message.record_count = 1;
  message.records[0] = *record;
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  assert_int_equal(sizeof rest - 1 + KAD_KRPC_VALUES_SIZE +
                       kad_krpc_record_size(record),
                   writer.len);
}

static void the_size_of_a_record_is_right(void **state) {
  (void)state;
  static const uint8_t bytes[1000];
  assert_size_is_right(&(struct kad_record){.seq = 0});
  for (size_t len = 0; len <= 1000; len += 111) {
    struct kad_slice value = {bytes, len};
    assert_size_is_right(&(struct kad_record){.value = value});
  }
  assert_size_is_right(&(struct kad_record){.publisher = bytes});
  assert_size_is_right(&(struct kad_record){.signature = bytes});
  assert_size_is_right(&(struct kad_record){.salt = kad_slice_of("s")});
  assert_size_is_right(&(struct kad_record){.ttl = 1});
  assert_size_is_right(&(struct kad_record){.ttl = UINT32_MAX});
  static const int64_t numbers[] = {0, 9, 10, -1, -10, INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_size_is_right(
        &(struct kad_record){.has_seq = true, .seq = numbers[i]});
  }
}

/* --------------------------------------------------------------- custom -- */

#define HELLO(args) "d1:ad" args "e1:q5:hello1:t2:aa1:y1:qe"

static void our_id_is_merged_into_arguments_in_order(void **state) {
  (void)state;
  begin_custom("hello", "");
  assert_written(HELLO("2:id" ID));
  begin_custom("hello", "de");
  assert_written(HELLO("2:id" ID));
  begin_custom("hello", "d1:ai1e1:zi2ee");
  assert_written(HELLO("1:ai1e2:id" ID "1:zi2e"));
  begin_custom("hello", "d1:ai1ee");
  assert_written(HELLO("1:ai1e2:id" ID));
  begin_custom("hello", "d0:i0e1:ii1e2:ici2e3:idai3ee");
  assert_written(HELLO("0:i0e1:ii1e2:ici2e2:id" ID "3:idai3e"));
}

static void our_id_replaces_an_id_in_arguments(void **state) {
  (void)state;
  begin_custom("hello", "d1:ai1e2:idi7e1:zi2ee");
  assert_written(HELLO("1:ai1e2:id" ID "1:zi2e"));
  begin_custom("hello", "d2:id20:mnopqrstuvwxyz1234561:zi2e2:idlee");
  assert_written(HELLO("2:id" ID "1:zi2e"));
}

static void the_target_is_put_into_custom_arguments(void **state) {
  (void)state;
#define ARGS(before, after)                                                   \
  "d1:ad" before "2:id20:abcdefghij0123456789" after "e1:q5:hello1:t2:aa1:y1" \
  ":qe"
#define TARGET "6:target20:mnopqrstuvwxyz123456"
  static const struct {
    const char *args;
    const char *written;
  } cases[] = {
      {"", ARGS("", TARGET)},
      {"d1:ai1e1:zi2ee", ARGS("1:ai1e", TARGET "1:zi2e")},
      {"d1:ti1e7:targetsi2ee", ARGS("", "1:ti1e" TARGET "7:targetsi2e")},
      {"d6:target2:mee", ARGS("", "6:target2:me")},
      {"d9:info_hash2:mee", ARGS("", "9:info_hash2:me")},
      {"d1:zi2e1:ai1ee", ARGS("", TARGET "1:zi2e1:ai1e")},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    begin_custom("hello", cases[i].args);
    message.has_target = true;
    message.target = other_id;
    assert_written(cases[i].written);
  }
#undef ARGS
#undef TARGET
}

static void contacts_are_put_into_a_custom_reply(void **state) {
  (void)state;
  begin(KAD_MESSAGE_REPLY);
  message.reply = kad_slice_of("d1:ai1e1:zi2ee");
  message.has_nodes = true;
  message.has_nodes6 = true;
  message.contact_count = 1;
  message.contacts[0] = (struct kad_contact){other_id, peer4};
  assert_written("d1:rd1:ai1e2:id20:abcdefghij01234567895:nodes26:"
                 "mnopqrstuvwxyz123456axje.u6:nodes60:1:zi2ee1:t2:aa1:y1:re");
  message.reply = kad_slice_of("d5:nodes3:abc6:nodes62:ghe");
  assert_written("d1:rd2:id20:abcdefghij01234567895:nodes3:abc6:nodes62:ghe"
                 "1:t2:aa1:y1:re");
}

static void our_id_is_merged_into_a_custom_reply(void **state) {
  (void)state;
  begin(KAD_MESSAGE_REPLY);
  message.reply = kad_slice_of("d4:text2:hie");
  message.has_total = true;
  assert_written("d1:rd2:id" ID "4:text2:hie1:t2:aa1:y1:re");
}

static void arguments_may_be_15_deep(void **state) {
  (void)state;
  begin_custom("hello", "d1:alllllllllllllleeeeeeeeeeeeeee");
  assert_written(HELLO("1:alllllllllllllleeeeeeeeeeeeee2:id" ID));
}

static void assert_custom_is_invalid(const char *args) {
  uint8_t memory[1500];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};
  begin_custom("hello", args);
  assert_int_equal(kad_krpc_encode(NULL, &message, 20, &writer), KAD_EINVAL);
}

static void malformed_arguments_are_not_written(void **state) {
  (void)state;
  assert_custom_is_invalid("le");
  assert_custom_is_invalid("i1e");
  assert_custom_is_invalid("d1:ai1e");
  assert_custom_is_invalid("dede");
  assert_custom_is_invalid("d1:zi1e2:idi1e1:zi2ee");
  /* Sixteen deep alone, and seventeen within a message. */
  assert_custom_is_invalid("d1:allllllllllllllleeeeeeeeeeeeeeee");
}

static void a_message_that_does_not_fit_is_too_big(void **state) {
  (void)state;
  begin(KAD_MESSAGE_REPLY);
  message.observed = peer6;
  message.has_nodes = true;
  message.contact_count = 1;
  message.contacts[0] = (struct kad_contact){other_id, peer4};
  add_records();
  uint8_t whole[1500];
  struct kad_writer writer = {.data = whole, .cap = sizeof whole};
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  for (size_t cap = 0; cap < writer.len; cap++) {
    uint8_t *memory = malloc(cap > 0 ? cap : 1);
    assert_non_null(memory);
    struct kad_writer small = {.data = memory, .cap = cap};
    assert_int_equal(kad_krpc_encode(NULL, &message, 20, &small), KAD_ETOOBIG);
    free(memory);
  }
}

static void the_codec_is_krpc(void **state) {
  (void)state;
  const struct kad_codec *codec = kad_codec_krpc();
  uint8_t memory[100];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};
  begin_query(KAD_METHOD_PING);

  assert_ok(codec->encode(codec->state, &message, 20, &writer));
  assert_ok(codec->decode(codec->state, (struct kad_slice){memory, writer.len},
                          20, &message, NULL));

  assert_int_equal(message.method, KAD_METHOD_PING);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_error_is_written),
      cmocka_unit_test(a_ping_and_its_reply_are_written),
      cmocka_unit_test(a_find_node_and_its_reply_are_written),
      cmocka_unit_test(a_get_peers_and_its_reply_are_written),
      cmocka_unit_test(an_announce_peer_is_written),
      cmocka_unit_test(an_implied_port_is_written_beside_port_0),
      cmocka_unit_test(the_envelope_is_written),
      cmocka_unit_test(want_is_written_for_lookup_queries_only),
      cmocka_unit_test(contacts_go_to_the_key_of_their_family),
      cmocka_unit_test(ids_of_256_bits_are_written),
      cmocka_unit_test(a_find_value_is_written),
      cmocka_unit_test(a_store_and_its_reply_are_written),
      cmocka_unit_test(a_page_of_records_is_written),
      cmocka_unit_test(the_size_of_a_record_is_right),
      cmocka_unit_test(our_id_is_merged_into_arguments_in_order),
      cmocka_unit_test(our_id_replaces_an_id_in_arguments),
      cmocka_unit_test(the_target_is_put_into_custom_arguments),
      cmocka_unit_test(contacts_are_put_into_a_custom_reply),
      cmocka_unit_test(our_id_is_merged_into_a_custom_reply),
      cmocka_unit_test(arguments_may_be_15_deep),
      cmocka_unit_test(malformed_arguments_are_not_written),
      cmocka_unit_test(a_message_that_does_not_fit_is_too_big),
      cmocka_unit_test(the_codec_is_krpc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
