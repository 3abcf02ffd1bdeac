#include "base/address_filter.h"

#include "unit.h"

enum {
  LIFE_MS = 1000,
  START_MS = 5000,
  HOSTS = 200,
  STRANGERS = 20000
};

static struct kad_address_filter filter;

static int begin(void **state) {
  (void)state;
  filter = (struct kad_address_filter){.seed = 42, .life_ms = LIFE_MS};
  return 0;
}

static struct kad_address host(uint32_t number) {
  return (struct kad_address){
      .ip = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
             (uint8_t)(number >> 8), (uint8_t)number},
      .port = 6881,
      .family = 4,
  };
}

static bool has(uint32_t number, kad_time_ms now) {
  const struct kad_address address = host(number);
  return kad_address_filter_has(&filter, &address, now);
}

static void add(uint32_t number, kad_time_ms now) {
  const struct kad_address address = host(number);
  kad_address_filter_add(&filter, &address, now);
}

static void a_new_filter_is_empty(void **state) {
  (void)state;
  for (uint32_t i = 0; i < HOSTS; i++) {
    assert_false(has(i, 0));
    assert_false(has(i, START_MS));
  }
}

/* It does not matter when in a generation the host is added, nor what is added
 * later. */
static void a_host_stays_for_one_to_two_lifetimes(void **state) {
  for (kad_time_ms offset = 0; offset < LIFE_MS; offset += 50) {
    (void)begin(state);
    add(1, START_MS);
    add(2, START_MS + offset);
    for (kad_time_ms later = 0; later < LIFE_MS; later += 100) {
      assert_true(has(2, START_MS + offset + later));
      add(3, START_MS + offset + later);
    }
    assert_false(has(2, START_MS + offset + 2 * (kad_time_ms)LIFE_MS));
    add(3, START_MS + offset + 2 * (kad_time_ms)LIFE_MS);
    assert_false(has(2, START_MS + offset + 2 * (kad_time_ms)LIFE_MS));
  }
}

/* The generations turn although nothing is added. */
static void a_host_leaves_a_filter_to_which_nothing_is_added(void **state) {
  (void)state;
  add(1, START_MS);
  assert_true(has(1, START_MS + LIFE_MS - 1));
  assert_true(has(1, START_MS + LIFE_MS));
  assert_false(has(1, START_MS + 2 * LIFE_MS));
  assert_false(has(1, START_MS + 100 * LIFE_MS));
  add(2, START_MS + 100 * LIFE_MS);
  assert_false(has(1, START_MS + 100 * LIFE_MS));
}

static void ports_do_not_count_and_families_do(void **state) {
  struct kad_address other = host(1);
  (void)state;
  add(1, START_MS);
  other.port = 1;
  other.via = 2;
  assert_true(kad_address_filter_has(&filter, &other, START_MS));
  other.family = 6;
  assert_false(kad_address_filter_has(&filter, &other, START_MS));
}

/* One machine may have all addresses of a /64. */
static void a_host_of_ip6_is_a_network(void **state) {
  struct kad_address address = {.ip = {0x2a, 1, 2, 3}, .port = 1, .family = 6};
  (void)state;
  kad_address_filter_add(&filter, &address, START_MS);
  address.ip[15] = 1;
  assert_true(kad_address_filter_has(&filter, &address, START_MS));
  address.ip[7] = 1;
  assert_false(kad_address_filter_has(&filter, &address, START_MS));
}

/* Returns how many of many hosts are in the filter that were not added. */
static unsigned count_errors(uint64_t seed, unsigned hosts) {
  unsigned errors = 0;
  filter = (struct kad_address_filter){.seed = seed, .life_ms = LIFE_MS};
  for (uint32_t i = 0; i < hosts; i++) {
    add(i, START_MS);
  }
  for (uint32_t i = 0; i < STRANGERS; i++) {
    errors += has(hosts + i, START_MS);
  }
  return errors;
}

static void errors_are_as_few_as_the_head_says(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    assert_true(count_errors(seed, HOSTS) < 3 * STRANGERS / 100);
    assert_true(count_errors(seed, 5 * HOSTS) < 50 * STRANGERS / 100);
  }
}

/* Hosts that look alike with one seed do not with another. */
static void errors_depend_on_the_seed(void **state) {
  unsigned both = 0;
  (void)state;
  (void)count_errors(1, HOSTS);
  const struct kad_address_filter first = filter;
  (void)count_errors(2, HOSTS);
  for (uint32_t i = HOSTS; i < HOSTS + STRANGERS; i++) {
    const struct kad_address address = host(i);
    both +=
        has(i, START_MS) && kad_address_filter_has(&first, &address, START_MS);
  }
  assert_true(both < STRANGERS / 1000);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_new_filter_is_empty),
      TEST(a_host_stays_for_one_to_two_lifetimes),
      TEST(a_host_leaves_a_filter_to_which_nothing_is_added),
      TEST(ports_do_not_count_and_families_do),
      TEST(a_host_of_ip6_is_a_network),
      TEST(errors_are_as_few_as_the_head_says),
      TEST(errors_depend_on_the_seed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
