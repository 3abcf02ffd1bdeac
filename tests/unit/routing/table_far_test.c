/* Far buckets with more places than k: their number, and which contacts get
 * them. */
#include "routing/table.h"
#include "unit.h"

enum {
  K = 8,
  FAR = 32,
  SLOW_MS = 200,
  QUICK_MS = 40
};

static struct kad_table *table;

static int open_table(void **state) {
  const struct kad_table_config config = {
      .id_bits = 160, .family = 4, .k = K, .far = FAR, .ping_ms = 600000};
  const struct kad_allocator allocator = kad_allocator_default();
  (void)state;
  return kad_table_new(&config, &allocator, 1, &table);
}

static int close_table(void **state) {
  (void)state;
  kad_table_free(table);
  return 0;
}

/* Makes contact `number` of the bucket of ids that share `shared` bits. */
static struct kad_contact make(unsigned shared, unsigned number) {
  struct kad_contact contact = {
      .id = {.bytes = {(uint8_t)(0x80U >> shared), (uint8_t)number}},
      .address = {.ip = {80, (uint8_t)shared, (uint8_t)number, 1},
                  .port = 6881,
                  .family = 4}};
  return contact;
}

static int add(unsigned shared, unsigned number, uint32_t rtt_ms) {
  const struct kad_contact contact = make(shared, number);
  const struct kad_table_entry *probe = NULL;
  return kad_table_add(table, &contact, rtt_ms, 1, &probe);
}

/* Splits off the first buckets, and fills them. */
static void fill(uint32_t rtt_ms) {
  for (unsigned shared = 0; shared < 5; shared++) {
    for (unsigned i = 0; i < K; i++) {
      (void)add(shared, i, rtt_ms);
    }
  }
  for (unsigned shared = 0; shared < 4; shared++) {
    for (unsigned i = K; i < 2 * FAR; i++) {
      (void)add(shared, i, rtt_ms);
    }
  }
}

static size_t count_in(unsigned shared) {
  size_t count = 0;
  for (unsigned i = 0; i < 200; i++) {
    const struct kad_contact contact = make(shared, i);
    count += kad_table_find(table, &contact.id) != NULL;
  }
  return count;
}

static void each_far_bucket_has_half_the_places_of_the_next_farther(
    void **state) {
  (void)state;
  fill(SLOW_MS);
  assert_int_equal(count_in(0), FAR);
  assert_int_equal(count_in(1), FAR / 2);
  assert_int_equal(count_in(2), K);
  assert_int_equal(count_in(3), K);
}

static void fast_newcomers_get_at_most_half_of_a_far_bucket(void **state) {
  (void)state;
  fill(SLOW_MS);
  size_t entered = 0;
  for (unsigned i = 100; i < 200; i++) {
    entered += add(0, i, QUICK_MS) == 0;
  }
  assert_int_equal(entered, FAR / 2);
  assert_int_equal(count_in(0), FAR);
}

static void a_newcomer_that_is_a_little_faster_replaces_none(void **state) {
  (void)state;
  fill(SLOW_MS);
  assert_int_equal(add(0, 100, SLOW_MS / 2 + 1), KAD_EFULL);
}

static void speed_does_not_count_in_a_bucket_of_k(void **state) {
  (void)state;
  fill(SLOW_MS);
  assert_int_equal(add(3, 100, QUICK_MS), KAD_EFULL);
}

static void places_beyond_k_are_worth_no_ping(void **state) {
  (void)state;
  for (unsigned shared = 0; shared < 3; shared++) {
    for (unsigned i = 0; i < K - 1; i++) {
      (void)add(shared, i, SLOW_MS);
    }
  }
  const struct kad_contact stranger = make(0, 100);
  assert_true(kad_table_wants(table, &stranger, 2, 900000));
  assert_ok(add(0, 50, SLOW_MS));
  assert_false(kad_table_wants(table, &stranger, 2, 900000));
  assert_ok(add(0, 51, SLOW_MS));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(
          each_far_bucket_has_half_the_places_of_the_next_farther, open_table,
          close_table),
      cmocka_unit_test_setup_teardown(
          fast_newcomers_get_at_most_half_of_a_far_bucket, open_table,
          close_table),
      cmocka_unit_test_setup_teardown(
          a_newcomer_that_is_a_little_faster_replaces_none, open_table,
          close_table),
      cmocka_unit_test_setup_teardown(speed_does_not_count_in_a_bucket_of_k,
                                      open_table, close_table),
      cmocka_unit_test_setup_teardown(places_beyond_k_are_worth_no_ping,
                                      open_table, close_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
