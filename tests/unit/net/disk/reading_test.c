#include "net/disk/reading.h"

#include "unit.h"

static const struct kad_reading first = {
    .wall_s = 1800000000, .boot_s = 1000, .boot_id = "boot 1"};

static uint64_t elapsed(int64_t wall_s, uint64_t boot_s, char boot) {
  struct kad_reading now = {
      .wall_s = wall_s, .boot_s = boot_s, .boot_id = "boot 1"};
  now.boot_id[5] = (uint8_t)boot;
  return kad_reading_elapsed(&first, &now);
}

static void one_run_of_the_machine_counts_by_its_own_clock(void **state) {
  (void)state;
  assert_int_equal(elapsed(5, 1060, '1'), 60);
  assert_int_equal(elapsed(1900000000, 1060, '1'), 60);
}

static void after_a_restart_the_wall_clock_counts(void **state) {
  (void)state;
  assert_int_equal(elapsed(1800000500, 20, '2'), 500);
}

static void wrong_wall_clock_leaves_the_time_since_the_start(void **state) {
  (void)state;
  assert_int_equal(elapsed(5, 20, '2'), 20);
}

static void machine_without_boot_ids_counts_by_the_wall_clock(void **state) {
  const struct kad_reading before = {.wall_s = 1800000000, .boot_s = 1000};
  const struct kad_reading now = {.wall_s = 1800000009, .boot_s = 5000};
  (void)state;
  assert_int_equal(kad_reading_elapsed(&before, &now), 9);
}

static void reading_survives_the_disk(void **state) {
  uint8_t bytes[KAD_READING_SIZE];
  struct kad_reading reading;
  (void)state;
  kad_reading_write(bytes, &first);
  kad_reading_read(bytes, &reading);
  assert_int_equal(reading.wall_s, first.wall_s);
  assert_int_equal(reading.boot_s, first.boot_s);
  assert_memory_equal(reading.boot_id, first.boot_id, KAD_BOOT_ID_SIZE);
}

static void clocks_of_this_machine_go_forward(void **state) {
  struct kad_reading before;
  struct kad_reading now;
  (void)state;
  kad_reading_take(&before);
  kad_reading_take(&now);
  assert_true(now.boot_s >= before.boot_s);
  assert_true(kad_reading_elapsed(&before, &now) <= 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_run_of_the_machine_counts_by_its_own_clock),
      cmocka_unit_test(after_a_restart_the_wall_clock_counts),
      cmocka_unit_test(wrong_wall_clock_leaves_the_time_since_the_start),
      cmocka_unit_test(machine_without_boot_ids_counts_by_the_wall_clock),
      cmocka_unit_test(reading_survives_the_disk),
      cmocka_unit_test(clocks_of_this_machine_go_forward),
  };
  return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
