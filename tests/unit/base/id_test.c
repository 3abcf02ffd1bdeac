#include "base/id.h"

#include "unit.h"

#include <string.h>

static struct kad_id id_of(const char *hex) {
  struct kad_id id;
  unsigned bits;
  assert_ok(kad_id_parse(kad_slice_of(hex), &id, &bits));
  return id;
}

/* An id of zeros with one bit set. */
static struct kad_id bit_id(unsigned index) {
  struct kad_id id = {0};
  id.bytes[index / 8] = (uint8_t)(0x80U >> index % 8);
  return id;
}

/* A pseudorandom sequence that can be repeated. */
static struct kad_id next_id(uint64_t *seed) {
  struct kad_id id;
  for (size_t i = 0; i < sizeof id.bytes; i++) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    id.bytes[i] = (uint8_t)(*seed >> 56);
  }
  return id;
}

/* The definition of the distance, byte by byte. */
static int compare_bytes(const struct kad_id *target, const struct kad_id *a,
                         const struct kad_id *b) {
  for (size_t i = 0; i < KAD_ID_SIZE; i++) {
    const int distance_a = target->bytes[i] ^ a->bytes[i];
    const int distance_b = target->bytes[i] ^ b->bytes[i];
    if (distance_a != distance_b) {
      return distance_a < distance_b ? -1 : 1;
    }
  }
  return 0;
}

static int sign(int value) {
  return (value > 0) - (value < 0);
}

static void compares_distances_as_their_bytes(void **state) {
  (void)state;
  uint64_t seed = 1;
  for (unsigned i = 0; i < 1000; i++) {
    const struct kad_id target = next_id(&seed);
    const struct kad_id a = next_id(&seed);
    struct kad_id b = a;
    b.bytes[i % KAD_ID_SIZE] ^= (uint8_t)(i / 4);

    assert_int_equal(sign(kad_id_compare(&target, &a, &b)),
                     compare_bytes(&target, &a, &b));
    assert_int_equal(sign(kad_id_compare(&target, &b, &a)),
                     compare_bytes(&target, &b, &a));
  }
}

static void is_closest_to_itself(void **state) {
  (void)state;
  uint64_t seed = 2;
  const struct kad_id id = next_id(&seed);
  const struct kad_id other = next_id(&seed);

  assert_true(kad_id_compare(&id, &id, &other) < 0);
  assert_int_equal(kad_id_compare(&other, &id, &id), 0);
}

static void counts_the_bits_that_two_ids_share(void **state) {
  (void)state;
  const struct kad_id zero = {0};
  for (unsigned i = 0; i < 256; i++) {
    const struct kad_id id = bit_id(i);
    assert_int_equal(kad_id_prefix(&zero, &id), i);
  }
  assert_int_equal(kad_id_prefix(&zero, &zero), 256);
}

static void only_the_same_id_is_equal(void **state) {
  (void)state;
  const struct kad_id zero = {0};
  const struct kad_id last = bit_id(255);

  assert_true(kad_id_equal(&zero, &zero));
  assert_false(kad_id_equal(&zero, &last));
}

static void gives_words_and_bits_in_order(void **state) {
  (void)state;
  const struct kad_id id = id_of("0102030405060708"
                                 "8000000000000001"
                                 "0000000000000000"
                                 "ffffffffffffffff");

  assert_true(kad_id_word(&id, 0) == UINT64_C(0x0102030405060708));
  assert_true(kad_id_word(&id, 1) == UINT64_C(0x8000000000000001));
  assert_true(kad_id_word(&id, 3) == UINT64_MAX);
  assert_true(kad_id_bit(&id, 7));
  assert_false(kad_id_bit(&id, 8));
  assert_true(kad_id_bit(&id, 64));
  assert_true(kad_id_bit(&id, 255));
}

static void reads_what_it_writes(void **state) {
  (void)state;
  const char *texts[] = {
      "0123456789abcdef0123456789abcdef01234567",
      "00000000000000000000000000000000000000000000000000000000000000ff",
  };
  for (size_t i = 0; i < 2; i++) {
    struct kad_id id;
    unsigned bits = 0;
    char text[65];
    memset(text, 'x', sizeof text);

    assert_ok(kad_id_parse(kad_slice_of(texts[i]), &id, &bits));
    kad_id_format(&id, bits, text);

    assert_int_equal(bits, i == 0 ? 160 : 256);
    assert_string_equal(text, texts[i]);
  }
}

static void short_ids_end_in_zeros(void **state) {
  (void)state;
  static const uint8_t zeros[12] = {0};
  const struct kad_id id = id_of("FFffFFffFFffFFffFFffFFffFFffFFffFFffFFff");

  assert_int_equal(id.bytes[19], 0xff);
  assert_memory_equal(&id.bytes[20], zeros, sizeof zeros);
}

static void rejects_other_text(void **state) {
  (void)state;
  const char *texts[] = {
      "",
      "00",
      "0123456789abcdef0123456789abcdef0123456",
      "0123456789abcdef0123456789abcdef012345678",
      "0123456789abcdef0123456789abcdef0123456g",
      "0123456789abcdef0123456789abcdef0123456 ",
      "0x23456789abcdef0123456789abcdef01234567",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct kad_id id = {{42}};
    unsigned bits = 7;

    assert_int_equal(kad_id_parse(kad_slice_of(texts[i]), &id, &bits),
                     KAD_EINVAL);
    assert_int_equal(id.bytes[0], 42);
    assert_int_equal(bits, 7);
  }
}

/* Source: BLAKE2b of "abc" with digests of 20 and 32 bytes, as b2sum gives. */
static void hashes_names_with_blake2b(void **state) {
  (void)state;
  struct kad_id id;
  char text[65];

  kad_id_hash(kad_slice_of("abc"), 160, &id);
  kad_id_format(&id, 160, text);
  assert_string_equal(text, "384264f676f39536840523f284921cdc68b6846b");
  assert_int_equal(id.bytes[20], 0);

  kad_id_hash(kad_slice_of("abc"), 256, &id);
  kad_id_format(&id, 256, text);
  assert_string_equal(
      text, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void hashes_an_empty_name(void **state) {
  (void)state;
  struct kad_id none;
  struct kad_id empty;

  kad_id_hash((struct kad_slice){NULL, 0}, 160, &none);
  kad_id_hash(kad_slice_of(""), 160, &empty);

  assert_true(kad_id_equal(&none, &empty));
}

/* A caller's buffer has room for 64 digits only. */
static void no_other_width_is_written(void **state) {
  static const unsigned widths[] = {0, 1, 159, 255, 264, 4096, UINT32_MAX};
  const struct kad_id full = {{1, 2, 3}};
  (void)state;
  for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
    char text[65] = "untouched";
    struct kad_id id = full;
    kad_id_format(&full, widths[i], text);
    assert_string_equal(text, "");
    kad_id_hash(kad_slice_of("abc"), widths[i], &id);
    assert_true(kad_id_equal(&id, &(struct kad_id){{0}}));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(compares_distances_as_their_bytes),
      cmocka_unit_test(is_closest_to_itself),
      cmocka_unit_test(counts_the_bits_that_two_ids_share),
      cmocka_unit_test(only_the_same_id_is_equal),
      cmocka_unit_test(gives_words_and_bits_in_order),
      cmocka_unit_test(reads_what_it_writes),
      cmocka_unit_test(short_ids_end_in_zeros),
      cmocka_unit_test(rejects_other_text),
      cmocka_unit_test(hashes_names_with_blake2b),
      cmocka_unit_test(hashes_an_empty_name),
      cmocka_unit_test(no_other_width_is_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
