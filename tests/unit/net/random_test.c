#include "net/random.h"

#include "unit.h"

#include <string.h>

enum {
  BYTES = 300
};

static void bytes_do_not_depend_on_how_they_are_drawn(void **state) {
  (void)state;
  struct kad_random at_once;
  struct kad_random in_pieces;
  kad_random_init(&at_once, 5, 1);
  kad_random_init(&in_pieces, 5, 1);
  uint8_t expected[BYTES];
  uint8_t bytes[BYTES];

  kad_random_fill(&at_once, expected, sizeof expected);
  for (size_t i = 0; i < BYTES; i += 3) {
    kad_random_fill(&in_pieces, bytes + i, 3);
  }

  assert_memory_equal(bytes, expected, BYTES);
}

static void streams_and_seeds_differ(void **state) {
  (void)state;
  const uint64_t names[][2] = {{5, 1}, {5, 2}, {6, 1}, {1, 5}};
  uint8_t bytes[4][32];

  for (size_t i = 0; i < 4; i++) {
    struct kad_random random;
    kad_random_init(&random, names[i][0], names[i][1]);
    kad_random_fill(&random, bytes[i], sizeof bytes[i]);
  }

  for (size_t i = 0; i < 4; i++) {
    for (size_t j = 0; j < i; j++) {
      assert_memory_not_equal(bytes[i], bytes[j], sizeof bytes[i]);
    }
  }
}

static void numbers_are_bytes_in_one_order(void **state) {
  (void)state;
  struct kad_random numbers;
  struct kad_random bytes;
  kad_random_init(&numbers, 5, 1);
  kad_random_init(&bytes, 5, 1);
  uint8_t expected[8];
  kad_random_fill(&bytes, expected, sizeof expected);

  const uint64_t number = kad_random_next(&numbers);

  for (size_t i = 0; i < sizeof expected; i++) {
    assert_int_equal((uint8_t)(number >> (8 * i)), expected[i]);
  }
}

static void every_bit_is_set_about_half_the_time(void **state) {
  (void)state;
  struct kad_random random;
  kad_random_init(&random, 5, 1);
  unsigned set[64] = {0};

  for (unsigned i = 0; i < 10000; i++) {
    const uint64_t number = kad_random_next(&random);
    for (unsigned bit = 0; bit < 64; bit++) {
      set[bit] += (unsigned)(number >> bit & 1);
    }
  }

  for (unsigned bit = 0; bit < 64; bit++) {
    assert_in_range(set[bit], 4700, 5300); /* six standard deviations */
  }
}

static void secret_streams_differ_each_time(void **state) {
  (void)state;
  struct kad_random first;
  struct kad_random second;
  uint8_t a[32] = {0};
  uint8_t b[32] = {0};
  assert_ok(kad_random_start());

  kad_random_init_secret(&first);
  kad_random_init_secret(&second);
  kad_random_fill(&first, a, sizeof a);
  kad_random_fill(&second, b, sizeof b);

  assert_memory_not_equal(a, b, sizeof a);
}

static void secret_streams_forget_what_they_gave(void **state) {
  (void)state;
  struct kad_random random;
  uint8_t given[KAD_RANDOM_BLOCK_SIZE];
  assert_ok(kad_random_start());
  kad_random_init_secret(&random);
  kad_random_fill(&random, given, sizeof given);

  struct kad_random again = random;
  for (again.blocks = 0; again.blocks < 4;) {
    uint8_t drawn[KAD_RANDOM_BLOCK_SIZE];
    kad_random_fill(&again, drawn, sizeof drawn);
    assert_memory_not_equal(drawn, given, sizeof given / 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_do_not_depend_on_how_they_are_drawn),
      cmocka_unit_test(streams_and_seeds_differ),
      cmocka_unit_test(numbers_are_bytes_in_one_order),
      cmocka_unit_test(every_bit_is_set_about_half_the_time),
      cmocka_unit_test(secret_streams_differ_each_time),
      cmocka_unit_test(secret_streams_forget_what_they_gave),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
