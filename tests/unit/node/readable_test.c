/* Every record that a node stores can be read back, whatever its value, salt,
 * sequence number and publisher, for several sizes of replies.
 *
 * Tests core/rpc/record_size.c, and the pages of find_value. */
#include "base/address.h"
#include "engine/node.h"
#include "kadenza_network_key.h"
#include "lone_node.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  PAGES_MAX = 200 /* queries of a reader */
};

/* What the records of a test have, besides their values. */
struct shape {
  uint32_t max_reply;
  bool is_sealed;
  size_t salt_len;
  bool is_signed;
  int64_t seq;
};

static struct kad_lone lone_node;
static uint8_t value_bytes[KAD_VALUE_MAX + 1];
static uint8_t salt_bytes[KAD_SALT_MAX];

static int end(void **state) {
  (void)state;
  kad_lone_close(&lone_node);
  return 0;
}

static const struct kad_network_keys keys = {.keys = {{1}}, .count = 1};

static void open_node(uint32_t max_reply, unsigned id_bits, bool is_sealed) {
  struct kad_config config;
  kad_config_default(&config);
  config.id_bits = id_bits;
  config.max_reply = max_reply;
  config.network_keys = is_sealed ? &keys : NULL;
  kad_lone_open(&lone_node, &config);
  if (max_reply > 1452) {
    const struct kad_type type = {
        .name = "value",
        .max_size = (uint32_t)kad_node_value_room(lone_node.node),
    };
    const struct kad_policy policy = {.types = &type, .type_count = 1};
    assert_ok(kad_node_set_policy(lone_node.node, &policy));
  }
}

/* Stores a record with a value of `len` bytes. Returns the code of the error,
 * or 0. */
static int store(const struct kad_contact *from, const struct shape *shape,
                 size_t len) {
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const uint8_t seed[32] = {1};
  struct kad_record record = {
      .key = kad_lone_target,
      .type = kad_slice_of("value"),
      .value = {value_bytes, len},
      .salt = {salt_bytes, shape->salt_len},
      .has_seq = shape->is_signed,
      .seq = shape->seq,
  };
  if (shape->is_signed) {
    kad_keypair(seed, publisher, secret);
    record.publisher = publisher;
    record.signature = signature;
    assert_int_equal(kad_record_sign(&record, 160, secret, signature), 0);
  }
  kad_lone_store(&lone_node, from, &record, 1);
  return kad_lone_error(&lone_node);
}

/* Reads all records as a node does: from an address that is not proven, and
 * with the token of the first reply after that. Returns their number, and
 * whether there is one of `len` bytes. */
static size_t read_all(size_t len, bool *found) {
  const struct kad_contact reader = kad_lone_contact(2);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message query;
  struct kad_message reply;
  size_t count = 0;
  *found = false;
  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  for (unsigned page = 0; page < PAGES_MAX; page++) {
    kad_lone_send(&lone_node, &reader, &query);
    (void)kad_lone_reply(&lone_node, &reply);
    for (size_t i = 0; i < reply.record_count; i++) {
      *found = *found || reply.records[i].value.len == len;
    }
    count += reply.record_count;
    const uint32_t next =
        reply.has_next ? reply.next : query.skip + (uint32_t)reply.record_count;
    if (!reply.has_total || next >= reply.total) {
      return count;
    }
    query.skip = next;
    memcpy(token, reply.token.data, reply.token.len);
    query.token = (struct kad_slice){token, reply.token.len};
  }
  fail_msg("more than %d pages", PAGES_MAX);
  return 0;
}

/* Returns the largest value that is accepted. Each one that is must be read,
 * and so must a small value under the same key. */
static size_t check_sizes(const struct shape *shape, unsigned id_bits) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct shape plain = {0};
  size_t least = 0;
  /* A longer store would not be read. */
  size_t most = shape->max_reply > 1500   ? KAD_VALUE_MAX
                : shape->max_reply > 1452 ? 1100
                                          : KAD_ITEM_VALUE_MAX;
  while (least < most) {
    const size_t len = (least + most + 1) / 2;
    bool found = false;
    open_node(shape->max_reply, id_bits, shape->is_sealed);
    const int code = store(&from, shape, len);
    assert_int_equal(store(&from, &plain, 5), 0);
    const size_t count = read_all(len, &found);
    kad_lone_close(&lone_node);
    if (code == 0) {
      assert_true(found);
      assert_int_equal(count, 2);
      least = len;
    } else {
      assert_int_equal(code, KAD_CODE_TOO_BIG);
      assert_int_equal(count, 1);
      most = len - 1;
    }
  }
  return least;
}

static void check_shape(uint32_t max_reply, size_t salt_len,
                        const int64_t *seq) {
  const struct shape shape = {
      .max_reply = max_reply,
      .salt_len = salt_len,
      .is_signed = seq != NULL,
      .seq = seq != NULL ? *seq : 0,
  };
  const size_t most = check_sizes(&shape, 160);
  assert_in_range(most, max_reply < 600 ? 1 : 80, KAD_VALUE_MAX);
  if (max_reply >= 1452) {
    assert_int_equal(most, max_reply == 1452 ? KAD_ITEM_VALUE_MAX
                           : max_reply < KAD_VALUE_MAX + 452 ? max_reply - 452
                                                             : KAD_VALUE_MAX);
  }
}

static void stored_record_of_any_size_is_read(void **state) {
  static const uint32_t replies[] = {512, 600, 1000, 1232, 1452, 1500, 8972};
  static const size_t salts[] = {0, 1, 16, 64};
  static const int64_t seqs[] = {0, 1, INT64_MAX, INT64_MIN};
  (void)state;
  for (size_t i = 0; i < 7; i++) {
    for (size_t j = 0; j < 4; j++) {
      check_shape(replies[i], salts[j], NULL);
      for (size_t k = 0; k < 4; k++) {
        check_shape(replies[i], salts[j], &seqs[k]);
      }
    }
  }
  open_node(512, 160, false); /* for the end of the test */
}

static void large_record_does_not_hide_small_ones(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct shape plain = {0};
  const struct shape signed_shape = {
      .salt_len = 16, .is_signed = true, .seq = 1};
  bool found = false;
  (void)state;
  open_node(1452, 160, false);
  assert_int_equal(store(&from, &plain, 5), 0);
  assert_int_equal(store(&from, &signed_shape, 1000), 0);
  for (size_t len = 6; len < 40; len++) {
    assert_int_equal(store(&from, &plain, len), 0);
  }
  assert_int_equal(read_all(5, &found), 36);
  assert_true(found);
  assert_int_equal(read_all(1000, &found), 36);
  assert_true(found);
}

/* No type may promise what no reply has room for. */
static void type_with_larger_values_than_fit_is_refused(void **state) {
  struct kad_type type = {.name = "big", .max_size = KAD_ITEM_VALUE_MAX};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  (void)state;
  open_node(512, 160, false);
  assert_ok(kad_node_set_policy(lone_node.node, &policy));
  kad_lone_close(&lone_node);

  open_node(1453, 160, false);
  type.max_size = 1001;
  assert_int_equal(kad_node_value_room(lone_node.node), 1001);
  assert_ok(kad_node_set_policy(lone_node.node, &policy));
  type.max_size = 1002;
  assert_int_equal(kad_node_set_policy(lone_node.node, &policy), KAD_ETOOBIG);
  kad_lone_close(&lone_node);

  open_node(8972, 160, true);
  type.max_size = KAD_VALUE_MAX;
  assert_ok(kad_node_set_policy(lone_node.node, &policy));
  type.name = "mutable"; /* BEP 44 has a limit of its own */
  assert_int_equal(kad_node_set_policy(lone_node.node, &policy), KAD_EINVAL);
}

/* Datagrams are no longer than without a seal, so that values may have to be
 * shorter. */
static void stored_record_of_any_size_is_read_sealed(void **state) {
  static const uint32_t replies[] = {512, 1232, 1452, 8972};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct shape shape = {.max_reply = replies[i], .is_sealed = true};
    const size_t plain = check_sizes(&shape, 160);
    shape.is_signed = true;
    shape.salt_len = KAD_SALT_MAX;
    shape.seq = INT64_MIN;
    const size_t is_signed = check_sizes(&shape, 160);
    assert_in_range(plain, replies[i] >= 1452 ? KAD_ITEM_VALUE_MAX : 200,
                    KAD_VALUE_MAX);
    assert_in_range(is_signed, replies[i] >= 1452 ? 950 : 30, KAD_VALUE_MAX);
    if (replies[i] == 8972) {
      assert_int_equal(is_signed, KAD_VALUE_MAX);
    }
  }
  open_node(512, 160, true); /* for the end of the test */
}

/* The records were stored when max_reply was larger. */
static void record_too_large_for_a_reply_is_left_out(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct shape plain = {0};
  bool found = false;
  (void)state;
  open_node(1452, 160, false);
  for (size_t len = 10; len <= 1000; len += 90) {
    assert_int_equal(store(&from, &plain, len), 0);
  }
  lone_node.node->config.max_reply = 512;

  assert_int_equal(read_all(280, &found), 4);
  assert_true(found);
  (void)read_all(1000, &found);
  assert_false(found);
}

/* A query from an address that is not proven gets a reply of at most six times
 * its bytes. With a token that was sent there it gets all. */
static void token_in_a_query_proves_the_address(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_contact reader = kad_lone_contact(2);
  const struct shape signed_shape = {
      .salt_len = 64, .is_signed = true, .seq = 1};
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message query;
  struct kad_message reply;
  (void)state;
  open_node(1452, 160, false);
  assert_int_equal(store(&from, &signed_shape, 1000), 0);
  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");

  kad_lone_send(&lone_node, &reader, &query);
  assert_in_range(kad_lone_reply(&lone_node, &reply)->len, 100, 700);
  assert_int_equal(reply.record_count, 0);
  assert_int_equal(reply.total, 1);
  query.token = kad_slice_of("12345678"); /* a wrong one proves nothing */
  kad_lone_send(&lone_node, &reader, &query);
  memcpy(token, reply.token.data, reply.token.len);
  (void)kad_lone_reply(&lone_node, &reply);
  assert_int_equal(reply.record_count, 0);
  memcpy(token, reply.token.data, reply.token.len);
  query.token = (struct kad_slice){token, reply.token.len};
  kad_lone_send(&lone_node, &reader, &query);
  (void)kad_lone_reply(&lone_node, &reply);
  assert_int_equal(reply.record_count, 1);
}

/* A user learns at once that no node could return the record. */
static void put_of_an_unreadable_record_fails(void **state) {
  struct kad_record record = {
      .key = kad_lone_target,
      .type = kad_slice_of("value"),
      .value = {value_bytes, 600},
  };
  (void)state;
  open_node(512, 160, false);
  assert_int_equal(kad_node_publish(lone_node.node, &record, 0), KAD_ETOOBIG);
  record.value.len = 200;
  assert_int_equal(kad_node_publish(lone_node.node, &record, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(stored_record_of_any_size_is_read, end),
      cmocka_unit_test_teardown(type_with_larger_values_than_fit_is_refused,
                                end),
      cmocka_unit_test_teardown(stored_record_of_any_size_is_read_sealed, end),
      cmocka_unit_test_teardown(large_record_does_not_hide_small_ones, end),
      cmocka_unit_test_teardown(record_too_large_for_a_reply_is_left_out, end),
      cmocka_unit_test_teardown(token_in_a_query_proves_the_address, end),
      cmocka_unit_test_teardown(put_of_an_unreadable_record_fails, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
