#include "wire/seal.h"

#include "unit.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

enum {
  DATAGRAM_MAX = 1500
};

static const struct kad_network_keys both = {.keys = {{1}, {2}}, .count = 2};
static const struct kad_network_keys old = {.keys = {{2}}, .count = 1};
static const struct kad_network_keys other = {.keys = {{3}}, .count = 1};
static const uint8_t nonce[KAD_SEAL_NONCE_SIZE] = "nonce of twenty-four by";

/* A sealed datagram. */
struct sealed {
  uint8_t bytes[DATAGRAM_MAX];
  size_t len;
};

static struct kad_seal seal_of(const struct kad_network_keys *keys) {
  struct kad_seal seal;
  kad_seal_init(&seal, keys);
  return seal;
}

static void write(const struct kad_network_keys *keys, const char *text,
                  struct sealed *sealed) {
  const struct kad_seal seal = seal_of(keys);
  const struct kad_slice message = kad_slice_of(text);
  kad_seal_write(&seal, nonce, 1000, message, sealed->bytes);
  sealed->len = message.len + KAD_SEAL_OVERHEAD;
}

/* Returns whether `keys` open `sealed`. */
static bool opens(const struct kad_network_keys *keys,
                  const struct sealed *sealed, struct kad_opened *opened) {
  static uint8_t room[DATAGRAM_MAX];
  const struct kad_seal seal = seal_of(keys);
  const int error = kad_seal_open(
      &seal, (struct kad_slice){sealed->bytes, sealed->len}, room, opened);
  assert_true(error == 0 || error == KAD_EMALFORMED);
  return error == 0;
}

static void what_is_sealed_is_opened(void **state) {
  struct sealed sealed;
  struct kad_opened opened;
  (void)state;
  write(&both, "hello", &sealed);
  assert_true(opens(&both, &sealed, &opened));
  assert_int_equal(opened.time_s, 1000);
  assert_true(kad_slice_equal(opened.message, kad_slice_of("hello")));
}

static void each_key_opens_and_the_first_one_seals(void **state) {
  struct sealed sealed;
  struct kad_opened opened;
  (void)state;
  write(&old, "hello", &sealed);
  assert_true(opens(&both, &sealed, &opened));
  assert_false(opens(&other, &sealed, &opened));
  write(&both, "hello", &sealed);
  assert_false(opens(&old, &sealed, &opened));
}

static void every_bit_and_the_length_are_protected(void **state) {
  struct sealed sealed;
  struct kad_opened opened;
  (void)state;
  write(&old, "hello", &sealed);
  for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
    sealed.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    assert_false(opens(&old, &sealed, &opened));
    sealed.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
  }
  const size_t len = sealed.len;
  for (sealed.len = 0; sealed.len < len; sealed.len++) {
    assert_false(opens(&old, &sealed, &opened));
  }
  sealed.bytes[len] = 0;
  sealed.len = len + 1;
  assert_false(opens(&old, &sealed, &opened));
  sealed.len = len;
  assert_true(opens(&old, &sealed, &opened));
}

/* Two seals of the same message, at the same time with the same key. */
static void no_byte_has_a_pattern(void **state) {
  static const uint8_t other_nonce[KAD_SEAL_NONCE_SIZE] = "another one, 24 by";
  const struct kad_slice message = kad_slice_of("d1:t2:aa1:y1:qe");
  const struct kad_seal seal = seal_of(&old);
  uint8_t a[64];
  uint8_t b[64];
  size_t same = 0;
  (void)state;
  kad_seal_write(&seal, nonce, 1000, message, a);
  kad_seal_write(&seal, other_nonce, 1000, message, b);
  const size_t len = message.len + KAD_SEAL_OVERHEAD;
  for (size_t i = KAD_SEAL_NONCE_SIZE; i < len; i++) {
    same += a[i] == b[i];
  }
  assert_true(same <= 2);
}

static void a_wiped_seal_has_no_key(void **state) {
  struct kad_seal seal = seal_of(&both);
  static const struct kad_seal empty;
  (void)state;
  kad_seal_wipe(&seal);
  assert_memory_equal(&seal, &empty, sizeof seal);
}

/* docs/protocol.md has the value, computed with Python's hashlib. */
static void a_fingerprint_is_derived_from_the_key(void **state) {
  uint8_t key[KAD_NETWORK_KEY_SIZE];
  char text[KAD_FINGERPRINT_SIZE];
  (void)state;
  for (size_t i = 0; i < sizeof key; i++) {
    key[i] = (uint8_t)i;
  }
  kad_network_key_fingerprint(key, text);
  assert_string_equal(text, "aa5250267cbc0da1");
}

static void no_and_too_many_keys_are_refused(void **state) {
  struct kad_network_keys keys = both;
  (void)state;
  assert_true(kad_seal_takes(&keys));
  keys.count = 0;
  assert_false(kad_seal_takes(&keys));
  keys.count = KAD_NETWORK_KEYS_MAX + 1;
  assert_false(kad_seal_takes(&keys));
}

/* Seals the message of a row again, with the nonce of its datagram. */
static void check_written(const struct kad_seal *seal,
                          const struct kad_opened *opened,
                          struct kad_slice datagram) {
  uint8_t again[DATAGRAM_MAX];
  kad_seal_write(seal, datagram.data, opened->time_s, opened->message, again);
  assert_memory_equal(again, datagram.data, datagram.len);
}

static void check_row(char *const *columns) {
  uint8_t bytes[DATAGRAM_MAX];
  uint8_t expected[DATAGRAM_MAX];
  uint8_t room[DATAGRAM_MAX];
  struct kad_network_keys keys = {.count = 1};
  struct kad_opened opened;
  const bool is_open = strcmp(columns[0], "open") == 0;
  const struct kad_slice key =
      kad_vectors_bytes(columns[1], keys.keys[0], KAD_NETWORK_KEY_SIZE);
  assert_int_equal(key.len, KAD_NETWORK_KEY_SIZE);
  const struct kad_slice datagram =
      kad_vectors_bytes(columns[2], bytes, sizeof bytes);
  const struct kad_seal seal = seal_of(&keys);
  assert_int_equal(kad_seal_open(&seal, datagram, room, &opened),
                   is_open ? 0 : KAD_EMALFORMED);
  if (is_open) {
    assert_int_equal(opened.time_s, strtoul(columns[3], NULL, 10));
    assert_true(
        kad_slice_equal(opened.message, kad_vectors_bytes(columns[4], expected,
                                                          sizeof expected)));
    check_written(&seal, &opened, datagram);
  }
}

static void vectors_are_opened_and_written(void **state) {
  struct kad_vectors vectors;
  (void)state;
  kad_vectors_open(&vectors, "sealed.tsv", 6);
  while (kad_vectors_next(&vectors)) {
    check_row(vectors.columns);
  }
  kad_vectors_close(&vectors, 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_sealed_is_opened),
      cmocka_unit_test(each_key_opens_and_the_first_one_seals),
      cmocka_unit_test(every_bit_and_the_length_are_protected),
      cmocka_unit_test(no_byte_has_a_pattern),
      cmocka_unit_test(a_wiped_seal_has_no_key),
      cmocka_unit_test(a_fingerprint_is_derived_from_the_key),
      cmocka_unit_test(no_and_too_many_keys_are_refused),
      cmocka_unit_test(vectors_are_opened_and_written),
  };
  return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
