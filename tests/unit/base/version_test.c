#include "kadenza.h"
#include "unit.h"

static void library_and_header_have_one_version(void **state) {
  (void)state;
  assert_string_equal(kad_version(), KAD_VERSION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(library_and_header_have_one_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
