#include "records/quota.h"

#include "counting_allocator.h"
#include "records/memory/memory_store.h"
#include "unit.h"

#include <string.h>

/* A store with a quota. Records are added as the engine adds them. */
struct fixture {
  struct kad_counting_allocator counting;
  struct kad_store *store;
  struct kad_quota quota;
  uint32_t keys;            /* used so far */
  const uint8_t *publisher; /* of the records that are stored */
};

static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = {0};
static const struct kad_address own_user = {0};
static const uint8_t bytes[KAD_ITEM_VALUE_MAX];

static void set_up(struct fixture *fixture) {
  *fixture = (struct fixture){
      .quota = {.max_bytes = UINT64_MAX,
                .max_records = UINT32_MAX,
                .max_records_address = UINT32_MAX,
                .max_records_publisher = UINT32_MAX},
  };
  kad_counting_init(&fixture->counting);
  assert_ok(kad_memory_store_new(&fixture->counting.allocator, secret,
                                 &fixture->store));
}

static void tear_down(struct fixture *fixture) {
  kad_memory_store_free(fixture->store);
  kad_counting_deinit(&fixture->counting);
}

static struct kad_address host(uint8_t number) {
  return (struct kad_address){
      .family = 4, .port = 6881, .ip = {192, 0, 2, number}};
}

static int check(const struct fixture *fixture, struct kad_address origin,
                 size_t len) {
  const struct kad_quota_claim claim = {
      .origin = &origin, .publisher = fixture->publisher, .bytes = len};
  return kad_quota_check(&fixture->quota, fixture->store, &claim);
}

static int check_room(const struct fixture *fixture) {
  return kad_quota_check_room(&fixture->quota, fixture->store, 0);
}

static size_t count(const struct fixture *fixture) {
  return kad_store_count(fixture->store);
}

static size_t count_of(const struct fixture *fixture,
                       struct kad_address origin) {
  return kad_store_count_of(fixture->store, &origin);
}

static void make_room(const struct fixture *fixture) {
  struct kad_store *store = fixture->store;
  kad_record_handle victim = kad_quota_pick(&fixture->quota, store);
  while (victim != 0) {
    kad_store_remove(store, victim);
    victim = kad_quota_pick(&fixture->quota, store);
  }
}

/* Stores a value of `len` bytes under a new key if the quota allows it, and
 * makes room. Returns true if it was stored. */
static bool store(struct fixture *fixture, struct kad_address origin,
                  size_t len) {
  struct kad_record record = {.type = kad_slice_of("value"),
                              .value = {bytes, len},
                              .publisher = fixture->publisher};
  struct kad_record_meta meta = {.expires_at = fixture->keys, .origin = origin};
  kad_record_handle handle = 0;
  record.key.bytes[0] = (uint8_t)(fixture->keys * 37);
  memcpy(record.key.bytes + 1, &fixture->keys, sizeof fixture->keys);
  fixture->keys++;
  if (check(fixture, origin, len) != 0) {
    return false;
  }
  struct kad_store *to = fixture->store;
  assert_ok(kad_store_add(to, &record, &meta, &handle));
  make_room(fixture);
  return true;
}

static void store_many(struct fixture *fixture, struct kad_address origin,
                       size_t records) {
  for (size_t i = 0; i < records; i++) {
    assert_true(store(fixture, origin, 10));
  }
}

static void has_room_below_the_limits(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 10;

  store_many(&fixture, host(1), 9);

  assert_ok(check_room(&fixture));
  assert_ok(check(&fixture, host(1), 1000));
  assert_int_equal(kad_quota_pick(&fixture.quota, fixture.store), 0);
  tear_down(&fixture);
}

static void keeps_the_limit_of_records(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 10;

  for (uint8_t i = 0; i < 50; i++) {
    store_many(&fixture, host(i % 7), 1);
    assert_in_range(count(&fixture), 1, 10);
  }

  assert_int_equal(count(&fixture), 10);
  tear_down(&fixture);
}

static void keeps_the_limit_of_bytes(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_bytes = 20000;

  for (uint8_t i = 0; i < 100; i++) {
    assert_true(store(&fixture, host(i % 7), (size_t)i * 10));
    assert_in_range(kad_store_bytes(fixture.store), 0, 20000);
  }

  assert_in_range(count(&fixture), 15, 100);
  tear_down(&fixture);
}

static void rejects_a_record_that_can_never_fit(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_bytes = 1000;

  assert_ok(check(&fixture, host(1), 1000));
  assert_int_equal(check(&fixture, host(1), 1001), KAD_EQUOTA);
  assert_int_equal(check(&fixture, own_user, SIZE_MAX), KAD_EQUOTA);
  fixture.quota.max_records = 0;
  assert_int_equal(check(&fixture, host(1), 1), KAD_EQUOTA);
  tear_down(&fixture);
}

static void limits_the_records_of_an_address(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_address moved = host(1);
  moved.port = 1;
  set_up(&fixture);
  fixture.quota.max_records_address = 3;

  store_many(&fixture, host(1), 3);

  assert_int_equal(check(&fixture, host(1), 1), KAD_EQUOTA);
  assert_int_equal(check(&fixture, moved, 1), KAD_EQUOTA);
  assert_ok(check(&fixture, host(2), 1));
  assert_ok(check_room(&fixture));
  tear_down(&fixture);
}

static void limits_the_records_of_a_publisher(void **state) {
  (void)state;
  static const uint8_t one[KAD_PUBLISHER_SIZE] = {1};
  static const uint8_t two[KAD_PUBLISHER_SIZE] = {2};
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records_publisher = 3;
  fixture.publisher = one;

  for (uint8_t i = 1; i <= 3; i++) {
    store_many(&fixture, host(i), 1);
  }

  assert_int_equal(check(&fixture, host(4), 1), KAD_EQUOTA);
  assert_ok(check(&fixture, own_user, 1));
  fixture.publisher = two;
  assert_ok(check(&fixture, host(4), 1));
  fixture.publisher = NULL;
  assert_ok(check(&fixture, host(1), 1));
  tear_down(&fixture);
}

static void replacing_a_record_needs_no_check_of_its_users(void **state) {
  (void)state;
  static const uint8_t publisher[KAD_PUBLISHER_SIZE] = {1};
  const struct kad_address origin = host(1);
  struct fixture fixture;
  set_up(&fixture);
  fixture.publisher = publisher;
  store_many(&fixture, origin, 3);
  struct kad_quota_claim claim = {
      .origin = &origin, .publisher = publisher, .bytes = 1};

  fixture.quota.max_records_publisher = 2;
  assert_int_equal(kad_quota_check(&fixture.quota, fixture.store, &claim),
                   KAD_EQUOTA);
  claim.replaces_publisher = 1;
  assert_ok(kad_quota_check(&fixture.quota, fixture.store, &claim));
  fixture.quota.max_records_address = 2;
  assert_int_equal(kad_quota_check(&fixture.quota, fixture.store, &claim),
                   KAD_EQUOTA);
  claim.replaces_address = 1;
  assert_ok(kad_quota_check(&fixture.quota, fixture.store, &claim));
  tear_down(&fixture);
}

/* Of two new records of a publisher, one that it replaces is for the first. */
static void what_is_replaced_counts_for_one_new_record(void **state) {
  (void)state;
  static const uint8_t one[KAD_PUBLISHER_SIZE] = {1};
  static const uint8_t two[KAD_PUBLISHER_SIZE] = {2};
  const struct kad_address origin = host(1);
  struct fixture fixture;
  uint64_t cursor = 0;
  set_up(&fixture);
  fixture.publisher = one;
  store_many(&fixture, origin, 1);
  struct kad_quota_claim claim = {.origin = &origin, .publisher = one};

  kad_quota_claim_replace(&claim, fixture.store, 0);
  assert_int_equal(claim.replaces_address, 0);
  kad_quota_claim_replace(&claim, fixture.store,
                          kad_store_next(fixture.store, &cursor));
  assert_int_equal(claim.replaces_address, 1);
  assert_int_equal(claim.replaces_publisher, 1);
  kad_quota_claim_yield(&claim, two);
  assert_int_equal(claim.replaces_address, 0);
  assert_int_equal(claim.replaces_publisher, 1);
  kad_quota_claim_yield(&claim, one);
  assert_int_equal(claim.replaces_publisher, 0);
  tear_down(&fixture);
}

static void limits_no_publisher_where_a_store_counts_none(void **state) {
  (void)state;
  static const uint8_t publisher[KAD_PUBLISHER_SIZE] = {1};
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records_publisher = 1;
  fixture.publisher = publisher;
  fixture.store->count_signed = NULL;

  store_many(&fixture, host(1), 3);

  assert_ok(check(&fixture, host(2), 1));
  tear_down(&fixture);
}

static void does_not_limit_our_own_user(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records_address = 3;

  store_many(&fixture, own_user, 10);

  assert_ok(check(&fixture, own_user, 1));
  tear_down(&fixture);
}

static void flood_displaces_only_its_own_records(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 100;
  store_many(&fixture, own_user, 5);
  for (uint8_t i = 10; i < 50; i++) {
    store_many(&fixture, host(i), 1);
  }

  store_many(&fixture, host(1), 1000);

  assert_int_equal(count(&fixture), 100);
  assert_int_equal(count_of(&fixture, own_user), 5);
  for (uint8_t i = 10; i < 50; i++) {
    assert_int_equal(count_of(&fixture, host(i)), 1);
  }
  assert_int_equal(count_of(&fixture, host(1)), 55);
  tear_down(&fixture);
}

static void flood_of_large_values_displaces_only_its_own_records(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_bytes = 50000;
  store_many(&fixture, host(2), 40);

  for (size_t i = 0; i < 200; i++) {
    assert_true(store(&fixture, host(1), 1000));
  }

  assert_int_equal(count_of(&fixture, host(2)), 40);
  assert_in_range(count_of(&fixture, host(1)), 30, 50);
  tear_down(&fixture);
}

static void accepts_others_after_a_flood_filled_the_store(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 100;
  store_many(&fixture, host(1), 200);

  store_many(&fixture, host(2), 30);

  assert_int_equal(count_of(&fixture, host(1)), 70);
  assert_int_equal(count_of(&fixture, host(2)), 30);
  tear_down(&fixture);
}

/* A publisher who stores one record from each of many addresses displaces
 * nothing of hosts that have stored more than each of those. */
static void flood_of_a_publisher_displaces_only_its_own_records(void **state) {
  (void)state;
  static const uint8_t publisher[KAD_PUBLISHER_SIZE] = {1};
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 100;
  for (uint8_t i = 1; i <= 10; i++) {
    store_many(&fixture, host(i), 5);
  }

  fixture.publisher = publisher;
  for (uint8_t i = 20; i < 220; i++) {
    assert_true(store(&fixture, host(i), 10));
  }

  assert_int_equal(count(&fixture), 100);
  assert_int_equal(kad_store_count_signed(fixture.store, publisher), 50);
  for (uint8_t i = 1; i <= 10; i++) {
    assert_int_equal(count_of(&fixture, host(i)), 5);
  }
  tear_down(&fixture);
}

static void others_never_displace_our_own_records(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.quota.max_records = 10;
  store_many(&fixture, host(1), 3);
  store_many(&fixture, own_user, 10);

  assert_int_equal(count_of(&fixture, own_user), 10);
  assert_int_equal(check_room(&fixture), KAD_EQUOTA);
  assert_false(store(&fixture, host(1), 1));
  assert_false(store(&fixture, own_user, 1));
  assert_int_equal(count_of(&fixture, own_user), 10);
  tear_down(&fixture);
}

static void removes_our_own_records_when_limits_fall(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  store_many(&fixture, own_user, 6);
  store_many(&fixture, host(1), 3);

  fixture.quota.max_records = 4;
  make_room(&fixture);

  assert_int_equal(count_of(&fixture, own_user), 4);
  assert_int_equal(count_of(&fixture, host(1)), 0);
  tear_down(&fixture);
}

/* A store of an application may have no victim function. */
static void rejects_records_when_a_store_has_no_victim(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  fixture.store->victim = NULL;
  fixture.quota.max_records = 3;

  store_many(&fixture, host(1), 3);

  assert_false(store(&fixture, host(2), 1));
  assert_int_equal(check_room(&fixture), KAD_EQUOTA);
  fixture.quota.max_records = 2;
  assert_int_equal(kad_quota_pick(&fixture.quota, fixture.store), 0);
  tear_down(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(has_room_below_the_limits),
      cmocka_unit_test(keeps_the_limit_of_records),
      cmocka_unit_test(keeps_the_limit_of_bytes),
      cmocka_unit_test(rejects_a_record_that_can_never_fit),
      cmocka_unit_test(limits_the_records_of_an_address),
      cmocka_unit_test(limits_the_records_of_a_publisher),
      cmocka_unit_test(replacing_a_record_needs_no_check_of_its_users),
      cmocka_unit_test(what_is_replaced_counts_for_one_new_record),
      cmocka_unit_test(limits_no_publisher_where_a_store_counts_none),
      cmocka_unit_test(does_not_limit_our_own_user),
      cmocka_unit_test(flood_displaces_only_its_own_records),
      cmocka_unit_test(flood_of_large_values_displaces_only_its_own_records),
      cmocka_unit_test(accepts_others_after_a_flood_filled_the_store),
      cmocka_unit_test(flood_of_a_publisher_displaces_only_its_own_records),
      cmocka_unit_test(others_never_displace_our_own_records),
      cmocka_unit_test(removes_our_own_records_when_limits_fall),
      cmocka_unit_test(rejects_records_when_a_store_has_no_victim),
  };
  return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
