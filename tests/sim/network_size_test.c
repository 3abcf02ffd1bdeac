/* Estimates of the network size in an overlay.
 *
 * Tests core/lookup/network_size.c. */
#include "lookup/network_size.h"

#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <math.h>

enum {
  WATCHED = 60,
  QUIET = 300,
  SETTLE_MS = 4 * KAD_HOUR_MS
};

static struct kad_overlay overlay;

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

/* Returns true if `value` differs from `truth` by at most three tenths. */
static bool is_about(double value, double truth) {
  return value >= 0.7 * truth && value <= 1.3 * truth;
}

/* Has node `i` look up `keys` keys, one after the other. */
static void look_up(size_t i, unsigned keys) {
  for (unsigned n = 0; n < keys; n++) {
    const struct kad_id key = kad_overlay_key((unsigned)i * 100 + n);
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_find_node(overlay.nodes[i], &key, NULL, kad_ending_done,
                                 &ending, NULL));
    assert_ok(kad_ending_reach(&ending));
    kad_ending_deinit(&ending);
  }
}

/* Fails the test unless nearly all of the first `watched` nodes estimate
 * `size`.
 */
static void check_estimates(size_t size, size_t watched) {
  size_t good = 0;
  double sum = 0;
  for (size_t i = 0; i < watched; i++) {
    const double guess = (double)kad_overlay_stats(&overlay, i).network_size;
    good += is_about(guess, (double)size);
    sum += guess;
  }
  print_message("%zu nodes: mean %.0f, %zu of %zu within 30 %%\n", size,
                sum / (double)watched, good, watched);
  assert_true(fabs(sum / (double)watched - (double)size) <= 0.1 * (double)size);
  assert_true(good * 10 >= watched * 9);
}

static void check_after_lookups(size_t size, uint64_t seed) {
  const size_t watched = size < WATCHED ? size : WATCHED;
  kad_overlay_open(&overlay, seed);
  kad_overlay_grow(&overlay, size);
  for (size_t i = 0; i < watched; i++) {
    look_up(i, KAD_NETWORK_SIZE_SAMPLES);
  }
  check_estimates(size, watched);
}

static void lookups_estimate_the_number_of_nodes(void **state) {
  static const size_t sizes[] = {50, 400, 2000};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    check_after_lookups(sizes[i], 51 + i);
    if (i + 1 < sizeof sizes / sizeof sizes[0]) {
      kad_overlay_close(&overlay);
    }
  }
}

/* A node without users estimates it from the lookups of its join and refreshes.
 */
static void a_node_without_users_estimates_it_from_refreshes(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 54);
  kad_overlay_grow(&overlay, QUIET);
  kad_overlay_run(&overlay, SETTLE_MS);
  check_estimates(QUIET, QUIET);
}

/* Adds the sample of a lookup of key `number` in an overlay of `size` nodes. */
static void add_sample(struct kad_network_size *estimate, unsigned number,
                       double size, kad_time_ms now) {
  const struct kad_id key = kad_overlay_key(number);
  struct kad_id farthest = key;
  const double reach = 8 / size * 4294967296.0;
  const uint32_t flipped = reach < 1 ? 1 : (uint32_t)reach;
  for (size_t i = 0; i < 4; i++) {
    farthest.bytes[i] ^= (uint8_t)(flipped >> (24 - 8 * i));
  }
  const struct kad_network_size_finding finding = {
      .target = &key, .farthest = &farthest, .count = 8, .k = 8};
  kad_network_size_add(estimate, &finding, now);
}

/* New samples replace old ones. */
static void the_estimate_follows_the_overlay(void **state) {
  struct kad_network_size estimate = {.next = 0};
  const kad_time_ms later = 3 * (kad_time_ms)KAD_HOUR_MS;
  (void)state;
  for (unsigned i = 0; i < KAD_NETWORK_SIZE_SAMPLES; i++) {
    add_sample(&estimate, i, 100, 0);
  }
  assert_true(is_about(kad_network_size_estimate(&estimate, later), 100));
  for (unsigned i = 0; i < KAD_NETWORK_SIZE_ENOUGH; i++) {
    add_sample(&estimate, 100 + i, 1000, later);
  }
  assert_true(is_about(kad_network_size_estimate(&estimate, later), 1000));
}

/* Many lookups of one key with sybils around it are one sample. */
static void sybils_around_a_key_do_not_change_the_estimate(void **state) {
  struct kad_network_size estimate = {.next = 0};
  (void)state;
  for (unsigned i = 0; i < 10; i++) {
    add_sample(&estimate, i, 1000, 0);
  }
  const double before = kad_network_size_estimate(&estimate, 0);
  for (unsigned i = 0; i < 1000; i++) {
    add_sample(&estimate, 77, 1e9, 0);
  }
  const double after = kad_network_size_estimate(&estimate, 0);
  assert_true(is_about(before, 1000));
  assert_true(is_about(after, 1000));
}

#define RULE(test) cmocka_unit_test_teardown(test, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(lookups_estimate_the_number_of_nodes),
      RULE(a_node_without_users_estimates_it_from_refreshes),
      cmocka_unit_test(the_estimate_follows_the_overlay),
      cmocka_unit_test(sybils_around_a_key_do_not_change_the_estimate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
