#include "lookup/dense_key.h"

#include "unit.h"

enum {
  SIZE = 200,
  DRAWS = 20000
};

/* Draws the ids of SIZE nodes at random. Returns the k-th smallest distance to
 * a target, as a share of all distances. */
static double draw_farthest(size_t k, uint64_t *state) {
  double closest[20];
  size_t count = 0;
  for (size_t i = 0; i < SIZE; i++) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    const double distance = (double)(*state >> 11) / 9007199254740992.0;
    size_t place = count < k ? count++ : k;
    for (; place > 0 && distance < closest[place - 1]; place--) {
      if (place < k) {
        closest[place] = closest[place - 1];
      }
    }
    if (place < k) {
      closest[place] = distance;
    }
  }
  return closest[k - 1];
}

static void random_ids_are_dense_once_in_a_thousand_times(void **state) {
  static const size_t widths[] = {4, 8, 20};
  uint64_t random = 1;
  (void)state;
  for (size_t w = 0; w < 3; w++) {
    const struct kad_id target = {.bytes = {0}};
    unsigned dense = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
      struct kad_id id = {.bytes = {0}};
      const double farthest = draw_farthest(widths[w], &random);
      const uint64_t bits = (uint64_t)(farthest * 9007199254740992.0) << 11;
      for (size_t b = 0; b < 8; b++) {
        id.bytes[b] = (uint8_t)(bits >> (56 - 8 * b));
      }
      dense += kad_key_is_dense(&target, &id, widths[w], SIZE);
    }
    print_message("k = %zu: %u of %d\n", widths[w], dense, DRAWS);
    assert_true(dense > 0 && dense * 500 < DRAWS);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_ids_are_dense_once_in_a_thousand_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
