#include "base/id.h"
#include "routing/table.h"
#include "tables.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

enum {
  TARGETS = 500,
  CONTACTS_MAX = 512
};

static int begin(void **state) {
  static struct kad_tables it;
  kad_tables_begin(&it, 160, 4);
  *state = &it;
  return 0;
}

static int begin_long(void **state) {
  static struct kad_tables it;
  kad_tables_begin(&it, 256, 6);
  *state = &it;
  return 0;
}

static int end(void **state) {
  kad_tables_end(*state);
  return 0;
}

static uint64_t next_random(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *seed >> 33;
}

/* A random id that shares about `prefix` bits with ours, which are zeros. */
static struct kad_id random_id(const struct kad_tables *it, size_t prefix,
                               uint64_t *seed) {
  struct kad_id id = {0};
  for (size_t bit = prefix; bit < it->config.id_bits; bit++) {
    if (next_random(seed) % 2 == 0) {
      id.bytes[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
    }
  }
  return id;
}

/* Adds random contacts at every depth. Some of them fail then. */
static void add_random_contacts(struct kad_tables *it, uint64_t *seed) {
  for (unsigned i = 0; i < 250; i++) {
    struct kad_contact contact = kad_tables_contact(it, i / 16, i);
    contact.id = random_id(it, i / 16, seed);
    const int result = kad_tables_add_contact(it, &contact, 1);
    assert_true(result == 0 || result == KAD_EFULL);
    for (uint64_t n = next_random(seed) % 12; n > 9; n--) {
      kad_table_failed(it->table, &contact);
    }
  }
}

struct ranked {
  struct kad_contact contact;
  struct kad_id distance;
};

static int compare_ranked(const void *a, const void *b) {
  const struct ranked *left = a;
  const struct ranked *right = b;
  return memcmp(left->distance.bytes, right->distance.bytes, KAD_ID_SIZE);
}

/* Finds the closest contacts by sorting all that are not bad. */
static size_t rank_all(const struct kad_tables *it, const struct kad_id *target,
                       struct ranked *out) {
  size_t count = 0;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(it->table, &bucket, &slot)) != NULL) {
    if (kad_table_entry_is_bad(entry)) {
      continue;
    }
    assert_true(count < CONTACTS_MAX);
    out[count].contact = entry->contact;
    for (size_t i = 0; i < KAD_ID_SIZE; i++) {
      out[count].distance.bytes[i] =
          entry->contact.id.bytes[i] ^ target->bytes[i];
    }
    count++;
  }
  qsort(out, count, sizeof *out, compare_ranked);
  return count;
}

static void assert_closest(const struct kad_tables *it,
                           const struct kad_id *target, size_t cap) {
  static struct ranked ranked[CONTACTS_MAX];
  struct kad_contact found[CONTACTS_MAX];
  const size_t all = rank_all(it, target, ranked);

  const size_t count =
      kad_table_closest(it->table, target, it->now, found, cap);

  assert_int_equal(count, all < cap ? all : cap);
  for (size_t i = 0; i < count; i++) {
    assert_memory_equal(&found[i].id, &ranked[i].contact.id, KAD_ID_SIZE);
  }
}

static void the_closest_contacts_are_the_first_of_all_sorted(void **state) {
  struct kad_tables *it = *state;
  uint64_t seed = 7;
  add_random_contacts(it, &seed);
  assert_true(kad_table_buckets(it->table) >= 12);

  for (unsigned i = 0; i < TARGETS; i++) {
    const struct kad_id target = random_id(it, i % 20, &seed);
    assert_closest(it, &target, 1 + i % 20);
  }
  assert_closest(it, &it->config.self, CONTACTS_MAX);
}

static void an_empty_table_has_no_closest_contacts(void **state) {
  struct kad_tables *it = *state;
  struct kad_contact found;

  assert_int_equal(
      kad_table_closest(it->table, &it->config.self, it->now, &found, 1), 0);
}

static void closest_writes_at_most_cap_contacts(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, KAD_TABLES_K);
  struct kad_contact found[2] = {{.address = {.port = 1}},
                                 {.address = {.port = 2}}};

  assert_int_equal(
      kad_table_closest(it->table, &it->config.self, it->now, found, 0), 0);
  assert_int_equal(found[0].address.port, 1);
  assert_int_equal(
      kad_table_closest(it->table, &it->config.self, it->now, found, 1), 1);
  assert_int_equal(found[1].address.port, 2);
}

static void reading_a_table_allocates_nothing(void **state) {
  struct kad_tables *it = *state;
  uint64_t seed = 8;
  add_random_contacts(it, &seed);
  const struct kad_contact known = kad_tables_contact(it, 0, 1);
  const size_t requests = it->counting.requests;

  for (unsigned i = 0; i < 100; i++) {
    const struct kad_id target = random_id(it, i % 20, &seed);
    struct kad_contact found[KAD_TABLES_K];
    (void)kad_table_closest(it->table, &target, it->now, found, KAD_TABLES_K);
    (void)kad_table_seen(it->table, &known, it->now);
  }

  assert_int_equal(it->counting.requests, requests);
}

/* 10,000 simulated nodes with 13 full buckets each have to fit in 200 MB. */
static void thirteen_full_buckets_are_small(void **state) {
  struct kad_tables *it = *state;
  for (unsigned prefix = 0; prefix < 13; prefix++) {
    kad_tables_fill(it, prefix, 1);
  }
  for (unsigned prefix = 0; prefix < 13; prefix++) {
    kad_tables_fill(it, prefix, KAD_TABLES_K);
  }
  assert_ok(kad_tables_add(it, 13, 0));
  assert_int_equal(kad_table_count(it->table), 13 * KAD_TABLES_K + 1);
  assert_in_range(it->counting.bytes, 1, 9 * 1024);

  for (unsigned prefix = 0; prefix < 13; prefix++) {
    for (unsigned i = 100; i < 100 + 2 * KAD_TABLES_K; i++) {
      assert_int_equal(kad_tables_add(it, prefix, i), KAD_EFULL);
    }
  }
  assert_in_range(it->counting.bytes, 1, 13 * 1024);
}

static void random_ids_belong_to_their_bucket(void **state) {
  struct kad_tables *it = *state;
  it->config.self = random_id(it, 0, &(uint64_t){9});
  kad_tables_restart(it);
  for (unsigned i = 0; i < 12; i++) {
    struct kad_contact contact = kad_tables_contact(it, i, i);
    contact.id = it->config.self;
    contact.id.bytes[2] ^= (uint8_t)(1 + i);
    assert_ok(kad_tables_add_contact(it, &contact, 1));
  }
  assert_in_range(kad_table_buckets(it->table), 21, 23);

  for (size_t i = 0; i < kad_table_buckets(it->table); i++) {
    uint64_t seed = 1000 + i;
    const struct kad_id random = random_id(it, 0, &seed);
    struct kad_id a;
    struct kad_id b;
    kad_table_random_id(it->table, i, random.bytes, &a);
    kad_table_random_id(it->table, i, it->config.self.bytes, &b);
    assert_int_equal(kad_table_bucket_of(it->table, &a), i);
    assert_int_equal(kad_table_bucket_of(it->table, &b), i);
    assert_false(kad_id_equal(&a, &b));
    assert_int_equal(a.bytes[31],
                     it->config.id_bits == 256 ? random.bytes[31] : 0);
  }
}

/* Also the ids next to our own, which a join needs. */
static void random_ids_reach_all_of_the_last_bucket(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, KAD_TABLES_K);
  assert_ok(kad_tables_add(it, 2, 0));
  const size_t last = kad_table_buckets(it->table) - 1;
  uint8_t random[KAD_ID_SIZE] = {0};
  struct kad_id near;
  struct kad_id far;

  kad_table_random_id(it->table, last, random, &near);
  memset(random, 0xff, sizeof random);
  kad_table_random_id(it->table, last, random, &far);

  assert_int_equal(last, 1);
  assert_int_equal(kad_id_prefix(&near, &it->config.self), 256);
  assert_int_equal(kad_id_prefix(&far, &it->config.self), 1);
}

static void split_buckets_keep_the_time_of_their_lookup(void **state) {
  struct kad_tables *it = *state;
  assert_int_equal(kad_table_refreshed(it->table, 0), 1000);
  kad_table_looked_up(it->table, &it->config.self, 2000);
  kad_tables_fill(it, 0, KAD_TABLES_K);
  assert_ok(kad_tables_add(it, 1, 0));
  const struct kad_contact far = kad_tables_contact(it, 0, 99);

  assert_int_equal(kad_table_refreshed(it->table, 0), 2000);
  assert_int_equal(kad_table_refreshed(it->table, 1), 2000);
  kad_table_looked_up(it->table, &far.id, 3000);

  assert_int_equal(kad_table_refreshed(it->table, 0), 3000);
  assert_int_equal(kad_table_refreshed(it->table, 1), 2000);
}

static void the_questionable_contact_seen_longest_ago_comes_first(
    void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, 3);
  assert_null(kad_table_questionable(it->table, it->now, it->now));

  kad_tables_fail(it, 0, 2, 1);
  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now),
                   kad_tables_find(it, 0, 2));
  it->now += KAD_TABLES_PING_MS;
  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now),
                   kad_tables_find(it, 0, 0));
}

static void a_contact_that_was_just_queried_is_not_pinged(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, 2);
  it->now += KAD_TABLES_PING_MS;
  const struct kad_contact first = kad_tables_contact(it, 0, 0);
  kad_table_queried(it->table, &first, it->now);
  struct kad_contact other = kad_tables_contact(it, 0, 1);
  other.address.port++;
  kad_table_queried(it->table, &other, it->now);

  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now),
                   kad_tables_find(it, 0, 1));
  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now + 1),
                   kad_tables_find(it, 0, 0));
}

static void a_contact_that_fails_is_pinged_more_and_more_rarely(void **state) {
  struct kad_tables *it = *state;
  const kad_time_ms gap = 1000;
  kad_tables_fill(it, 0, 1);
  const struct kad_contact contact = kad_tables_contact(it, 0, 0);
  kad_table_queried(it->table, &contact, it->now);
  const kad_time_ms queried = it->now;

  for (unsigned failures = 1; failures < 10; failures++) {
    kad_tables_fail(it, 0, 0, 1);
    const kad_time_ms due = queried + (gap << (failures < 6 ? failures : 6));
    assert_null(kad_table_questionable(it->table, due - 1, due - 1 - gap));
    assert_non_null(kad_table_questionable(it->table, due, due - gap));
  }
}

static void a_newcomer_becomes_questionable_in_time(void **state) {
  struct kad_tables *it = *state;
  const kad_time_ms came = it->now;
  assert_null(kad_table_questionable(it->table, came, came));
  assert_ok(kad_tables_add(it, 0, 1));

  it->now = came + KAD_TABLES_PING_MS;
  assert_null(kad_table_questionable(it->table, it->now - 1, it->now - 1));
  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now),
                   kad_tables_find(it, 0, 1));
}

/* When it entered, it had been seen longer ago than all others. */
static void a_replacement_that_enters_is_questionable_in_time(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, KAD_TABLES_K);
  const kad_time_ms waiting = it->now;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  it->now += 1000;
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    assert_ok(kad_tables_add(it, 0, i));
  }
  assert_null(kad_table_questionable(it->table, it->now, it->now));
  const struct kad_contact leaving = kad_tables_contact(it, 0, 0);
  kad_table_remove(it->table, &leaving);

  it->now = waiting + KAD_TABLES_PING_MS;
  assert_ptr_equal(kad_table_questionable(it->table, it->now, it->now),
                   kad_tables_find(it, 0, 100));
}

static void counts_bad_contacts(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, 5);
  kad_tables_fail(it, 0, 1, 1);
  kad_tables_fail(it, 0, 2, KAD_FAILURES_BAD);
  kad_tables_fail(it, 0, 3, KAD_FAILURES_BAD + 1);
  assert_int_equal(kad_table_bad(it->table), 2);

  assert_ok(kad_tables_add(it, 0, 2));
  assert_int_equal(kad_table_bad(it->table), 1);
  const struct kad_contact leaving = kad_tables_contact(it, 0, 3);
  kad_table_remove(it->table, &leaving);
  assert_int_equal(kad_table_bad(it->table), 0);
}

static void counts_good_contacts(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, 5);
  kad_tables_fail(it, 0, 1, 1);
  kad_tables_fail(it, 0, 2, KAD_FAILURES_BAD);

  assert_int_equal(kad_table_good(it->table, it->now), 3);
  it->now += KAD_TABLES_PING_MS;
  assert_int_equal(kad_table_good(it->table, it->now), 0);
  assert_int_equal(kad_table_count(it->table), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_LONG(name) \
  { #name " (256 bits, IPv6)", name, begin_long, end, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_closest_contacts_are_the_first_of_all_sorted),
      TEST_LONG(the_closest_contacts_are_the_first_of_all_sorted),
      TEST(an_empty_table_has_no_closest_contacts),
      TEST(closest_writes_at_most_cap_contacts),
      TEST(reading_a_table_allocates_nothing),
      TEST(thirteen_full_buckets_are_small),
      TEST(random_ids_belong_to_their_bucket),
      TEST_LONG(random_ids_belong_to_their_bucket),
      TEST(random_ids_reach_all_of_the_last_bucket),
      TEST(split_buckets_keep_the_time_of_their_lookup),
      TEST(the_questionable_contact_seen_longest_ago_comes_first),
      TEST(a_contact_that_was_just_queried_is_not_pinged),
      TEST(a_contact_that_fails_is_pinged_more_and_more_rarely),
      TEST(a_newcomer_becomes_questionable_in_time),
      TEST(a_replacement_that_enters_is_questionable_in_time),
      TEST(counts_bad_contacts),
      TEST(counts_good_contacts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
