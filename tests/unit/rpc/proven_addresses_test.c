#include "rpc/proven_addresses.h"

#include "base/time.h"
#include "counting_allocator.h"
#include "unit.h"

static const uint8_t secret[16] = {3, 1, 4};

struct table {
  struct kad_counting_allocator counting;
  struct kad_proven_addresses proven;
  kad_time_ms now;
};

static int begin(void **state) {
  static struct table it;
  it = (struct table){.now = 1000};
  kad_counting_init(&it.counting);
  kad_proven_addresses_init(&it.proven, &it.counting.allocator, secret);
  *state = &it;
  return 0;
}

static int end(void **state) {
  struct table *it = *state;
  kad_proven_addresses_deinit(&it->proven);
  kad_counting_deinit(&it->counting);
  return 0;
}

static struct kad_address ip4(uint32_t ip) {
  return (struct kad_address){
      .ip = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
             (uint8_t)ip},
      .port = 6881,
      .family = 4,
  };
}

static void add(struct table *it, struct kad_address address) {
  kad_proven_addresses_add(&it->proven, &address, it->now);
}

static bool has(const struct table *it, struct kad_address address) {
  return kad_proven_addresses_has(&it->proven, &address, it->now);
}

static void proof_is_of_one_address_with_all_its_ports(void **state) {
  struct table *it = *state;
  struct kad_address address = ip4(0x08080808);
  assert_false(has(it, address));

  add(it, address);

  assert_true(has(it, address));
  address.port = 1;
  assert_true(has(it, address));
  assert_false(has(it, ip4(0x08080809)));
}

/* Another address of the same /64 may be a victim's. */
static void proof_of_ip6_is_of_the_whole_address(void **state) {
  struct table *it = *state;
  struct kad_address address = {.ip = {0x26, 6}, .port = 1, .family = 6};
  add(it, address);
  assert_true(has(it, address));
  address.ip[15] = 1;
  assert_false(has(it, address));
  address = (struct kad_address){.ip = {0x26, 6}, .port = 1, .family = 4};
  assert_false(has(it, address));
}

static void proof_counts_for_ten_minutes_after_the_last_one(void **state) {
  struct table *it = *state;
  const struct kad_address address = ip4(1);
  add(it, address);
  it->now += 599 * KAD_MS_PER_S;
  assert_true(has(it, address));
  add(it, address);
  it->now += 599 * KAD_MS_PER_S;
  assert_true(has(it, address));
  it->now += KAD_MS_PER_S;
  assert_false(has(it, address));
}

static void no_proof_is_lost_while_the_table_grows(void **state) {
  struct table *it = *state;
  for (uint32_t i = 0; i < 500; i++) {
    add(it, ip4(0x01000000 + i));
    it->now++;
  }
  for (uint32_t i = 0; i < 500; i++) {
    assert_true(has(it, ip4(0x01000000 + i)));
    assert_false(has(it, ip4(0x02000000 + i)));
  }
}

static void old_proofs_make_room_without_growth(void **state) {
  struct table *it = *state;
  for (uint32_t i = 0; i < 16; i++) {
    add(it, ip4(0x01000000 + i));
  }
  const size_t bytes = it->counting.bytes;
  for (uint32_t i = 0; i < 1000; i++) {
    it->now += KAD_PROVEN_S * KAD_MS_PER_S;
    add(it, ip4(0x02000000 + i));
    assert_true(has(it, ip4(0x02000000 + i)));
  }
  assert_int_equal(it->counting.bytes, bytes);
}

static void table_is_bounded_and_keeps_the_newest(void **state) {
  struct table *it = *state;
  for (uint32_t i = 0; i < 100000; i++) {
    add(it, ip4(0x01000000 + i));
    assert_true(has(it, ip4(0x01000000 + i)));
  }
  assert_true(it->counting.bytes <= 65536);
}

static void table_works_without_memory(void **state) {
  struct table *it = *state;
  kad_counting_fail_at(&it->counting, 0);
  add(it, ip4(1));
  assert_false(has(it, ip4(1)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(proof_is_of_one_address_with_all_its_ports),
      TEST(proof_of_ip6_is_of_the_whole_address),
      TEST(proof_counts_for_ten_minutes_after_the_last_one),
      TEST(no_proof_is_lost_while_the_table_grows),
      TEST(old_proofs_make_room_without_growth),
      TEST(table_is_bounded_and_keeps_the_newest),
      TEST(table_works_without_memory),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
