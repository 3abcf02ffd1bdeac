#include "kadenza_option.h"
#include "unit.h"

#include <string.h>

static const struct kad_option *find(const char *name) {
  size_t count;
  const struct kad_option *options = kad_config_options(&count);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(options[i].name, name) == 0) {
      return &options[i];
    }
  }
  return NULL;
}

static void every_default_is_within_its_range(void **state) {
  struct kad_config config;
  size_t count;
  const struct kad_option *options = kad_config_options(&count);
  (void)state;
  kad_config_default(&config);
  assert_true(count > 20);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(kad_config_get(&config, &options[i]), options[i].initial);
    assert_true(options[i].initial >= options[i].min);
    assert_true(options[i].initial <= options[i].max);
  }
}

static void options_set_the_field_of_their_name(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  assert_int_equal(kad_config_set(&config, find("k"), 20), 0);
  assert_int_equal(config.k, 20);
  assert_int_equal(kad_config_set(&config, find("bytes_per_s"), UINT64_MAX), 0);
  assert_int_equal(config.bytes_per_s, UINT64_MAX);
  assert_int_equal(kad_config_set(&config, find("read_only"), 1), 0);
  assert_int_equal(config.read_only, KAD_READ_ONLY_ON);
}

static void options_refuse_values_out_of_their_range(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  assert_int_equal(kad_config_set(&config, find("k"), 0), KAD_EINVAL);
  assert_int_equal(kad_config_set(&config, find("k"), 65), KAD_EINVAL);
  assert_int_equal(kad_config_set(&config, find("read_only"), 9), KAD_EINVAL);
  assert_int_equal(kad_config_set(&config, find("ping_s"), 1ULL << 32),
                   KAD_EINVAL);
  assert_int_equal(config.k, 8);
  assert_int_equal(config.read_only, find("read_only")->initial);
}

/* The type of an option is that of its field: the row of a choice has names. */
static void choices_have_a_name_for_each_value(void **state) {
  const struct kad_option *option = find("read_only");
  (void)state;
  assert_int_equal(option->type, KAD_OPTION_TYPE_CHOICE);
  assert_true(kad_slice_equal(kad_config_choice(option, KAD_READ_ONLY_OFF),
                              kad_slice_of("off")));
  assert_true(kad_slice_equal(kad_config_choice(option, KAD_READ_ONLY_ON),
                              kad_slice_of("on")));
  assert_true(kad_slice_equal(kad_config_choice(option, KAD_READ_ONLY_AUTO),
                              kad_slice_of("auto")));
  assert_int_equal(option->initial, KAD_READ_ONLY_AUTO);
  assert_int_equal(kad_config_choice(option, option->max + 1).len, 0);
  assert_int_equal(kad_config_choice(find("k"), 1).len, 0);
}

static void choices_have_no_unit_and_others_no_names(void **state) {
  size_t count;
  const struct kad_option *options = kad_config_options(&count);
  (void)state;
  for (size_t i = 0; i < count; i++) {
    const bool is_choice = options[i].type == KAD_OPTION_TYPE_CHOICE;
    assert_int_equal(options[i].choices != NULL, is_choice);
    assert_true(!is_choice || options[i].unit[0] == '\0');
    assert_true(!is_choice ||
                kad_config_choice(&options[i], options[i].max).len > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_default_is_within_its_range),
      cmocka_unit_test(options_set_the_field_of_their_name),
      cmocka_unit_test(options_refuse_values_out_of_their_range),
      cmocka_unit_test(choices_have_a_name_for_each_value),
      cmocka_unit_test(choices_have_no_unit_and_others_no_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
