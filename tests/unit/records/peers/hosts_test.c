#include "records/peers/hosts.h"

#include "counting_allocator.h"
#include "records/memory/memory_store.h"
#include "unit.h"

#include <string.h>

enum {
  HOSTS = 700, /* some buckets */
  SWARMS = 5,
  SAMPLE = 8
};

/* An index of hosts, and how many peers it must have. */
struct index {
  struct kad_counting_allocator counting;
  struct kad_hosts hosts;
  uint32_t expected[HOSTS][SWARMS];
};

static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = "sixteen bytes..";

static void set_up(struct index *index, size_t host_size) {
  *index = (struct index){0};
  kad_counting_init(&index->counting);
  kad_hosts_init(&index->hosts, host_size, secret);
}

static void tear_down(struct index *index) {
  kad_hosts_clear(&index->hosts, &index->counting.allocator);
  assert_int_equal(index->counting.bytes, 0);
  kad_counting_deinit(&index->counting);
}

/* Returns a host; hosts differ in their last bytes, and in their first. */
static const uint8_t *host_at(uint32_t number) {
  static uint8_t host[KAD_HOST_SIZE_MAX];
  memset(host, 0, sizeof host);
  host[0] = (uint8_t)number;
  host[3] = (uint8_t)(number >> 8);
  return host;
}

static void add(struct index *index, uint32_t host, uint32_t swarm) {
  assert_ok(kad_hosts_reserve(&index->hosts, &index->counting.allocator,
                              host_at(host)));
  kad_hosts_add(&index->hosts, host_at(host), swarm);
  index->expected[host][swarm]++;
}

static void remove_one(struct index *index, uint32_t host, uint32_t swarm) {
  kad_hosts_remove(&index->hosts, &index->counting.allocator, host_at(host),
                   swarm);
  index->expected[host][swarm]--;
}

static size_t expected_of(const struct index *index, uint32_t host) {
  size_t count = 0;
  for (uint32_t swarm = 0; swarm < SWARMS; swarm++) {
    count += index->expected[host][swarm];
  }
  return count;
}

static void assert_counts(struct index *index) {
  size_t total = 0;
  size_t most = 0;
  for (uint32_t i = 0; i < HOSTS; i++) {
    const size_t expected = expected_of(index, i);
    assert_int_equal(kad_hosts_count(&index->hosts, host_at(i)), expected);
    total += expected;
    most = expected > most ? expected : most;
  }
  uint8_t host[KAD_HOST_SIZE_MAX];
  uint32_t swarms[SAMPLE];
  size_t count = 0;
  assert_int_equal(index->hosts.count, total);
  assert_int_equal(
      kad_hosts_largest(&index->hosts, host, swarms, SAMPLE, &count), most);
  assert_int_equal(count, most < SAMPLE ? most : SAMPLE);
  if (most > 0) {
    const uint32_t number = host[0] | (uint32_t)host[3] << 8;
    assert_int_equal(expected_of(index, number), most);
    for (size_t i = 0; i < count; i++) {
      assert_true(index->expected[number][swarms[i]] > 0);
    }
  }
}

static uint32_t next_random(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + 1;
  return (uint32_t)(*seed >> 33);
}

/* Many are added at first, and many removed in the end. */
static void random_changes_count_like_a_table(void **state) {
  (void)state;
  static struct index index;
  for (size_t size = 4; size <= KAD_HOST_SIZE_MAX; size += 4) {
    uint64_t seed = size;
    set_up(&index, size);
    for (uint32_t i = 0; i < 20000; i++) {
      const uint32_t host = next_random(&seed) % HOSTS;
      const uint32_t swarm = next_random(&seed) % SWARMS;
      const bool grows = next_random(&seed) % 20000 > i;
      if (grows) {
        add(&index, host, swarm);
      } else if (index.expected[host][swarm] > 0) {
        remove_one(&index, host, swarm);
      }
      if (i % 500 == 0) {
        assert_counts(&index);
      }
    }
    assert_true(index.hosts.bucket_count > 10);
    tear_down(&index);
  }
}

static void gives_back_memory(void **state) {
  (void)state;
  static struct index index;
  set_up(&index, 4);
  for (uint32_t i = 0; i < HOSTS * SWARMS; i++) {
    add(&index, i % HOSTS, i / HOSTS);
  }
  const size_t full = index.counting.bytes;
  assert_in_range(full, 0, kad_hosts_bytes(&index.hosts));

  for (uint32_t i = 0; i < HOSTS * SWARMS; i++) {
    remove_one(&index, i % HOSTS, i / HOSTS);
  }

  assert_in_range(index.counting.bytes, 0, full / 8);
  assert_int_equal(kad_hosts_bytes(&index.hosts), 0);
  tear_down(&index);
}

/* Without memory for another bucket the others hold more. */
static void stays_whole_when_out_of_memory(void **state) {
  (void)state;
  static struct index index;
  set_up(&index, 8);
  size_t failures = 0;
  for (uint32_t i = 0; i < HOSTS; i++) {
    int status = KAD_ENOMEM;
    for (size_t n = 0; status != 0; n++) {
      kad_counting_fail_at(&index.counting, n);
      status = kad_hosts_reserve(&index.hosts, &index.counting.allocator,
                                 host_at(i));
      failures += status != 0;
    }
    kad_hosts_add(&index.hosts, host_at(i), 1);
    index.expected[i][1]++;
  }

  assert_true(failures > 10);
  kad_counting_fail_at(&index.counting, SIZE_MAX);
  assert_counts(&index);
  tear_down(&index);
}

static void one_host_can_have_all_peers(void **state) {
  (void)state;
  static struct index index;
  uint8_t host[KAD_HOST_SIZE_MAX];
  uint32_t swarms[4];
  size_t count = 0;
  set_up(&index, 4);
  for (uint32_t i = 0; i < 5000; i++) {
    assert_ok(
        kad_hosts_reserve(&index.hosts, &index.counting.allocator, host_at(1)));
    kad_hosts_add(&index.hosts, host_at(1), i);
  }

  assert_int_equal(kad_hosts_count(&index.hosts, host_at(1)), 5000);
  assert_int_equal(kad_hosts_largest(&index.hosts, host, swarms, 4, &count),
                   5000);
  assert_memory_equal(host, host_at(1), 4);
  for (uint32_t i = 0; i < 4; i++) {
    assert_int_equal(swarms[i], i * 1250); /* spread over all */
  }
  tear_down(&index);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_changes_count_like_a_table),
      cmocka_unit_test(gives_back_memory),
      cmocka_unit_test(stays_whole_when_out_of_memory),
      cmocka_unit_test(one_host_can_have_all_peers),
  };
  return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
