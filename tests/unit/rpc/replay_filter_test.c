#include "rpc/replay_filter.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

enum {
  SPAN_MS = 600000
};

struct world {
  struct kad_counting_allocator counting;
  struct kad_replay_filter filter;
  kad_time_ms now;
};

static int begin(void **state) {
  static struct world it;
  it = (struct world){.now = 1000};
  kad_counting_init(&it.counting);
  kad_replay_filter_init(&it.filter, &it.counting.allocator, SPAN_MS, it.now);
  *state = &it;
  return 0;
}

static int end(void **state) {
  struct world *it = *state;
  kad_replay_filter_deinit(&it->filter);
  kad_counting_deinit(&it->counting);
  return 0;
}

/* Admits nonce `number`: SplitMix64 makes its bytes. */
static bool admit(struct world *it, uint64_t number) {
  uint8_t nonce[24] = {0};
  uint64_t z = (number + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  z ^= z >> 31;
  memcpy(nonce, &z, sizeof z);
  return kad_replay_filter_admit(&it->filter, nonce, it->now);
}

static void nonce_is_admitted_once(void **state) {
  struct world *it = *state;
  for (unsigned round = 0; round < 3; round++) {
    for (uint64_t i = 0; i < 5000; i++) {
      assert_int_equal(admit(it, i), round == 0);
    }
  }
}

static void nonce_of_zeros_is_one_too(void **state) {
  struct world *it = *state;
  static const uint8_t zeros[24];
  assert_true(kad_replay_filter_admit(&it->filter, zeros, it->now));
  assert_false(kad_replay_filter_admit(&it->filter, zeros, it->now));
}

static void nonce_is_remembered_for_the_span(void **state) {
  struct world *it = *state;
  for (unsigned minute = 0; minute < 60; minute++) {
    assert_true(admit(it, minute));
    for (unsigned back = 1; back <= 10 && back <= minute; back++) {
      assert_false(admit(it, minute - back));
    }
    it->now += 60000;
  }
}

/* The memory does not grow with the time that passes. */
static void nonce_is_forgotten_after_twice_the_span(void **state) {
  struct world *it = *state;
  assert_true(admit(it, 1));
  for (unsigned i = 0; i < 3; i++) {
    it->now += SPAN_MS + 1;
    assert_true(admit(it, 100 + i));
  }
  assert_true(admit(it, 1));
}

static void full_filter_remembers_the_latest(void **state) {
  struct world *it = *state;
  const uint64_t count = 5 * (uint64_t)KAD_REPLAY_MAX / 2;
  for (uint64_t i = 0; i < count; i++) {
    assert_true(admit(it, i));
  }
  for (uint64_t i = count - KAD_REPLAY_MAX; i < count; i++) {
    assert_false(admit(it, i));
  }
  const size_t table = 2 * (size_t)KAD_REPLAY_MAX * sizeof(uint64_t);
  assert_true(it->counting.bytes <= 2 * table);
  assert_true(admit(it, 0));
}

static void filter_of_an_idle_node_is_small(void **state) {
  struct world *it = *state;
  assert_int_equal(it->counting.bytes, 0);
  assert_true(admit(it, 1));
  assert_in_range(it->counting.bytes, 1, 512);
}

/* Without memory, fewer nonces are remembered; datagrams still pass. */
static void no_memory_shortens_the_memory(void **state) {
  struct world *it = *state;
  it->counting.limit_bytes = 0;
  assert_true(admit(it, 1));
  assert_true(admit(it, 1));
  it->counting.limit_bytes = SIZE_MAX;
  assert_true(admit(it, 1));
  assert_false(admit(it, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(nonce_is_admitted_once),
      TEST(nonce_of_zeros_is_one_too),
      TEST(nonce_is_remembered_for_the_span),
      TEST(nonce_is_forgotten_after_twice_the_span),
      TEST(full_filter_remembers_the_latest),
      TEST(filter_of_an_idle_node_is_small),
      TEST(no_memory_shortens_the_memory),
#undef TEST
  };
  return cmocka_run_group_tests_name("replay_filter", tests, NULL, NULL);
}
