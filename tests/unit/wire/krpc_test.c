/* Encodes and decodes random messages, whole, truncated and damaged.
 * KAD_TEST_SEED sets the seed. */
#include "wire/krpc.h"

#include "unit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
  MESSAGES = 2000,
  CUT_MESSAGES = 40,
  DAMAGES = 20000,
  DATAGRAM_MAX = 32768,
  POOL_SIZE = 2048
};

/* The bytes that slices of random messages borrow. */
static uint8_t pool[POOL_SIZE];
static uint64_t random_state;

/* SplitMix64. */
static uint64_t next(void) {
  random_state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static size_t up_to(size_t most) {
  return (size_t)(next() % (most + 1));
}

static bool chance(void) {
  return next() % 2 == 0;
}

static int seed_random(void **state) {
  (void)state;
  const char *text = getenv("KAD_TEST_SEED");
  random_state = text != NULL ? strtoull(text, NULL, 0) : 20260101;
  print_message("# seed: %" PRIu64 "\n", random_state);
  for (size_t i = 0; i < sizeof pool; i++) {
    pool[i] = (uint8_t)next();
  }
  return 0;
}

/* ------------------------------------------------------ random messages -- */

static const uint8_t *any_bytes(size_t len) {
  return pool + up_to(sizeof pool - len);
}

static struct kad_slice any_slice(size_t min, size_t max) {
  size_t len = min + up_to(max - min);
  return (struct kad_slice){any_bytes(len), len};
}

static void any_id(size_t id_size, struct kad_id *id) {
  memset(id, 0, sizeof *id);
  memcpy(id->bytes, any_bytes(id_size), id_size);
}

static struct kad_address any_address(uint8_t family) {
  struct kad_address address = {.family = family,
                                .port = (uint16_t)(1 + up_to(65534))};
  memcpy(address.ip, any_bytes(16), family == 4 ? 4 : 16);
  return address;
}

static void any_records(struct kad_message *message, size_t min) {
  message->record_count = min + up_to(KAD_RECORDS_PER_MESSAGE - min);
  for (size_t i = 0; i < message->record_count; i++) {
    bool is_signed = chance();
    struct kad_record *record = &message->records[i];
    *record = (struct kad_record){
        .key = message->target,
        .type = message->type,
        .value = any_slice(0, 300),
        .salt = any_slice(0, KAD_SALT_MAX),
        .publisher = is_signed ? any_bytes(KAD_PUBLISHER_SIZE) : NULL,
        .signature = is_signed ? any_bytes(KAD_SIGNATURE_SIZE) : NULL,
        .has_seq = chance(),
        .ttl = chance() ? (uint32_t)next() : 0,
    };
    record->seq = record->has_seq ? (int64_t)next() : 0;
  }
}

static void any_query(struct kad_message *message, size_t id_size) {
  enum kad_method_id method =
      (enum kad_method_id)(KAD_METHOD_PING + up_to(KAD_METHOD_STORE - 1));
  bool announces = method == KAD_METHOD_ANNOUNCE_PEER;
  bool stores = method == KAD_METHOD_STORE;
  bool finds = !announces && !stores && method != KAD_METHOD_PING;
  message->method = method;
  message->name = kad_method_name(method);
  message->read_only = chance();
  message->has_target = method != KAD_METHOD_PING;
  if (message->has_target) {
    any_id(id_size, &message->target);
  }
  message->want4 = finds && chance();
  message->want6 = finds && chance();
  message->implied_port = announces && chance();
  message->has_port = announces;
  message->port = announces ? (uint16_t)(1 + up_to(65534)) : 0;
  if (announces || stores) {
    message->token = any_slice(0, KAD_TOKEN_MAX);
  }
  if (stores || method == KAD_METHOD_FIND_VALUE) {
    message->type = any_slice(1, KAD_TYPE_NAME_MAX);
  }
  if (method == KAD_METHOD_FIND_VALUE) {
    message->skip = chance() ? (uint32_t)next() : 0;
  }
  if (stores) {
    message->has_ttl = chance();
    message->ttl = message->has_ttl ? (uint32_t)next() : 0;
    any_records(message, 1);
  }
}

/* Decoding a reply returns the IPv4 contacts first. */
static void any_contacts(struct kad_message *message, size_t id_size) {
  message->has_nodes = chance();
  message->has_nodes6 = chance();
  size_t count4 = message->has_nodes ? up_to(KAD_MESSAGE_CONTACTS / 2) : 0;
  size_t count6 = message->has_nodes6 ? up_to(KAD_MESSAGE_CONTACTS / 2) : 0;
  message->contact_count = count4 + count6;
  for (size_t i = 0; i < message->contact_count; i++) {
    any_id(id_size, &message->contacts[i].id);
    message->contacts[i].address = any_address(i < count4 ? 4 : 6);
  }
}

static void any_reply(struct kad_message *message, size_t id_size) {
  any_contacts(message, id_size);
  message->token = any_slice(0, KAD_TOKEN_MAX);
  message->has_next = chance();
  message->next = message->has_next ? (uint32_t)next() : 0;
  message->has_total = chance();
  message->total = message->has_total ? (uint32_t)next() : 0;
  message->has_stored = chance();
  message->stored = message->has_stored ? (uint32_t)next() : 0;
  if (chance()) {
    any_records(message, 0);
  } else {
    message->peer_count = up_to(KAD_MESSAGE_PEERS);
  }
  for (size_t i = 0; i < message->peer_count; i++) {
    message->peers[i] = any_address(chance() ? 4 : 6);
  }
  message->error_count = up_to(KAD_MESSAGE_ERRORS);
  for (size_t i = 0; i < message->error_count; i++) {
    message->errors[i] = (struct kad_record_error){
        (uint32_t)next(), (int)(uint16_t)next(), any_slice(0, 40)};
  }
}

static void any_message(struct kad_message *message, size_t id_size) {
  enum kad_message_kind kind = (enum kad_message_kind)up_to(2);
  kad_message_init(message, kind);
  message->transaction = any_slice(1, KAD_TRANSACTION_MAX);
  message->version = any_slice(0, 8);
  if (kind == KAD_MESSAGE_ERROR) {
    message->code = (int)(int32_t)(uint32_t)next();
    message->text = any_slice(0, 100);
  } else {
    message->has_id = true;
    any_id(id_size, &message->id);
  }
  if (kind == KAD_MESSAGE_QUERY) {
    any_query(message, id_size);
  } else if (chance()) {
    message->observed = any_address(chance() ? 4 : 6);
  }
  if (kind == KAD_MESSAGE_REPLY) {
    any_reply(message, id_size);
  }
}

/* ----------------------------------------------------------- comparison -- */

static void assert_same_slice(struct kad_slice a, struct kad_slice b) {
  assert_int_equal(a.len, b.len);
  assert_true(kad_slice_equal(a, b));
}

static void assert_same_bytes(const uint8_t *a, const uint8_t *b, size_t len) {
  assert_int_equal(a == NULL, b == NULL);
  if (a != NULL) {
    assert_memory_equal(a, b, len);
  }
}

static void assert_same_record(const struct kad_record *a,
                               const struct kad_record *b) {
  assert_true(kad_id_equal(&a->key, &b->key));
  assert_same_slice(a->type, b->type);
  assert_same_slice(a->value, b->value);
  assert_same_slice(a->salt, b->salt);
  assert_same_bytes(a->publisher, b->publisher, KAD_PUBLISHER_SIZE);
  assert_same_bytes(a->signature, b->signature, KAD_SIGNATURE_SIZE);
  assert_int_equal(a->has_seq, b->has_seq);
  assert_true(a->seq == b->seq);
  assert_int_equal(a->ttl, b->ttl);
}

static void assert_same_envelope(const struct kad_message *a,
                                 const struct kad_message *b) {
  assert_int_equal(a->kind, b->kind);
  assert_same_slice(a->transaction, b->transaction);
  assert_same_slice(a->version, b->version);
  assert_true(kad_address_equal(&a->observed, &b->observed));
  assert_int_equal(a->read_only, b->read_only);
  assert_int_equal(a->has_id, b->has_id);
  assert_true(kad_id_equal(&a->id, &b->id));
  assert_int_equal(a->code, b->code);
  assert_same_slice(a->text, b->text);
}

static void assert_same_query(const struct kad_message *a,
                              const struct kad_message *b) {
  assert_int_equal(a->method, b->method);
  assert_same_slice(a->name, b->name);
  assert_int_equal(a->has_target, b->has_target);
  assert_true(kad_id_equal(&a->target, &b->target));
  assert_int_equal(a->want4, b->want4);
  assert_int_equal(a->want6, b->want6);
  assert_int_equal(a->implied_port, b->implied_port);
  assert_int_equal(a->has_port, b->has_port);
  assert_int_equal(a->port, b->port);
  assert_int_equal(a->skip, b->skip);
  assert_same_slice(a->type, b->type);
  assert_int_equal(a->has_ttl, b->has_ttl);
  assert_int_equal(a->ttl, b->ttl);
}

static void assert_same_lists(const struct kad_message *a,
                              const struct kad_message *b) {
  assert_int_equal(a->record_count, b->record_count);
  for (size_t i = 0; i < a->record_count; i++) {
    assert_same_record(&a->records[i], &b->records[i]);
  }
  assert_int_equal(a->contact_count, b->contact_count);
  for (size_t i = 0; i < a->contact_count; i++) {
    assert_true(kad_id_equal(&a->contacts[i].id, &b->contacts[i].id));
    assert_true(
        kad_address_equal(&a->contacts[i].address, &b->contacts[i].address));
  }
  assert_int_equal(a->peer_count, b->peer_count);
  for (size_t i = 0; i < a->peer_count; i++) {
    assert_true(kad_address_equal(&a->peers[i], &b->peers[i]));
  }
  assert_int_equal(a->error_count, b->error_count);
  for (size_t i = 0; i < a->error_count; i++) {
    assert_int_equal(a->errors[i].index, b->errors[i].index);
    assert_int_equal(a->errors[i].code, b->errors[i].code);
    assert_same_slice(a->errors[i].reason, b->errors[i].reason);
  }
}

static void assert_same_message(const struct kad_message *a,
                                const struct kad_message *b) {
  assert_same_envelope(a, b);
  assert_same_query(a, b);
  assert_same_slice(a->token, b->token);
  assert_int_equal(a->malformed, b->malformed);
  assert_int_equal(a->has_nodes, b->has_nodes);
  assert_int_equal(a->has_nodes6, b->has_nodes6);
  assert_int_equal(a->has_next, b->has_next);
  assert_int_equal(a->next, b->next);
  assert_int_equal(a->has_total, b->has_total);
  assert_int_equal(a->total, b->total);
  assert_int_equal(a->has_stored, b->has_stored);
  assert_int_equal(a->stored, b->stored);
  assert_same_lists(a, b);
}

/* ---------------------------------------------------------------- tests -- */

static uint8_t datagram[DATAGRAM_MAX];

static size_t write_any_message(struct kad_message *message, size_t id_size) {
  struct kad_writer writer = {.data = datagram, .cap = sizeof datagram};
  any_message(message, id_size);
  assert_ok(kad_krpc_encode(NULL, message, id_size, &writer));
  return writer.len;
}

/* Decodes a copy that ends at the end of its memory, so that a sanitizer finds
 * a read past it. */
static int decode_exactly(size_t len) {
  struct kad_message message;
  uint8_t *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, datagram, len);
  int status =
      kad_krpc_decode(NULL, (struct kad_slice){copy, len}, 20, &message);
  free(copy);
  return status;
}

static void written_messages_are_read_back(void **state) {
  (void)state;
  for (unsigned i = 0; i < MESSAGES; i++) {
    struct kad_message written;
    struct kad_message read;
    size_t id_size = chance() ? 20 : 32;
    size_t len = write_any_message(&written, id_size);
    memset(&read, 0xff, sizeof read);

    assert_ok(kad_krpc_decode(NULL, (struct kad_slice){datagram, len}, id_size,
                              &read));

    assert_same_message(&written, &read);
  }
}

static void truncated_messages_are_refused(void **state) {
  (void)state;
  for (unsigned i = 0; i < CUT_MESSAGES; i++) {
    struct kad_message message;
    size_t len = write_any_message(&message, 20);
    assert_ok(decode_exactly(len));
    for (size_t cut = 0; cut < len; cut++) {
      assert_int_equal(decode_exactly(cut), KAD_EMALFORMED);
    }
  }
}

static void damaged_messages_are_read_or_refused(void **state) {
  (void)state;
  struct kad_message message;
  size_t len = 0;
  size_t refused = 0;
  for (unsigned i = 0; i < DAMAGES; i++) {
    if (i % 100 == 0) {
      len = write_any_message(&message, 20);
    }
    size_t place = up_to(len - 1);
    uint8_t before = datagram[place];
    datagram[place] =
        chance() ? (uint8_t)next() : (uint8_t) "0:deil-9"[next() % 8];

    int status = decode_exactly(len);

    assert_true(status == 0 || status == KAD_EMALFORMED);
    refused += status != 0;
    datagram[place] = before;
  }
  assert_true(refused > 0 && refused < DAMAGES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(written_messages_are_read_back, seed_random),
      cmocka_unit_test_setup(truncated_messages_are_refused, seed_random),
      cmocka_unit_test_setup(damaged_messages_are_read_or_refused, seed_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
