/* The wire of BEP 44: get and put, and their replies. A value is any bencoded
 * one, byte for byte. */
#include "decoding.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define PUT(args) QUERY("3:put", args)
#define GET(args) QUERY("3:get", args)
#define MUTABLE   K32 "3:seqi4e" SIG "5:token2:to1:v5:hello"
#define QUERY_BEFORE_ID(before, args) \
  "d1:ad" before "2:id" ID args "e1:q3:put1:t2:aa1:y1:qe"

static struct kad_message message;

/* Reads `datagram`, and writes the same bytes again. */
static void assert_read_and_written(const char *datagram) {
  uint8_t again[1500];
  struct kad_writer writer = {.data = again, .cap = sizeof again};
  kad_read_ok(&message, datagram);
  assert_false(message.malformed);
  message.args.len = 0;
  message.reply.len = 0;
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  if (writer.len != strlen(datagram) ||
      memcmp(again, datagram, writer.len) != 0) {
    fail_msg("wrote\n%.*s\ninstead of\n%s", (int)writer.len, (char *)again,
             datagram);
  }
}

/* ----------------------------------------------------------------- put -- */

static void bep44_immutable_put_has_a_value_and_a_token(void **state) {
  (void)state;
  assert_read_and_written(PUT("5:token2:to1:v12:Hello World!"));
  assert_int_equal(message.method, KAD_METHOD_PUT);
  assert_int_equal(message.record_count, 1);
  assert_slice_is(message.records[0].value, "12:Hello World!");
  assert_null(message.records[0].publisher);
  assert_false(message.records[0].has_seq);
  assert_slice_is(message.token, "to");
  assert_false(message.has_target);
}

static void bep44_mutable_put_has_all_its_keys(void **state) {
  (void)state;
  assert_read_and_written(QUERY_BEFORE_ID("3:casi3e",
                                          K32 "4:salt6:foobar3:seqi4e" SIG
                                              "5:token2:to1:v12:Hello World!"));
  const struct kad_record *item = &message.records[0];
  assert_true(message.has_cas);
  assert_int_equal(message.cas, 3);
  assert_memory_equal(item->publisher, "kkkkkkkk", 8);
  assert_memory_equal(item->signature, "ssssssss", 8);
  assert_slice_is(item->salt, "foobar");
  assert_true(item->has_seq);
  assert_int_equal(item->seq, 4);
  assert_slice_is(item->value, "12:Hello World!");
}

/* "any bencoded type", kept byte for byte. */
static void bep44_value_is_any_bencoded_value(void **state) {
  static const char *const values[] = {"0:",
                                       "i0e",
                                       "i-42e",
                                       "le",
                                       "de",
                                       "li1e1:xd1:ale1:bdeee",
                                       "d0:0:1:a1:b2:aa1:ce",
                                       "i9223372036854775807e"};
  char datagram[300];
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    (void)snprintf(datagram, sizeof datagram, "%s%s%s",
                   "d1:ad2:id" ID "5:token2:to1:v", values[i],
                   "e1:q3:put1:t2:aa1:y1:qe");
    assert_read_and_written(datagram);
    assert_int_equal(message.records[0].value.len, strlen(values[i]));
    assert_memory_equal(message.records[0].value.data, values[i],
                        strlen(values[i]));
  }
}

/* The target of an immutable item is the hash of its bytes: another node that
 * encodes it again must get the same bytes. */
static void bep44_value_has_its_only_form(void **state) {
  (void)state;
  kad_assert_bad_query(PUT("5:token2:to1:vd1:bi1e1:ai1ee"));
  kad_assert_bad_query(PUT("5:token2:to1:vd1:ai1e1:bi1e1:ai1ee"));
  kad_assert_bad_query(PUT("5:token2:to1:vld1:bi1e1:ai1eee"));
  kad_assert_bad_query(PUT(K32 "3:seqi4e" SIG "5:token2:to1:vd1:bi1e1:ai1ee"));
  kad_read_ok(&message, REPLY("1:vd1:bi1e1:ai1ee"));
  assert_false(message.has_item);
  assert_false(message.malformed);
  assert_int_equal(message.record_count, 0);
}

static void bep44_value_nests_14_deep_in_a_message(void **state) {
  char datagram[300];
  (void)state;
  for (unsigned depth = 13; depth <= 15; depth++) {
    (void)snprintf(datagram, sizeof datagram, "%s%.*s%.*s%s",
                   "d1:ad2:id" ID "5:token2:to1:v", (int)depth,
                   "llllllllllllllll", (int)depth, "eeeeeeeeeeeeeeee",
                   "e1:q3:put1:t2:aa1:y1:qe");
    const int status = kad_decode(&message, kad_slice_of(datagram));
    assert_int_equal(status, depth <= 14 ? 0 : KAD_EMALFORMED);
  }
}

static void bep44_values_and_salts_of_any_size_are_read(void **state) {
  static char datagram[4000];
  static char value[3000];
  (void)state;
  memset(value, 'x', sizeof value - 1);
  (void)snprintf(datagram, sizeof datagram, "%s%s%s",
                 "d1:ad2:id" ID "5:token2:to1:v2999:", value,
                 "e1:q3:put1:t2:aa1:y1:qe");
  kad_read_ok(&message, datagram);
  assert_int_equal(message.records[0].value.len, 2999 + 5);

  (void)snprintf(datagram, sizeof datagram, "%s%.255s%s",
                 "d1:ad2:id" ID K32 "4:salt255:", value,
                 "3:seqi4e" SIG "5:token2:to1:v0:e1:q3:put1:t2:aa1:y1:qe");
  kad_read_ok(&message, datagram);
  assert_int_equal(message.records[0].salt.len, 255);
}

static void bep44_put_needs_a_token_and_a_value(void **state) {
  (void)state;
  kad_assert_bad_query(PUT("1:v5:hello"));
  kad_assert_bad_query(PUT("5:token2:to"));
  kad_assert_bad_query(PUT("5:tokeni1e1:v5:hello"));
}

static void bep44_mutable_put_needs_k_seq_and_sig(void **state) {
  (void)state;
  kad_read_ok(&message, PUT(MUTABLE));
  kad_assert_bad_query(PUT("3:seqi4e" SIG "5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT(K32 SIG "5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT(K32 "3:seqi4e5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT("1:k3:kkk3:seqi4e" SIG "5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT("1:ki1e3:seqi4e" SIG "5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT(K32 "3:seq1:4" SIG "5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT(K32 "3:seqi4e3:sig3:sss5:token2:to1:v5:hello"));
  kad_assert_bad_query(PUT(K32 "4:salti1e3:seqi4e" SIG "5:token2:to1:v0:"));
  kad_assert_bad_query(QUERY_BEFORE_ID("3:cas1:3", MUTABLE));
}

/* Seen from a Go client: an immutable item with seq 0. */
static void bep44_immutable_put_may_have_seq_salt_and_cas(void **state) {
  (void)state;
  kad_read_ok(&message, QUERY_BEFORE_ID("3:casi1e", "4:salt1:s3:seqi0e"
                                                    "5:token2:to1:v5:hello"));
  const struct kad_record *item = &message.records[0];
  assert_false(item->has_seq || message.has_cas);
  assert_int_equal(item->seq, 0);
  assert_int_equal(item->salt.len, 0);
  assert_null(item->publisher);
}

/* "it is as if it was not specified". */
static void bep44_empty_salt_is_no_salt(void **state) {
  (void)state;
  kad_read_ok(&message,
              PUT(K32 "4:salt0:3:seqi4e" SIG "5:token2:to1:v5:hello"));
  assert_int_equal(message.records[0].salt.len, 0);
}

static void bep44_seq_has_64_bits(void **state) {
  static const int64_t numbers[] = {
      0, 1, -1, INT64_C(9007199254740993), INT64_MAX, INT64_MIN};
  char datagram[400];
  (void)state;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    const long long number = (long long)numbers[i];
    (void)snprintf(datagram, sizeof datagram,
                   "d1:ad3:casi%llde2:id" ID K32 "3:seqi%llde" SIG
                   "5:token2:to1:v5:helloe1:q3:put1:t2:aa1:y1:qe",
                   number, number);
    assert_read_and_written(datagram);
    assert_true(message.records[0].seq == numbers[i]);
    assert_true(message.cas == numbers[i]);
    (void)snprintf(datagram, sizeof datagram,
                   "d1:ad2:id" ID "3:seqi%llde6:target" HASH
                   "e1:q3:get1:t2:aa1:y1:qe",
                   number);
    assert_read_and_written(datagram);
    assert_true(message.has_seq && message.seq == numbers[i]);
    (void)snprintf(datagram, sizeof datagram,
                   "d1:rd2:id" ID K32 "3:seqi%llde" SIG
                   "1:v5:helloe1:t2:aa1:y1:re",
                   number);
    assert_read_and_written(datagram);
    assert_true(message.records[0].seq == numbers[i]);
  }
}

/* Kadenza's own: what other nodes ignore. */
static void a_put_may_have_a_ttl_and_a_reason(void **state) {
  (void)state;
  assert_read_and_written(
      PUT("5:token2:to3:ttli3600e1:v5:hello3:why9:republish"));
  assert_true(message.has_ttl);
  assert_int_equal(message.ttl, 3600);
  assert_slice_is(message.why, "republish");
  kad_assert_bad_query(PUT("5:token2:to3:ttli-1e1:v5:hello"));
  kad_assert_bad_query(PUT("5:token2:to1:v5:hello3:whyi1e"));
}

static void a_reply_says_how_long_the_item_lives(void **state) {
  (void)state;
  assert_read_and_written(
      REPLY("5:nodes0:5:token2:to5:totali1e3:ttli60e1:vle"));
  assert_int_equal(message.records[0].ttl, 60);
  assert_true(message.has_item && message.has_total);
  kad_assert_malformed_reply(&message, REPLY("3:ttli-1e1:vle"));
}

/* ----------------------------------------------------------------- get -- */

static void bep44_get_has_a_target(void **state) {
  (void)state;
  assert_read_and_written(GET("6:target" HASH));
  assert_int_equal(message.method, KAD_METHOD_GET);
  assert_false(message.has_seq);
  assert_read_and_written(GET("6:target" HASH "4:wantl2:n42:n6e"));
  assert_read_and_written(GET("3:seqi0e6:target" HASH "5:token2:to"));
  assert_true(message.has_seq);
  kad_assert_bad_query(GET(""));
  kad_assert_bad_query(GET("6:target3:abc"));
  kad_assert_bad_query(GET("9:info_hash" HASH));
  kad_assert_bad_query(GET("3:seq1:16:target" HASH));
}

static void bep44_reply_has_the_item_and_a_token(void **state) {
  (void)state;
  assert_read_and_written(REPLY("5:nodes0:5:token2:to1:v12:Hello World!"));
  assert_true(message.has_item);
  assert_int_equal(message.record_count, 1);
  assert_slice_is(message.records[0].value, "12:Hello World!");
  assert_null(message.records[0].publisher);

  assert_read_and_written(
      REPLY(K32 "5:nodes0:3:seqi4e" SIG "5:token2:to1:vd1:ai1ee"));
  assert_true(message.has_item && message.has_seq);
  assert_int_equal(message.seq, 4);
  assert_int_equal(message.records[0].seq, 4);
  assert_slice_is(message.records[0].value, "d1:ai1ee");
}

/* "the k, v, and sig fields SHOULD be omitted". */
static void bep44_reply_without_value_may_have_a_seq(void **state) {
  (void)state;
  assert_read_and_written(REPLY("5:nodes0:3:seqi7e5:token2:to"));
  assert_false(message.has_item);
  assert_true(message.has_seq);
  assert_int_equal(message.seq, 7);
  kad_read_ok(&message, REPLY(K32 "3:seqi7e"));
  assert_false(message.has_item || message.malformed);
}

static void bep44_immutable_reply_may_have_a_seq(void **state) {
  (void)state;
  assert_read_and_written(REPLY("3:seqi0e1:v5:hello"));
  assert_true(message.has_item);
  assert_false(message.records[0].has_seq);
}

static void bep44_item_without_its_whole_signature_is_ignored(void **state) {
  static const char *const replies[] = {
      REPLY(K32 "3:seqi4e1:v5:hello"),
      REPLY("3:seqi4e" SIG "1:v5:hello"),
      REPLY(K32 SIG "1:v5:hello"),
  };
  (void)state;
  for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
    kad_read_ok(&message, replies[i]);
    assert_false(message.has_item || message.malformed);
    assert_int_equal(message.record_count, 0);
  }
}

static void bep44_keys_of_a_wrong_form_make_a_reply_malformed(void **state) {
  (void)state;
  kad_assert_malformed_reply(&message, REPLY("1:ki1e1:v5:hello"));
  kad_assert_malformed_reply(&message, REPLY("1:k3:kkk1:v5:hello"));
  kad_assert_malformed_reply(&message, REPLY("3:seq1:41:v5:hello"));
  kad_assert_malformed_reply(&message, REPLY("3:sig3:sss1:v5:hello"));
  kad_assert_malformed_reply(&message, REPLY("3:sigle1:v5:hello"));
  assert_false(message.has_item);
}

static void a_reply_has_records_or_an_item(void **state) {
  (void)state;
  kad_read_ok(&message, REPLY("1:v5:hello6:valuesld1:v1:xee"));
  assert_false(message.has_item);
  assert_slice_is(message.records[0].value, "x");
  kad_read_ok(&message, REPLY("1:v5:hello6:valuesl6:axje.ue"));
  assert_true(message.has_item);
  assert_int_equal(message.peer_count, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep44_immutable_put_has_a_value_and_a_token),
      cmocka_unit_test(bep44_mutable_put_has_all_its_keys),
      cmocka_unit_test(bep44_value_is_any_bencoded_value),
      cmocka_unit_test(bep44_value_has_its_only_form),
      cmocka_unit_test(bep44_value_nests_14_deep_in_a_message),
      cmocka_unit_test(bep44_values_and_salts_of_any_size_are_read),
      cmocka_unit_test(bep44_put_needs_a_token_and_a_value),
      cmocka_unit_test(bep44_mutable_put_needs_k_seq_and_sig),
      cmocka_unit_test(bep44_immutable_put_may_have_seq_salt_and_cas),
      cmocka_unit_test(bep44_empty_salt_is_no_salt),
      cmocka_unit_test(bep44_seq_has_64_bits),
      cmocka_unit_test(a_put_may_have_a_ttl_and_a_reason),
      cmocka_unit_test(a_reply_says_how_long_the_item_lives),
      cmocka_unit_test(bep44_get_has_a_target),
      cmocka_unit_test(bep44_reply_has_the_item_and_a_token),
      cmocka_unit_test(bep44_reply_without_value_may_have_a_seq),
      cmocka_unit_test(bep44_immutable_reply_may_have_a_seq),
      cmocka_unit_test(bep44_item_without_its_whole_signature_is_ignored),
      cmocka_unit_test(bep44_keys_of_a_wrong_form_make_a_reply_malformed),
      cmocka_unit_test(a_reply_has_records_or_an_item),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
