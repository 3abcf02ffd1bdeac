/* Kademlia §2.3, refresh; BEP 5 "Routing Table", liveness; and the traffic of a
 * node that does nothing else. Tests core/membership. */
#include "overlay.h"
#include "unit.h"
#include "watch.h"

enum {
  SIZE = 100,
  WATCHED = 7,
  PERIOD_MS = KAD_HOUR_MS
};

static struct kad_overlay overlay;
static struct kad_watch watch;

/* Opens an overlay and runs it until it is quiet: the joins have refreshed the
 * buckets, and own-id lookups are rare. */
static void open_quiet(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, 2 * PERIOD_MS);
}

/* "Refresh any bucket to which there were no node lookups in the past hour." In
 * an overlay of 100 nodes the three farthest buckets are full. */
static void an_idle_bucket_is_refreshed_each_period(void **state) {
  (void)state;
  open_quiet(1);
  kad_watch_begin(&watch, &overlay, WATCHED);
  kad_overlay_run(&overlay, 4 * PERIOD_MS);
  for (unsigned bits = 0; bits < 3; bits++) {
    assert_in_range(kad_watch_in_bucket(&watch, bits), 3, 4);
  }
  kad_overlay_close(&overlay);
}

/* A bucket with lookups of the user, here bucket 0, is not refreshed. */
static void a_bucket_in_use_is_not_refreshed(void **state) {
  (void)state;
  open_quiet(2);
  struct kad_id used = overlay.ids[WATCHED];
  used.bytes[0] ^= 0x80;
  kad_overlay_run(&overlay, PERIOD_MS);
  assert_ok(kad_node_find_node(overlay.nodes[WATCHED], &used, NULL, NULL, NULL,
                               NULL));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  kad_watch_begin(&watch, &overlay, WATCHED);
  for (unsigned i = 0; i < 8; i++) {
    assert_ok(kad_node_find_node(overlay.nodes[WATCHED], &used, NULL, NULL,
                                 NULL, NULL));
    kad_overlay_run(&overlay, PERIOD_MS / 2);
  }
  assert_int_equal(kad_watch_in_bucket(&watch, 0), 1); /* the user's */
  assert_in_range(kad_watch_in_bucket(&watch, 1), 3, 4);
  kad_overlay_close(&overlay);
}

/* The own-id lookup refreshes the bucket of our own id. */
static void the_own_id_is_looked_up_each_period(void **state) {
  (void)state;
  open_quiet(3);
  for (unsigned i = 0; i < 3; i++) {
    kad_watch_begin(&watch, &overlay, WATCHED);
    kad_overlay_run(&overlay, PERIOD_MS + PERIOD_MS / 5);
    assert_true(kad_watch_has_own_id(&watch));
  }
  kad_overlay_close(&overlay);
}

/* Returns how many entries the live nodes have for the `count` nodes from
 * `first`. */
static size_t count_known(size_t first, size_t count) {
  size_t known = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    for (size_t j = first; overlay.nodes[i] != NULL && j < first + count; j++) {
      known += kad_overlay_knows(&overlay, i, j, NULL);
    }
  }
  return known;
}

/* Kademlia §2.2: a contact that fails to respond is removed. */
static void dead_contacts_leave_every_table(void **state) {
  enum {
    DEAD = 5
  };
  (void)state;
  open_quiet(4);
  const size_t known = count_known(SIZE - DEAD, DEAD);
  for (size_t i = SIZE - DEAD; i < SIZE; i++) {
    kad_overlay_kill(&overlay, i);
  }
  assert_true(known > 50);
  kad_overlay_run(&overlay, PERIOD_MS);
  assert_int_equal(count_known(SIZE - DEAD, DEAD), 0);
  kad_overlay_close(&overlay);
}

/* One lost datagram does not make a contact bad: two queries in a row must
 * fail.
 */
static void live_contacts_stay_when_datagrams_are_lost(void **state) {
  size_t contacts = 0;
  (void)state;
  kad_overlay_open_lossy(&overlay, 5, 0.05);
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, 2 * PERIOD_MS);
  for (size_t i = 0; i < SIZE; i++) {
    contacts += kad_node_contacts(overlay.nodes[i], NULL, 0);
  }
  kad_overlay_run(&overlay, 2 * PERIOD_MS);
  size_t later = 0;
  for (size_t i = 0; i < SIZE; i++) {
    later += kad_node_contacts(overlay.nodes[i], NULL, 0);
  }
  assert_true(later * 100 >= contacts * 95);
  kad_overlay_close(&overlay);
}

/* The queries of all nodes. */
struct traffic {
  uint64_t queries;
  uint64_t probes;
  uint64_t verifications;
  uint64_t maintenance_queries;
};

static struct traffic count_traffic(void) {
  struct traffic traffic = {0};
  for (size_t i = 0; i < overlay.count; i++) {
    if (overlay.nodes[i] != NULL) {
      const struct kad_stats stats = kad_overlay_stats(&overlay, i);
      traffic.queries += stats.queries;
      traffic.probes += stats.liveness_checks;
      traffic.verifications += stats.verifications;
      traffic.maintenance_queries += stats.maintenance_queries;
    }
  }
  return traffic;
}

/* The traffic of a quiet node in an hour, by kind, in an overlay of 300 nodes.
 */
static void a_quiet_node_sends_few_queries(void **state) {
  enum {
    MANY = 300
  };
  (void)state;
  kad_overlay_open(&overlay, 6);
  kad_overlay_grow(&overlay, MANY);
  kad_overlay_run(&overlay, PERIOD_MS);
  const struct traffic before = count_traffic();
  kad_overlay_run(&overlay, PERIOD_MS);
  const struct traffic after = count_traffic();
  const uint64_t node_minutes = (uint64_t)MANY * 60;
  const uint64_t queries = after.queries - before.queries;
  const uint64_t probes = after.probes - before.probes;
  const uint64_t verifications = after.verifications - before.verifications;
  const uint64_t maintenance_queries =
      after.maintenance_queries - before.maintenance_queries;
  /* Queries of running lookups are not counted yet. */
  const uint64_t kinds = probes + verifications + maintenance_queries;
  assert_in_range(queries + MANY, kinds, kinds + 2 * MANY);
  assert_true(queries <= 4 * node_minutes);
  assert_true(probes >= node_minutes);
  assert_true(probes * 10 <= 25 * node_minutes);
  assert_true(maintenance_queries * 10 <= 15 * node_minutes);
  assert_true(verifications * 10 <= 3 * node_minutes);
  kad_overlay_close(&overlay);
}

/* With k = 20, refreshes still look for 8 nodes. */
static void refresh_has_a_width_of_8(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 9);
  overlay.config.k = 20;
  kad_overlay_grow(&overlay, 2 * SIZE);
  kad_overlay_run(&overlay, PERIOD_MS);
  const struct traffic before = count_traffic();
  uint64_t lookups = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    lookups -= kad_overlay_stats(&overlay, i).lookups;
  }
  kad_overlay_run(&overlay, 2 * PERIOD_MS);
  for (size_t i = 0; i < overlay.count; i++) {
    lookups += kad_overlay_stats(&overlay, i).lookups;
  }
  const uint64_t maintenance_queries =
      count_traffic().maintenance_queries - before.maintenance_queries;
  assert_in_range(maintenance_queries, 8 * lookups, 14 * lookups);
  kad_overlay_close(&overlay);
}

/* The check interval adapts: a third of all nodes die, and for a while the
 * others send many more checks than when quiet. */
static void checks_are_more_frequent_while_contacts_are_dead(void **state) {
  (void)state;
  open_quiet(7);
  const uint64_t start = count_traffic().probes;
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  const uint64_t quiet = (count_traffic().probes - start) / SIZE;
  for (size_t i = SIZE * 2 / 3; i < SIZE; i++) {
    kad_overlay_kill(&overlay, i);
  }
  const uint64_t death = count_traffic().probes;
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  const uint64_t restless = (count_traffic().probes - death) / (SIZE * 2 / 3);
  assert_true(restless >= 2 * quiet);
  kad_overlay_run(&overlay, PERIOD_MS);
  const uint64_t rest = count_traffic().probes;
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  const uint64_t again = (count_traffic().probes - rest) / (SIZE * 2 / 3);
  assert_true(again * 2 <= restless);
  kad_overlay_close(&overlay);
}

/* A stranger that the table has no use for is not verified: strangers that
 * query us do not double the traffic. */
static void useless_strangers_are_not_pinged(void **state) {
  enum {
    MANY = 300
  };
  (void)state;
  kad_overlay_open(&overlay, 8);
  kad_overlay_grow(&overlay, MANY);
  kad_overlay_run(&overlay, PERIOD_MS);
  const uint64_t before = kad_overlay_stats(&overlay, 0).verifications;
  const uint64_t served = kad_overlay_stats(&overlay, 0).served_find_node;
  for (unsigned round = 0; round < 20; round++) {
    for (size_t i = 1; i < MANY; i++) {
      const struct kad_address to = kad_overlay_address(0);
      assert_ok(kad_node_ping(overlay.nodes[i], &to, NULL, NULL, NULL));
    }
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
  }
  assert_true(kad_overlay_stats(&overlay, 0).served_find_node >= served);
  const uint64_t pinged = kad_overlay_stats(&overlay, 0).verifications - before;
  assert_in_range(pinged, 0, 4 * 20);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_idle_bucket_is_refreshed_each_period),
      cmocka_unit_test(a_bucket_in_use_is_not_refreshed),
      cmocka_unit_test(the_own_id_is_looked_up_each_period),
      cmocka_unit_test(dead_contacts_leave_every_table),
      cmocka_unit_test(live_contacts_stay_when_datagrams_are_lost),
      cmocka_unit_test(a_quiet_node_sends_few_queries),
      cmocka_unit_test(refresh_has_a_width_of_8),
      cmocka_unit_test(checks_are_more_frequent_while_contacts_are_dead),
      cmocka_unit_test(useless_strangers_are_not_pinged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
