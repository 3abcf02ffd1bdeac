/* Signatures that were verified before. */
#include "records/verified.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

enum {
  MOST = 16384, /* signatures that are kept */
  BYTES_MAX = 262144
};

struct fixture {
  struct kad_counting_allocator counting;
  struct kad_verified verified;
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
};

static const uint8_t map_secret[KAD_MAP_SECRET_SIZE] = {1, 2, 3};

static struct fixture fixture;

static int begin(void **state) {
  const uint8_t seed[32] = {7};
  kad_counting_init(&fixture.counting);
  kad_verified_init(&fixture.verified, &fixture.counting.allocator, map_secret);
  kad_keypair(seed, fixture.publisher, fixture.secret);
  *state = &fixture;
  return 0;
}

static int end(void **state) {
  struct fixture *f = *state;
  kad_verified_deinit(&f->verified);
  kad_counting_deinit(&f->counting);
  return 0;
}

/* Signs the bytes of `number` and checks the signature. Returns how many
 * verifications that took. */
static uint64_t check(struct fixture *f, uint32_t number) {
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_slice message = {(const uint8_t *)&number, sizeof number};
  const uint64_t before = f->verified.made;
  kad_sign(message, f->secret, signature);
  assert_true(
      kad_verified_check(&f->verified, message, f->publisher, signature));
  return f->verified.made - before;
}

static void signature_is_verified_once(void **state) {
  struct fixture *f = *state;
  assert_int_equal(check(f, 1), 1);
  assert_int_equal(check(f, 1), 0);
  assert_int_equal(check(f, 2), 1);
  assert_int_equal(check(f, 1), 0);
  assert_int_equal(check(f, 2), 0);
  assert_int_equal(f->verified.made, 2);
  assert_int_equal(f->verified.saved, 3);
}

static void bad_signature_is_bad_again(void **state) {
  struct fixture *f = *state;
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_slice message = kad_slice_of("message");
  kad_sign(message, f->secret, signature);
  signature[3] ^= 1;
  for (unsigned i = 1; i <= 3; i++) {
    assert_false(
        kad_verified_check(&f->verified, message, f->publisher, signature));
    assert_int_equal(f->verified.made, i);
  }
  assert_int_equal(f->counting.blocks, 0);
}

/* What is known of a signature holds for its message and its publisher only. */
static void known_signature_is_of_no_use_elsewhere(void **state) {
  struct fixture *f = *state;
  uint8_t signature[KAD_SIGNATURE_SIZE];
  uint8_t other[KAD_PUBLISHER_SIZE];
  const struct kad_slice message = kad_slice_of("message");
  kad_sign(message, f->secret, signature);
  assert_true(
      kad_verified_check(&f->verified, message, f->publisher, signature));

  memcpy(other, f->publisher, sizeof other);
  other[31] ^= 1;
  assert_false(kad_verified_check(&f->verified, message, other, signature));
  assert_false(kad_verified_check(&f->verified, kad_slice_of("messagf"),
                                  f->publisher, signature));
  assert_false(kad_verified_check(&f->verified, kad_slice_of("messag"),
                                  f->publisher, signature));
  assert_int_equal(f->verified.saved, 0);
}

static void hundreds_are_remembered(void **state) {
  struct fixture *f = *state;
  uint64_t again = 0;
  for (uint32_t i = 0; i < 400; i++) {
    assert_int_equal(check(f, i), 1);
  }
  for (uint32_t i = 0; i < 400; i++) {
    again += check(f, i);
  }
  assert_int_equal(again, 0);
}

static void memory_is_bounded_and_the_latest_are_kept(void **state) {
  struct fixture *f = *state;
  uint64_t again = 0;
  for (uint32_t i = 0; i < MOST + 4000; i++) {
    (void)check(f, i);
  }
  assert_true(f->counting.bytes <= BYTES_MAX);
  for (uint32_t i = MOST + 3000; i < MOST + 4000; i++) {
    again += check(f, i);
  }
  assert_true(again < 50); /* a set may be full before the others */
}

static void nothing_is_remembered_without_memory(void **state) {
  struct fixture *f = *state;
  kad_counting_fail_at(&f->counting, 0);
  assert_int_equal(check(f, 1), 1);
  kad_counting_never_fail(&f->counting);
  assert_int_equal(check(f, 1), 1);
  assert_int_equal(check(f, 1), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(signature_is_verified_once),
      TEST(bad_signature_is_bad_again),
      TEST(known_signature_is_of_no_use_elsewhere),
      TEST(hundreds_are_remembered),
      TEST(memory_is_bounded_and_the_latest_are_kept),
      TEST(nothing_is_remembered_without_memory),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
