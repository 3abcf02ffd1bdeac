/* Kademlia §2.3, joining: the lookups of a newcomer, and their buckets.
 * Tests core/membership, core/operations/join.c. */
#include "overlay.h"
#include "unit.h"
#include "watch.h"

enum {
  SIZE = 120,
  NEWCOMER = SIZE
};

static struct kad_overlay overlay;
static struct kad_watch watch;

/* Opens an overlay, and a newcomer that joins through node 0 and whose lookups
 * are watched. Runs for half a minute: the own-id lookups after the join start
 * later than the refreshes. */
static void join_watched(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  kad_overlay_grow(&overlay, SIZE);
  (void)kad_overlay_add(&overlay);
  kad_watch_begin(&watch, &overlay, NEWCOMER);
  kad_overlay_join(&overlay, NEWCOMER, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS / 2);
}

/* Returns the number of leading bits that the newcomer shares with the closest
 * node. */
static unsigned neighbour_bucket(void) {
  size_t closest[1];
  const struct kad_id *own = &overlay.ids[NEWCOMER];
  (void)kad_overlay_closest(&overlay, own, overlay.nodes[NEWCOMER], closest, 1);
  return kad_id_prefix(own, &overlay.ids[closest[0]]);
}

/* "It then performs a node lookup for its own node ID." */
static void joining_looks_up_the_own_id(void **state) {
  (void)state;
  join_watched(1);
  assert_true(kad_watch_has_own_id(&watch));
  assert_true(kad_id_equal(&watch.targets[0], &overlay.ids[NEWCOMER]));
  kad_overlay_close(&overlay);
}

/* "Finally, it refreshes all k-buckets further away than its closest
 * neighbour." Buckets that the table has not split count as one. */
static void joining_refreshes_each_bucket_beyond_the_neighbour(void **state) {
  (void)state;
  join_watched(2);
  const unsigned neighbour = neighbour_bucket();
  assert_true(neighbour >= 4);
  for (unsigned bits = 0; bits < neighbour - 3; bits++) {
    assert_int_equal(kad_watch_in_bucket(&watch, bits), 1);
  }
  assert_true(watch.count - 1 <= neighbour);
  kad_overlay_close(&overlay);
}

/* "…by a random id in that bucket": a different one each time. */
static void refreshes_of_a_bucket_use_different_ids(void **state) {
  struct kad_id first[KAD_WATCH_MAX];
  (void)state;
  join_watched(3);
  const size_t count = watch.count;
  for (size_t i = 0; i < count; i++) {
    first[i] = watch.targets[i];
  }
  kad_overlay_kill(&overlay, NEWCOMER);
  kad_watch_clear(&watch);
  kad_overlay_revive(&overlay, NEWCOMER);
  kad_overlay_join(&overlay, NEWCOMER, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS / 2);
  assert_true(count > 3);
  assert_true(watch.count > 3);
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < watch.count; j++) {
      const bool is_same = kad_id_equal(&first[i], &watch.targets[j]);
      const bool is_own = kad_id_equal(&first[i], &overlay.ids[NEWCOMER]);
      assert_true(!is_same || is_own);
    }
  }
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(joining_looks_up_the_own_id),
      cmocka_unit_test(joining_refreshes_each_bucket_beyond_the_neighbour),
      cmocka_unit_test(refreshes_of_a_bucket_use_different_ids),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
