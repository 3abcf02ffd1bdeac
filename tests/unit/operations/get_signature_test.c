/* Signatures in the replies to a get: a bad one ends its reply, and each is
 * verified once. Tests core/operations/get.c. */
#include "lone_node.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  COUNT = 6
};

struct fixture {
  struct kad_lone lone;
  struct kad_record records[COUNT]; /* signed, of one publisher each */
  uint8_t publishers[COUNT][KAD_PUBLISHER_SIZE];
  uint8_t signatures[COUNT][KAD_SIGNATURE_SIZE];
  unsigned calls;
  size_t found;
  size_t holders;
};

static struct fixture fixture;

static void sign_records(struct fixture *f) {
  for (size_t i = 0; i < COUNT; i++) {
    const uint8_t seed[32] = {1, (uint8_t)i};
    uint8_t secret[KAD_SECRET_SIZE];
    kad_keypair(seed, f->publishers[i], secret);
    f->records[i] = (struct kad_record){
        .key = kad_lone_target,
        .type = kad_slice_of("value"),
        .value = kad_slice_of("signed"),
        .publisher = f->publishers[i],
        .signature = f->signatures[i],
        .has_seq = true,
        .seq = 1,
    };
    assert_ok(kad_record_sign(&f->records[i], 160, secret, f->signatures[i]));
  }
}

static int begin(void **state) {
  memset(&fixture, 0, sizeof fixture);
  kad_lone_open(&fixture.lone, NULL);
  for (unsigned number = 1; number <= 2; number++) {
    const struct kad_contact contact = kad_lone_contact(number);
    kad_lone_add_contact(&fixture.lone, &contact);
    assert_true(kad_lone_knows(&fixture.lone, &contact));
  }
  sign_records(&fixture);
  *state = &fixture;
  return 0;
}

static int end(void **state) {
  struct fixture *f = *state;
  kad_lone_close(&f->lone);
  return 0;
}

static void keep_result(void *data, const struct kad_result *result) {
  struct fixture *f = data;
  f->calls++;
  f->found = result->record_count;
  f->holders = result->holders;
}

static void start_get(struct fixture *f) {
  assert_ok(kad_node_get(f->lone.node, &kad_lone_target, kad_slice_of("value"),
                         NULL, keep_result, f, NULL));
  kad_node_tick(f->lone.node);
}

/* Replies to the latest query to `from` with `count` records, of more. */
static void reply(struct fixture *f, const struct kad_contact *from,
                  size_t count) {
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message query;
  struct kad_message message;
  assert_true(kad_lone_find_query(&f->lone, &from->address, &query));
  kad_message_init(&message, KAD_MESSAGE_REPLY);
  message.transaction = query.transaction;
  message.has_id = true;
  message.id = from->id;
  message.has_total = true;
  message.total = (uint32_t)count;
  message.record_count = count;
  memcpy(message.records, f->records, count * sizeof *f->records);
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  kad_lone_receive(&f->lone, from, (struct kad_slice){bytes, writer.len});
}

static uint32_t failures_of(struct fixture *f, const struct kad_contact *of) {
  struct kad_contact_info contacts[8];
  const size_t count = kad_node_contacts(f->lone.node, contacts, 8);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&contacts[i].contact.id, &of->id)) {
      return contacts[i].failures;
    }
  }
  return UINT32_MAX;
}

static void bad_signature_ends_its_reply(void **state) {
  struct fixture *f = *state;
  const struct kad_contact liar = kad_lone_contact(1);
  const struct kad_contact holder = kad_lone_contact(2);
  start_get(f);

  f->signatures[1][5] ^= 1;
  f->signatures[3][5] ^= 1;
  reply(f, &liar, COUNT);

  assert_int_equal(kad_lone_stats(&f->lone).signatures, 2);
  assert_int_equal(kad_lone_stats(&f->lone).bad_signature, 1);
  assert_int_equal(failures_of(f, &liar), 1);

  f->signatures[1][5] ^= 1;
  f->signatures[3][5] ^= 1;
  reply(f, &holder, COUNT);
  assert_int_equal(failures_of(f, &holder), 0);
  kad_lone_run(&f->lone, 30000);

  assert_int_equal(f->calls, 1);
  assert_int_equal(f->found, COUNT);
  assert_int_equal(kad_lone_stats(&f->lone).bad_signature, 1);
}

static void reply_that_begins_with_a_bad_signature_has_no_value(void **state) {
  struct fixture *f = *state;
  const struct kad_contact liar = kad_lone_contact(1);
  const struct kad_contact holder = kad_lone_contact(2);
  start_get(f);
  reply(f, &holder, 1);
  f->signatures[0][5] ^= 1;
  f->records[0].seq = 2;
  reply(f, &liar, 1);
  kad_lone_run(&f->lone, 30000);

  assert_int_equal(f->calls, 1);
  assert_int_equal(f->found, 1);
  assert_int_equal(f->holders, 1);
}

static void records_of_several_holders_are_verified_once(void **state) {
  struct fixture *f = *state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  start_get(f);
  reply(f, &first, COUNT);
  reply(f, &second, COUNT);
  kad_lone_run(&f->lone, 30000);

  assert_int_equal(f->calls, 1);
  assert_int_equal(f->found, COUNT);
  assert_int_equal(f->holders, 2);
  assert_int_equal(kad_lone_stats(&f->lone).signatures, COUNT);
}

static void second_get_verifies_nothing(void **state) {
  struct fixture *f = *state;
  for (unsigned i = 1; i <= 2; i++) {
    const struct kad_contact first = kad_lone_contact(1);
    const struct kad_contact second = kad_lone_contact(2);
    start_get(f);
    reply(f, &first, COUNT);
    reply(f, &second, COUNT);
    kad_lone_run(&f->lone, 30000);
    assert_int_equal(f->calls, i);
    assert_int_equal(f->found, COUNT);
  }
  assert_int_equal(kad_lone_stats(&f->lone).signatures, COUNT);
  assert_true(kad_lone_stats(&f->lone).signatures_known >= COUNT);
}

static void record_that_comes_again_is_verified_once(void **state) {
  struct fixture *f = *state;
  for (unsigned number = 1; number <= 3; number++) {
    const struct kad_contact from = kad_lone_contact(number);
    kad_lone_store(&f->lone, &from, f->records, COUNT);
    assert_ok(kad_lone_error(&f->lone));
  }
  assert_int_equal(kad_lone_stats(&f->lone).signatures, COUNT);
  assert_int_equal(kad_lone_stats(&f->lone).signatures_known, 2 * COUNT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(bad_signature_ends_its_reply),
      TEST(reply_that_begins_with_a_bad_signature_has_no_value),
      TEST(records_of_several_holders_are_verified_once),
      TEST(second_get_verifies_nothing),
      TEST(record_that_comes_again_is_verified_once),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
