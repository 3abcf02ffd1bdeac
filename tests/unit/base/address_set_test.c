/* Ranges of addresses and sets of them.
 * Tests core/base/address_range.c, core/base/address_set.c. */
#include "base/address_set.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

enum {
  RANGES_MAX = 16,
  RANDOM_RANGES = 200,
  RANDOM_ADDRESSES = 1 << 16
};

static struct kad_counting_allocator counting;

static int begin(void **state) {
  (void)state;
  kad_counting_init(&counting);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_counting_deinit(&counting);
  return 0;
}

static struct kad_address_range range_of(const char *text) {
  struct kad_address_range range;
  assert_ok(kad_address_range_parse(kad_slice_of(text), &range));
  return range;
}

static struct kad_address ip(const char *text) {
  return range_of(text).first;
}

/* Makes a set of texts up to NULL. */
static struct kad_address_set set_of(const char *const *texts) {
  struct kad_address_range ranges[RANGES_MAX];
  struct kad_address_set set;
  size_t count = 0;
  for (; texts[count] != NULL; count++) {
    ranges[count] = range_of(texts[count]);
  }
  assert_ok(kad_address_set_make(ranges, count, &counting.allocator, &set));
  return set;
}

static void assert_span(const char *text, const char *first, const char *last) {
  const struct kad_address_range range = range_of(text);
  const struct kad_address from = ip(first);
  const struct kad_address to = ip(last);
  assert_memory_equal(&range.first, &from, sizeof from);
  assert_memory_equal(&range.last, &to, sizeof to);
}

static void addresses_prefixes_and_ranges_are_read(void **state) {
  (void)state;
  assert_span("80.1.2.3", "80.1.2.3", "80.1.2.3");
  assert_span("80.1.2.3/32", "80.1.2.3", "80.1.2.3");
  assert_span("80.1.2.3/31", "80.1.2.2", "80.1.2.3");
  assert_span("80.1.2.3/24", "80.1.2.0", "80.1.2.255");
  assert_span("80.1.2.3/12", "80.0.0.0", "80.15.255.255");
  assert_span("80.1.2.3/0", "0.0.0.0", "255.255.255.255");
  assert_span("80.1.2.3-80.1.3.1", "80.1.2.3", "80.1.3.1");
  assert_span("80.1.2.3 - 80.1.2.3", "80.1.2.3", "80.1.2.3");
  assert_span("2a00::1", "2a00::1", "2a00::1");
  assert_span("2a00:1:2:3::9/64",
              "2a00:1:2:3::", "2a00:1:2:3:ffff:ffff:ffff:ffff");
  assert_span("2a00::/127", "2a00::", "2a00::1");
  assert_span("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  assert_span("2a00::1-2a00::ff", "2a00::1", "2a00::ff");
}

static void other_texts_are_refused(void **state) {
  static const char *const wrong[] = {
      "",
      " 80.1.2.3",
      "80.1.2",
      "80.1.2.3:6881",
      "80.1.2.256",
      "[2a00::1]",
      "[2a00::1]:5",
      "80.1.2.3/",
      "80.1.2.3/33",
      "80.1.2.3/024",
      "80.1.2.3/-1",
      "80.1.2.3/24/24",
      "80.1.2.3/2a",
      "80.1.2.3/4294967320",
      "2a00::/129",
      "80.1.2.3-",
      "-80.1.2.3",
      "80.1.2.3-80.1.2.2",
      "80.1.2.3-2a00::1",
      "80.1.2.3-80.1.2.9-80.1.2.10",
      "80.1.2.0/24-80.1.3.0/24",
      "host.example",
      "2a00::1%eth0",
      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
  };
  struct kad_address_range range = range_of("80.9.9.9");
  const struct kad_address_range before = range;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(kad_address_range_parse(kad_slice_of(wrong[i]), &range),
                     KAD_EINVAL);
  }
  const struct kad_slice with_zero = {(const uint8_t *)"80.1.2.3\0x", 10};
  assert_int_equal(kad_address_range_parse(with_zero, &range), KAD_EINVAL);
  assert_memory_equal(&range, &before, sizeof range);
}

static void borders_belong_to_a_range(void **state) {
  const char *const texts[] = {"80.1.2.3-80.1.3.5", "2a00::/32", NULL};
  static const char *const in[] = {"80.1.2.3", "80.1.2.255", "80.1.3.5",
                                   "2a00::", "2a00:0:ffff::1"};
  static const char *const out[] = {
      "80.1.2.2", "80.1.3.6",     "0.0.0.0", "255.255.255.255",
      "2a00:1::", "29ff:ffff::1", "::"};
  struct kad_address_set set = set_of(texts);
  (void)state;
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
    const struct kad_address address = ip(in[i]);
    assert_true(kad_address_set_has(&set, &address));
  }
  for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
    const struct kad_address address = ip(out[i]);
    assert_false(kad_address_set_has(&set, &address));
  }
  kad_address_set_deinit(&set, &counting.allocator);
  const struct kad_address address = ip(in[0]);
  assert_false(kad_address_set_has(&set, &address));
}

static void families_are_apart(void **state) {
  const char *const texts[] = {"::/0", NULL};
  struct kad_address_set set = set_of(texts);
  const struct kad_address ip4 = ip("80.1.2.3");
  const struct kad_address none = {0};
  (void)state;
  assert_false(kad_address_set_has(&set, &ip4));
  assert_false(kad_address_set_has(&set, &none));
  kad_address_set_deinit(&set, &counting.allocator);
}

static void ports_do_not_matter(void **state) {
  const char *const texts[] = {"80.1.2.3", NULL};
  struct kad_address_set set = set_of(texts);
  struct kad_address address = ip("80.1.2.3");
  (void)state;
  address.port = 6881;
  address.via = 3;
  assert_true(kad_address_set_has(&set, &address));
  kad_address_set_deinit(&set, &counting.allocator);
}

static void ranges_that_overlap_or_touch_are_merged(void **state) {
  const char *const overlapping[] = {"80.0.0.5-80.0.0.9", "80.0.0.0-80.0.0.5",
                                     "80.0.0.2", "80.0.0.10/31", NULL};
  const char *const touching[] = {"80.0.1.0/24", "80.0.0.0/24", NULL};
  const char *const apart[] = {"80.0.0.0/24", "80.0.1.1", NULL};
  const char *const inside[] = {"0.0.0.0/0", "80.0.0.1", "255.255.255.255",
                                NULL};
  const char *const greatest[] = {"ffff::/16", "::/1", "::1", NULL};
  const struct {
    const char *const *texts;
    size_t family_index;
    size_t count;
  } cases[] = {{overlapping, 0, 1},
               {touching, 0, 1},
               {apart, 0, 2},
               {inside, 0, 1},
               {greatest, 1, 2}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct kad_address_set set = set_of(cases[i].texts);
    assert_int_equal(set.families[cases[i].family_index].count, cases[i].count);
    kad_address_set_deinit(&set, &counting.allocator);
  }
}

/* A small generator: the same numbers in each run. */
static uint32_t draw(uint64_t *state, uint32_t below) {
  *state = *state * 6364136223846793005U + 1442695040888963407U;
  return (uint32_t)(*state >> 33) % below;
}

static struct kad_address small_address(uint32_t number) {
  return (struct kad_address){
      .family = 4, .ip = {80, 0, (uint8_t)(number >> 8), (uint8_t)number}};
}

/* Compares the set with a table of all addresses. */
static void random_ranges_are_found_like_in_a_table(void **state) {
  static struct kad_address_range ranges[RANDOM_RANGES];
  static bool expected[RANDOM_ADDRESSES];
  uint64_t seed = 7;
  struct kad_address_set set;
  (void)state;
  for (size_t i = 0; i < RANDOM_RANGES; i++) {
    const uint32_t first = draw(&seed, RANDOM_ADDRESSES - 300);
    const uint32_t last = first + draw(&seed, 300);
    ranges[i].first = small_address(first);
    ranges[i].last = small_address(last);
    for (uint32_t at = first; at <= last; at++) {
      expected[at] = true;
    }
  }
  assert_ok(
      kad_address_set_make(ranges, RANDOM_RANGES, &counting.allocator, &set));
  for (uint32_t i = 0; i < RANDOM_ADDRESSES; i++) {
    const struct kad_address address = small_address(i);
    assert_int_equal(kad_address_set_has(&set, &address), expected[i]);
  }
  kad_address_set_deinit(&set, &counting.allocator);
}

static void wrong_ranges_are_refused(void **state) {
  struct kad_address_range ranges[2] = {range_of("80.1.2.3"),
                                        range_of("80.1.2.4")};
  struct kad_address_set set = {0};
  (void)state;
  ranges[1].first.family = 6;
  assert_int_equal(kad_address_set_make(ranges, 2, &counting.allocator, &set),
                   KAD_EINVAL);
  ranges[1].first.family = 0;
  assert_int_equal(kad_address_set_make(ranges, 2, &counting.allocator, &set),
                   KAD_EINVAL);
  ranges[1] = range_of("80.1.2.4");
  ranges[1].first.ip[3] = 5;
  assert_int_equal(kad_address_set_make(ranges, 2, &counting.allocator, &set),
                   KAD_EINVAL);
  assert_int_equal(kad_address_set_make(ranges, KAD_RANGES_MAX + 1,
                                        &counting.allocator, &set),
                   KAD_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(addresses_prefixes_and_ranges_are_read),
      TEST(other_texts_are_refused),
      TEST(borders_belong_to_a_range),
      TEST(families_are_apart),
      TEST(ports_do_not_matter),
      TEST(ranges_that_overlap_or_touch_are_merged),
      TEST(random_ranges_are_found_like_in_a_table),
      TEST(wrong_ranges_are_refused),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
