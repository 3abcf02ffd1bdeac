/* The memory that a memory store takes, and running out of memory. */
#include "base/address.h"
#include "memory_fixture.h"
#include "records/memory/memory_load.h"
#include "unit.h"

static const uint8_t bytes[KAD_ITEM_VALUE_MAX];

/* -------------------------------------------------------------- memory -- */

static void out_of_memory_makes_no_store(void **state) {
  (void)state;
  const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = {0};
  struct kad_counting_allocator counting;
  struct kad_store *store = NULL;
  kad_counting_init(&counting);

  kad_counting_fail_at(&counting, 0);
  assert_int_equal(kad_memory_store_new(&counting.allocator, secret, &store),
                   KAD_ENOMEM);
  assert_null(store);
  kad_memory_store_free(NULL);
  kad_counting_deinit(&counting);
}

/* Adds a record to a store with `held` others. Fails the first allocation, then
 * the second, and so on, until adding succeeds. Returns the number of failures.
 */
static size_t add_with_failures(uint32_t held) {
  struct kad_memory_fixture fixture;
  kad_record_handle handle = 0;
  int status = KAD_ENOMEM;
  size_t failures = 0;
  kad_memory_open(&fixture);
  kad_memory_add_many(&fixture, kad_memory_host(1), 0, held);
  struct kad_record record = kad_memory_record(held, "new");
  record.type = kad_slice_of("rare");
  struct kad_record_meta meta = kad_memory_meta(5, kad_memory_wide_host(1));
  size_t before = kad_store_bytes(fixture.store);

  for (size_t n = 0; status == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    status = kad_store_add(fixture.store, &record, &meta, &handle);
    if (status != 0) {
      failures++;
      assert_int_equal(status, KAD_ENOMEM);
      assert_int_equal(handle, 0);
      assert_int_equal(kad_store_count(fixture.store), held);
      assert_int_equal(kad_store_bytes(fixture.store), before);
      assert_int_equal(kad_memory_find(&fixture, held, "rare", 0, NULL, 0), 0);
      assert_int_equal(kad_memory_count_of(&fixture, kad_memory_wide_host(1)),
                       0);
    }
  }

  assert_ok(status);
  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  assert_int_equal(kad_store_count(fixture.store), held + 1);
  kad_memory_close(&fixture);
  return failures;
}

static void failed_allocation_changes_nothing(void **state) {
  (void)state;

  size_t of_an_empty_store = add_with_failures(0);
  size_t of_a_full_array = add_with_failures(8);
  size_t of_room_enough = add_with_failures(12);

  /* Types, slots, two heaps, keys, three parts of hosts, the entry. */
  assert_int_equal(of_an_empty_store, 9);
  /* Adding succeeds without more buckets. */
  assert_int_equal(of_a_full_array, 2);
  assert_int_equal(of_room_enough, 1);
}

static void expected_records_move_no_index(void **state) {
  enum {
    RECORDS = 1000
  };
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  kad_memory_load_expect(fixture.store, RECORDS);
  kad_memory_add_many(&fixture, kad_memory_host(1), 0, 1);
  const size_t before = fixture.counting.requests;

  kad_memory_add_many(&fixture, kad_memory_host(1), 1, RECORDS - 1);

  assert_int_equal(fixture.counting.requests - before, RECORDS - 1);
  kad_memory_close(&fixture);
}

static void expecting_records_without_memory_does_no_harm(void **state) {
  bool has_failed = true;
  (void)state;
  for (size_t n = 0; has_failed; n++) {
    struct kad_memory_fixture fixture;
    kad_memory_open(&fixture);
    kad_counting_fail_at(&fixture.counting, n);
    kad_memory_load_expect(fixture.store, 100);
    has_failed = fixture.counting.has_failed;
    kad_counting_fail_at(&fixture.counting, SIZE_MAX);
    kad_memory_add_many(&fixture, kad_memory_host(1), 0, 200);
    for (uint32_t key = 0; key < 200; key++) {
      const struct kad_id id = kad_memory_key(key);
      const uint64_t hash = kad_memory_load_hash(fixture.store, &id);
      for (unsigned step = 0; step < KAD_MEMORY_LOAD_STEPS; step++) {
        kad_memory_load_fetch(fixture.store, hash, step);
      }
      assert_int_equal(kad_memory_find(&fixture, key, "value", 0, NULL, 0), 1);
    }
    kad_memory_close(&fixture);
  }
}

static void removing_the_last_record_frees_all_memory(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle handles[50];
  kad_memory_open(&fixture);
  size_t empty = fixture.counting.bytes;
  for (uint32_t i = 0; i < 50; i++) {
    struct kad_record record = kad_memory_record(i % 20, "v");
    struct kad_record_meta meta = kad_memory_meta(i, kad_memory_host(i % 7));
    handles[i] = kad_memory_add(&fixture, &record, &meta);
  }

  size_t before = kad_store_bytes(fixture.store);
  for (size_t i = 0; i < 50; i++) {
    kad_store_remove(fixture.store, handles[(i * 7) % 50]);
    assert_true(kad_store_bytes(fixture.store) < before);
    before = kad_store_bytes(fixture.store);
  }

  assert_int_equal(before, 0);
  assert_int_equal(kad_store_count(fixture.store), 0);
  assert_int_equal(fixture.counting.bytes, empty);
  assert_int_equal(fixture.counting.blocks, 1);
  kad_memory_close(&fixture);
}

static void freeing_the_store_frees_its_records(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);

  kad_memory_add_many(&fixture, kad_memory_host(1), 0, 30);

  kad_memory_close(&fixture);
}

/* ---------------------------------------------------------------- size -- */

enum {
  KEYS_APART = 1,
  HOSTS_APART = 2,
  WIDE_HOSTS = 4,
  LONG_KEYS = 8,
  SWARMS_OF_TEN = 16
};

static uint32_t key_number(unsigned choice, uint32_t i) {
  if ((choice & SWARMS_OF_TEN) != 0) {
    return i / 10;
  }
  return (choice & KEYS_APART) != 0 ? i : 0;
}

/* Makes a plain value of `len` bytes; 0: the peer at `host`. */
static struct kad_record make_record(uint32_t key, size_t len,
                                     const struct kad_address *host,
                                     uint8_t *compact) {
  struct kad_record record = kad_memory_record(key, "");
  record.value = (struct kad_slice){bytes, len};
  if (len == 0) {
    record.type = kad_slice_of("peers");
    record.value = (struct kad_slice){compact, kad_address_pack(host, compact)};
  }
  return record;
}

/* Checks that a plain value of `len` bytes, or a peer (0), takes at most
 * `limit` bytes, by the counts of the store and of the allocator. Checks stores
 * of many sizes, because arrays grow in steps. */
static void assert_bytes_per_record(unsigned choice, size_t len, size_t limit) {
  enum {
    RECORDS = 9000
  };
  struct kad_memory_fixture fixture;
  uint8_t compact[KAD_COMPACT_IP6];
  kad_memory_open(&fixture);
  size_t empty = fixture.counting.bytes;
  for (uint32_t i = 0; i < RECORDS; i++) {
    uint32_t number = (choice & HOSTS_APART) != 0 ? i : i / 64;
    const struct kad_address host = (choice & WIDE_HOSTS) != 0
                                        ? kad_memory_wide_host(number)
                                        : kad_memory_host(number);
    struct kad_record record =
        make_record(key_number(choice, i), len, &host, compact);
    record.key.bytes[KAD_ID_SIZE - 1] = (choice & LONG_KEYS) != 0;
    struct kad_record_meta meta = kad_memory_meta(i, host);
    kad_memory_add(&fixture, &record, &meta);
    if (i >= 1000) {
      size_t taken = fixture.counting.bytes - empty;
      assert_in_range(taken, 0, limit * (i + 1));
      assert_in_range(taken, 0, kad_store_bytes(fixture.store) + 1024);
      assert_in_range(kad_store_bytes(fixture.store) / (i + 1), 0,
                      limit + limit / 4);
    }
  }
  kad_memory_close(&fixture);
}

static void takes_at_most_24_bytes_a_peer_of_a_large_swarm(void **state) {
  (void)state;

  assert_bytes_per_record(HOSTS_APART, 0, 24);
  assert_bytes_per_record(0, 0, 24);
}

static void takes_at_most_40_bytes_a_peer_of_ipv6(void **state) {
  (void)state;

  assert_bytes_per_record(HOSTS_APART | WIDE_HOSTS, 0, 40);
}

static void takes_at_most_60_bytes_a_peer_of_a_small_swarm(void **state) {
  (void)state;

  assert_bytes_per_record(SWARMS_OF_TEN | HOSTS_APART, 0, 60);
  assert_bytes_per_record(SWARMS_OF_TEN | HOSTS_APART | LONG_KEYS, 0, 60);
  assert_bytes_per_record(SWARMS_OF_TEN | HOSTS_APART | WIDE_HOSTS, 0, 60);
}

static void takes_at_most_200_bytes_a_peer_that_is_alone(void **state) {
  (void)state;

  assert_bytes_per_record(KEYS_APART | HOSTS_APART, 0, 200);
  assert_bytes_per_record(KEYS_APART | HOSTS_APART | WIDE_HOSTS, 0, 200);
}

static void takes_at_most_300_bytes_a_value_of_100(void **state) {
  (void)state;

  assert_bytes_per_record(KEYS_APART, 100, 250);
  assert_bytes_per_record(KEYS_APART | HOSTS_APART | WIDE_HOSTS | LONG_KEYS,
                          100, 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(out_of_memory_makes_no_store),
      cmocka_unit_test(failed_allocation_changes_nothing),
      cmocka_unit_test(expected_records_move_no_index),
      cmocka_unit_test(expecting_records_without_memory_does_no_harm),
      cmocka_unit_test(removing_the_last_record_frees_all_memory),
      cmocka_unit_test(freeing_the_store_frees_its_records),
      cmocka_unit_test(takes_at_most_24_bytes_a_peer_of_a_large_swarm),
      cmocka_unit_test(takes_at_most_40_bytes_a_peer_of_ipv6),
      cmocka_unit_test(takes_at_most_60_bytes_a_peer_of_a_small_swarm),
      cmocka_unit_test(takes_at_most_200_bytes_a_peer_that_is_alone),
      cmocka_unit_test(takes_at_most_300_bytes_a_value_of_100),
  };
  return cmocka_run_group_tests_name("memory_store_size", tests, NULL, NULL);
}
