/* Values expire. Before that, one of their holders republishes them each
 * period. Source: Kademlia §2.5. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  K = 8,
  SIZE = 50,
  PUTTER = 5,
  HOURS = 6,
  SEED = 51,
  OVERLAYS = 8
};

static struct kad_overlay overlay;
static struct kad_id key;

static void open_overlay(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  kad_overlay_grow(&overlay, SIZE);
  key = kad_overlay_key(1);
}

static int begin(void **state) {
  (void)state;
  open_overlay(SEED);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

static void put(uint32_t ttl) {
  struct kad_record record = kad_overlay_record(&key, "v");
  record.ttl = ttl;
  assert_ok(kad_overlay_put(&overlay, PUTTER, &record, NULL));
}

/* Opens a node whose id differs from the key only in bit `bit`, so that it is
 * closer than the nodes before, and has it join. */
static void add_closer(unsigned bit) {
  overlay.config.has_id = true;
  overlay.config.id = key;
  overlay.config.id.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
  (void)kad_overlay_add(&overlay);
  overlay.config.has_id = false;
  kad_overlay_join(&overlay, overlay.count - 1, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
}

/* Kademlia §2.5: "key-value pairs expire 24 hours after their publication". */
static void values_expire(void **state) {
  (void)state;
  put(2 * 3600);
  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS - KAD_MINUTE_MS);
  assert_true(kad_overlay_sums(&overlay).held >= K);

  kad_overlay_run(&overlay, 2 * KAD_MINUTE_MS);

  assert_int_equal(kad_overlay_sums(&overlay).held, 0);
}

/* Kademlia §2.5: "when a node receives a store RPC for a pair, it assumes the
 * RPC was also issued to the other k - 1 closest nodes, and does not republish
 * it in the next hour". */
static void one_holder_republishes_for_all(void **state) {
  (void)state;
  put(0);
  const struct kad_overlay_sums before = kad_overlay_sums(&overlay);
  kad_overlay_run(&overlay, HOURS * KAD_HOUR_MS);
  const struct kad_overlay_sums after = kad_overlay_sums(&overlay);

  /* A second holder may be due while the first one republishes. */
  assert_in_range(after.republishes - before.republishes, HOURS - 1, HOURS + 2);
  assert_in_range(after.stores - before.stores, (HOURS - 1) * (K - 1),
                  (HOURS + 2) * K);
}

/* Returns how often a record was republished in HOURS hours, after K nodes have
 * joined closer to its key. */
static uint64_t republishes_after_closer_joined(void) {
  put(0);
  for (unsigned i = 0; i < K; i++) {
    add_closer(10 + i);
  }
  assert_true(kad_overlay_sums(&overlay).held >= 2 * K);
  const struct kad_overlay_sums before = kad_overlay_sums(&overlay);
  kad_overlay_run(&overlay, HOURS * KAD_HOUR_MS);
  return kad_overlay_sums(&overlay).republishes - before.republishes;
}

/* Former holders, which are not among the k closest any more because closer
 * nodes have joined, get no stores: each would republish by itself, K + 1 times
 * an hour in all. That two of the k closest are due at once varies with the
 * seed: hence several overlays. */
static void former_holders_leave_it_to_the_k_closest(void **state) {
  uint64_t republishes = republishes_after_closer_joined();
  for (uint64_t seed = SEED + 1; seed < SEED + OVERLAYS; seed++) {
    (void)end(state);
    open_overlay(seed);
    republishes += republishes_after_closer_joined();
  }
  assert_in_range(republishes, OVERLAYS * (HOURS - 1), OVERLAYS * HOURS * 2);
}

/* Former holders republish a record that the closest node lacks. */
static void former_holders_republish_what_the_closest_lacks(void **state) {
  (void)state;
  overlay.config.max_records = 0; /* new nodes reject all records at first */
  put(0);
  for (unsigned i = 0; i < K; i++) {
    add_closer(60 + i);
  }
  const struct kad_overlay_sums before = kad_overlay_sums(&overlay);
  assert_int_equal(before.held, K);
  kad_overlay_run(&overlay, HOURS * KAD_HOUR_MS);
  const struct kad_overlay_sums after = kad_overlay_sums(&overlay);

  assert_true(after.republishes - before.republishes >= HOURS - 1);
  assert_true(after.held >= K);
}

#define IN_OVERLAY(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(values_expire),
      IN_OVERLAY(one_holder_republishes_for_all),
      IN_OVERLAY(former_holders_leave_it_to_the_k_closest),
      IN_OVERLAY(former_holders_republish_what_the_closest_lacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
