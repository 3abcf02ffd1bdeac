#include "kadenza.h"
#include "unit.h"

#include <ctype.h>
#include <string.h>

static const int errors[] = {
#define ERROR_CODE(code, value, text) code,
    KAD_ERROR_MAP(ERROR_CODE)
#undef ERROR_CODE
};

enum {
  ERRORS = sizeof errors / sizeof *errors
};

static void every_error_is_negative_and_unique(void **state) {
  (void)state;
  for (size_t i = 0; i < ERRORS; i++) {
    assert_true(errors[i] < 0);
    for (size_t j = 0; j < i; j++) {
      assert_int_not_equal(errors[i], errors[j]);
      assert_string_not_equal(kad_error_name(errors[i]),
                              kad_error_name(errors[j]));
      assert_string_not_equal(kad_error_text(errors[i]),
                              kad_error_text(errors[j]));
    }
  }
}

static void every_error_has_a_name_and_a_text(void **state) {
  (void)state;
  assert_string_equal(kad_error_name(KAD_ESUBNET), "KAD_ESUBNET");
  assert_string_equal(kad_error_text(KAD_ENOMEM), "out of memory");
  for (size_t i = 0; i < ERRORS; i++) {
    const char *text = kad_error_text(errors[i]);
    assert_memory_equal(kad_error_name(errors[i]), "KAD_E", 5);
    assert_true(islower((unsigned char)text[0]));
    assert_int_not_equal(text[strlen(text) - 1], '.');
  }
}

static void other_numbers_are_unknown_errors(void **state) {
  (void)state;
  assert_string_equal(kad_error_name(0), "KAD_EUNKNOWN");
  assert_string_equal(kad_error_name(-9999), "KAD_EUNKNOWN");
  assert_string_equal(kad_error_text(1), "unknown error");
}

static void slices_are_equal_by_their_bytes(void **state) {
  (void)state;
  const struct kad_slice none = {NULL, 0};
  const struct kad_slice abc = kad_slice_of("abc");
  const struct kad_slice nul = {(const uint8_t *)"ab\0d", 4};
  const struct kad_slice other = {(const uint8_t *)"ab\0e", 4};

  assert_slice_is(abc, "abc");
  assert_true(kad_slice_equal(abc, kad_slice_of("abc")));
  assert_false(kad_slice_equal(abc, kad_slice_of("abcd")));
  assert_false(kad_slice_equal(nul, other));
  assert_true(kad_slice_equal(none, kad_slice_of("")));
  assert_false(kad_slice_equal(none, abc));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_error_is_negative_and_unique),
      cmocka_unit_test(every_error_has_a_name_and_a_text),
      cmocka_unit_test(other_numbers_are_unknown_errors),
      cmocka_unit_test(slices_are_equal_by_their_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
