/* Counting the records of a host and of a publisher, and choosing the victim.
 */
#include "memory_fixture.h"
#include "unit.h"

static const uint8_t bytes[KAD_ITEM_VALUE_MAX];
static const struct kad_address own_user = {0};

static void counts_the_records_of_an_address(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(0, kad_memory_host(1));
  kad_record_handle first = kad_memory_add(&fixture, &record, &meta);
  meta.origin.port = 1;
  meta.origin.via = 1;
  kad_memory_add(&fixture, &record, &meta);
  meta.origin = kad_memory_host(2);
  kad_memory_add(&fixture, &record, &meta);
  meta.origin = own_user;
  kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(1)), 2);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(2)), 1);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(3)), 0);
  assert_int_equal(kad_memory_count_of(&fixture, own_user), 1);
  kad_store_remove(fixture.store, first);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(1)), 1);
  kad_memory_close(&fixture);
}

static void counts_an_ipv6_64_as_one_address(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_address neighbour = kad_memory_wide_host(1);
  neighbour.ip[8] = 0xff;
  struct kad_address stranger = kad_memory_wide_host(1);
  stranger.ip[7] = 0xff;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(0, kad_memory_wide_host(1));
  kad_memory_add(&fixture, &record, &meta);
  meta.origin = neighbour;
  kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);

  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_wide_host(1)), 2);
  assert_int_equal(kad_memory_count_of(&fixture, neighbour), 2);
  assert_int_equal(kad_memory_count_of(&fixture, stranger), 0);
  kad_memory_close(&fixture);
}

/* An IPv6 address may begin with the bytes of an IPv4 address. */
static void counts_ipv4_and_ipv6_separately(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_address four = {.family = 4, .port = 1, .ip = {32, 1, 13, 184}};
  struct kad_address six = four;
  six.family = 6;
  kad_memory_open(&fixture);
  struct kad_record record = kad_memory_record(1, "v");
  struct kad_record_meta meta = kad_memory_meta(0, four);
  kad_memory_add(&fixture, &record, &meta);

  assert_int_equal(kad_memory_count_of(&fixture, four), 1);
  assert_int_equal(kad_memory_count_of(&fixture, six), 0);
  kad_memory_close(&fixture);
}

/* Returns the origin of the victim. */
static struct kad_address victim_origin(
    const struct kad_memory_fixture *fixture) {
  struct kad_id self = kad_memory_key(0);
  struct kad_held held;
  kad_record_handle victim = kad_store_victim(fixture->store, &self);
  assert_true(kad_store_read(fixture->store, victim, &held));
  return held.meta.origin;
}

static void victim_is_of_the_address_with_most_bytes(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  kad_memory_add_many(&fixture, kad_memory_host(1), 0, 3);
  kad_memory_add_many(&fixture, kad_memory_host(2), 10, 5);
  kad_memory_add_many(&fixture, kad_memory_host(3), 20, 4);
  struct kad_address two = kad_memory_host(2);
  struct kad_address one = kad_memory_host(1);

  struct kad_address host = victim_origin(&fixture);
  assert_memory_equal(&host, &two, sizeof host);
  struct kad_record large = kad_memory_record(30, "");
  large.value = (struct kad_slice){bytes, KAD_ITEM_VALUE_MAX};
  struct kad_record_meta meta = kad_memory_meta(1, one);
  kad_memory_add(&fixture, &large, &meta);
  host = victim_origin(&fixture);
  assert_memory_equal(&host, &one, sizeof host);
  kad_memory_close(&fixture);
}

static void victim_is_of_our_own_user_last(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = kad_memory_key(0);
  kad_memory_open(&fixture);
  kad_memory_add_many(&fixture, own_user, 0, 20);
  kad_memory_add_many(&fixture, kad_memory_host(1), 30, 1);
  kad_memory_add_many(&fixture, kad_memory_wide_host(1), 40, 1);
  struct kad_store *store = fixture.store;

  assert_int_not_equal(victim_origin(&fixture).family, 0);
  kad_store_remove(fixture.store, kad_store_victim(store, &self));
  assert_int_not_equal(victim_origin(&fixture).family, 0);
  kad_store_remove(fixture.store, kad_store_victim(store, &self));
  assert_int_equal(victim_origin(&fixture).family, 0);
  kad_memory_close(&fixture);
}

static void victim_is_the_farthest_then_the_first_to_expire(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = {.bytes = {0x80}};
  static const struct {
    uint8_t first; /* byte of the key */
    kad_time_ms expires_at;
  } expected[] = {{0x01, 100}, {0x7f, 200}, {0x02, 300},
                  {0xc0, 10},  {0xff, 20},  {0x81, 5}};
  kad_memory_open(&fixture);
  for (size_t i = 0; i < 6; i++) {
    struct kad_record record = {.type = kad_slice_of("value")};
    record.key.bytes[0] = expected[(i * 5 + 2) % 6].first;
    struct kad_record_meta meta = kad_memory_meta(0, kad_memory_host(1));
    meta.expires_at = expected[(i * 5 + 2) % 6].expires_at;
    kad_memory_add(&fixture, &record, &meta);
  }

  for (size_t i = 0; i < 6; i++) {
    struct kad_held held;
    kad_record_handle victim = kad_store_victim(fixture.store, &self);
    assert_true(kad_store_read(fixture.store, victim, &held));
    assert_int_equal(held.record.key.bytes[0], expected[i].first);
    kad_store_remove(fixture.store, victim);
  }
  kad_memory_close(&fixture);
}

/* Returns true if the victim has the farthest key. */
static bool victim_is_the_far_record(const struct kad_memory_fixture *fixture) {
  struct kad_id self = kad_memory_key(0);
  struct kad_held held;
  kad_record_handle victim = kad_store_victim(fixture->store, &self);
  assert_true(kad_store_read(fixture->store, victim, &held));
  return held.record.key.bytes[0] == 0xff;
}

static void victim_is_among_the_128_earliest_of_an_address(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  kad_record_handle first = kad_memory_add_value(&fixture, 0, "v", 1);
  kad_memory_add_many(&fixture, kad_memory_host(1), 1, 127);
  struct kad_record far = kad_memory_record(0, "v");
  far.key.bytes[0] = 0xff;
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));

  kad_memory_add(&fixture, &far, &meta);
  assert_false(victim_is_the_far_record(&fixture));
  meta.stored_at = 2;
  kad_store_set_meta(fixture.store, first, &meta);
  assert_true(victim_is_the_far_record(&fixture));
  kad_memory_close(&fixture);
}

static void victim_is_of_a_publisher_with_many_addresses(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = kad_memory_key(0);
  kad_memory_open(&fixture);
  kad_memory_add_many(&fixture, own_user, 0, 20);
  kad_memory_add_many(&fixture, kad_memory_host(1), 100, 4);
  kad_memory_add_spread(&fixture, 2, 40, 200, 2);
  kad_memory_add_spread(&fixture, 1, 50, 300, 9);

  for (size_t left = 9; left > 3; left--) {
    struct kad_held held;
    kad_record_handle victim = kad_store_victim(fixture.store, &self);
    assert_true(kad_store_read(fixture.store, victim, &held));
    assert_non_null(held.record.publisher);
    assert_int_equal(held.record.publisher[KAD_PUBLISHER_SIZE - 1], 1);
    kad_store_remove(fixture.store, victim);
  }
  assert_int_equal(kad_memory_count_signed(&fixture, 1), 3);
  assert_int_equal(kad_memory_count_signed(&fixture, 2), 2);
  assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(1)), 4);
  kad_memory_close(&fixture);
}

static void records_of_our_own_user_are_of_no_publisher(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_address host = kad_memory_host(1);
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < 9; i++) {
    struct kad_record record = kad_memory_record(i, "v");
    struct kad_record_meta meta = kad_memory_meta(1, own_user);
    record.publisher = kad_memory_publisher(1);
    kad_memory_add(&fixture, &record, &meta);
  }
  kad_memory_add_value(&fixture, 20, "v", 1);

  struct kad_address victim = victim_origin(&fixture);
  assert_memory_equal(&victim, &host, sizeof host);
  kad_memory_close(&fixture);
}

/* Of a publisher's records, as of those of a host. */
static void victim_of_a_publisher_is_the_farthest(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = kad_memory_key(0);
  struct kad_held held;
  kad_memory_open(&fixture);
  kad_memory_add_spread(&fixture, 1, 50, 10, 5);
  struct kad_record far = kad_memory_record(0, "v");
  struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(7));
  far.key.bytes[0] = 0xff;
  far.publisher = kad_memory_publisher(1);
  kad_record_handle handle = kad_memory_add(&fixture, &far, &meta);
  kad_memory_add_spread(&fixture, 1, 60, 20, 5);

  kad_record_handle victim = kad_store_victim(fixture.store, &self);
  assert_int_equal(victim, handle);
  meta.stored_at = 2;
  kad_store_set_meta(fixture.store, handle, &meta);
  assert_true(kad_store_read(fixture.store, victim, &held));
  assert_int_equal(kad_store_victim(fixture.store, &self), handle);
  kad_memory_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_the_records_of_an_address),
      cmocka_unit_test(counts_an_ipv6_64_as_one_address),
      cmocka_unit_test(counts_ipv4_and_ipv6_separately),
      cmocka_unit_test(victim_is_of_the_address_with_most_bytes),
      cmocka_unit_test(victim_is_of_our_own_user_last),
      cmocka_unit_test(victim_is_the_farthest_then_the_first_to_expire),
      cmocka_unit_test(victim_is_among_the_128_earliest_of_an_address),
      cmocka_unit_test(victim_is_of_a_publisher_with_many_addresses),
      cmocka_unit_test(records_of_our_own_user_are_of_no_publisher),
      cmocka_unit_test(victim_of_a_publisher_is_the_farthest),
  };
  return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
