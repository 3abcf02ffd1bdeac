/* For what uv.h needs. */
#define _DEFAULT_SOURCE

#include "net/udp/late_lookups.h"

#include "base/allocator.h"
#include "unit.h"

#include <stdio.h>

static struct kad_name_lookup *make_lookup(const char *host, size_t count) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_name_lookup *lookup = kad_alloc_zero(&allocator, sizeof *lookup);
  assert_non_null(lookup);
  (void)snprintf(lookup->host, sizeof lookup->host, "%s", host);
  lookup->count = count;
  return lookup;
}

static void the_next_name_takes_it_once(void **state) {
  (void)state;
  struct kad_late_lookups late = {0};
  struct kad_name_lookup *lookup = make_lookup("a.test", 1);
  kad_late_lookups_keep(&late, lookup, 1000);

  assert_null(kad_late_lookups_take(&late, "b.test", 1000));
  assert_ptr_equal(kad_late_lookups_take(&late, "a.test", 1000), lookup);
  assert_null(kad_late_lookups_take(&late, "a.test", 1000));

  kad_name_lookup_free(lookup);
}

static void it_ages(void **state) {
  (void)state;
  struct kad_late_lookups late = {0};
  kad_late_lookups_keep(&late, make_lookup("a.test", 1), 1000);

  assert_null(
      kad_late_lookups_take(&late, "a.test", 1000 + KAD_LATE_LOOKUP_MS));
  assert_int_equal(late.count, 0);
}

static void the_latest_of_a_host_counts(void **state) {
  (void)state;
  struct kad_late_lookups late = {0};
  kad_late_lookups_keep(&late, make_lookup("a.test", 1), 1000);
  kad_late_lookups_keep(&late, make_lookup("a.test", 2), 2000);

  assert_int_equal(late.count, 1);
  struct kad_name_lookup *lookup = kad_late_lookups_take(&late, "a.test", 2000);
  assert_non_null(lookup);
  assert_int_equal(lookup->count, 2);

  kad_name_lookup_free(lookup);
}

static void the_oldest_of_too_many_is_lost(void **state) {
  (void)state;
  struct kad_late_lookups late = {0};
  char host[KAD_NAME_MAX + 1];
  for (unsigned i = 0; i <= KAD_LATE_LOOKUPS_MAX; i++) {
    (void)snprintf(host, sizeof host, "%u.test", i);
    kad_late_lookups_keep(&late, make_lookup(host, i), 1000);
  }

  assert_int_equal(late.count, KAD_LATE_LOOKUPS_MAX);
  assert_null(kad_late_lookups_take(&late, "0.test", 1000));
  assert_string_equal(late.items[0].lookup->host, "1.test");

  kad_late_lookups_clear(&late);
  assert_int_equal(late.count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_next_name_takes_it_once),
      cmocka_unit_test(it_ages),
      cmocka_unit_test(the_latest_of_a_host_counts),
      cmocka_unit_test(the_oldest_of_too_many_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
