/* Joining an overlay, and joining it again. */
#include "overlay.h"
#include "unit.h"

#include <stdlib.h>

enum {
  NODES = 60,
  K = 8
};

static struct kad_overlay overlay;
static struct kad_ending ending;

static int open_sixty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 10, NODES);
  return 0;
}

static int open_empty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 9, 0);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

/* Starts a join with `count` bootstrap addresses, those of node `first` and the
 * next ones. */
static void start_join(size_t i, size_t first, size_t count) {
  struct kad_address *known = calloc(count + 1, sizeof *known);
  assert_non_null(known);
  for (size_t j = 0; j < count; j++) {
    known[j] = kad_overlay_address(first + j);
  }
  assert_ok(kad_node_bootstrap(overlay.nodes[i], known, count, kad_ending_done,
                               &ending, NULL));
  free(known);
}

static bool has_contact(const struct kad_node *node, const struct kad_id *id) {
  static struct kad_contact_info contacts[KAD_OVERLAY_MAX];
  const size_t count = kad_node_contacts(node, contacts, KAD_OVERLAY_MAX);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&contacts[i].contact.id, id)) {
      return true;
    }
  }
  return false;
}

/* Has each of `count` nodes join with the address of node 0. Takes two minutes.
 */
static void join_all(size_t count) {
  const struct kad_address known = kad_overlay_address(0);
  for (size_t i = 1; i < count; i++) {
    assert_ok(
        kad_node_bootstrap(overlay.nodes[i], &known, 1, NULL, NULL, NULL));
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
  kad_overlay_run(&overlay, 2 * KAD_MINUTE_MS);
}

/* Fails if one of `count` nodes has fewer than k contacts. */
static void check_not_split(size_t count, uint64_t seed) {
  for (size_t i = 0; i < count; i++) {
    if (kad_node_contacts(overlay.nodes[i], NULL, 0) < K) {
      fail_msg("seed %d: node %zu is on an island", (int)seed, i);
    }
  }
}

static void lost_datagrams_do_not_split_the_overlay(void **state) {
  (void)state;
  enum {
    COUNT = 40
  };
  for (uint64_t seed = 1; seed <= 5; seed++) {
    kad_overlay_open_lossy(&overlay, seed, 0.3);
    for (size_t i = 0; i < COUNT; i++) {
      (void)kad_overlay_add(&overlay);
    }

    join_all(COUNT);

    check_not_split(COUNT, seed);
    kad_overlay_close(&overlay);
  }
}

static void new_node_and_its_neighbours_are_contacts(void **state) {
  (void)state;
  size_t closest[K];
  struct kad_node *node = kad_overlay_add(&overlay);
  assert_int_equal(kad_node_state(node), KAD_STATE_NEW);

  start_join(NODES, 0, 1);

  assert_int_equal(kad_node_state(node), KAD_STATE_JOINING);
  assert_ok(kad_ending_await(&ending));
  assert_int_equal(kad_node_state(node), KAD_STATE_HEALTHY);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  (void)kad_overlay_closest(&overlay, &overlay.ids[NODES], node, closest, K);
  for (size_t i = 0; i < K; i++) {
    assert_true(has_contact(node, &overlay.ids[closest[i]]));
    assert_true(has_contact(overlay.nodes[closest[i]], &overlay.ids[NODES]));
  }
}

/* After the lookup of its own id, the node refreshes each bucket farther than
 * its closest neighbour. */
static void buckets_farther_than_the_neighbour_are_refreshed(void **state) {
  (void)state;
  size_t closest[1];
  size_t in_bucket[KAD_ID_SIZE * 8 + 1] = {0};
  size_t known[KAD_ID_SIZE * 8 + 1] = {0};
  struct kad_node *node = kad_overlay_add(&overlay);
  const struct kad_id *own = &overlay.ids[NODES];

  start_join(NODES, 0, 1);
  assert_ok(kad_ending_await(&ending));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  (void)kad_overlay_closest(&overlay, own, node, closest, 1);
  const unsigned neighbour = kad_id_prefix(own, &overlay.ids[closest[0]]);
  const uint64_t refreshes = kad_overlay_stats(&overlay, NODES).refreshes;
  assert_in_range(refreshes, 3, neighbour);
  for (size_t i = 0; i < NODES; i++) {
    const unsigned bucket = kad_id_prefix(own, &overlay.ids[i]);
    in_bucket[bucket]++;
    known[bucket] += has_contact(node, &overlay.ids[i]);
  }
  for (unsigned i = 0; i < neighbour; i++) {
    const size_t most = in_bucket[i] < K ? in_bucket[i] : K;
    assert_true(known[i] + 2 >= most);
  }
}

static void join_with_dead_addresses_fails(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);

  start_join(NODES, 100, 3);

  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  assert_int_equal(kad_node_state(overlay.nodes[NODES]), KAD_STATE_JOINING);
}

static void one_live_address_of_many_is_enough(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);

  /* 199 dead addresses, then node 0. */
  struct kad_address known[200];
  for (size_t i = 0; i < 199; i++) {
    known[i] = kad_overlay_address(1000 + i);
  }
  known[199] = kad_overlay_address(0);
  assert_ok(kad_node_bootstrap(overlay.nodes[NODES], known, 200,
                               kad_ending_done, &ending, NULL));

  assert_ok(kad_ending_await(&ending));
  assert_true(ending.result.took_ms < 20000);
  assert_true(ending.result.closest_count >= K);
}

/* The node that answers first may have no contacts. Those that answer later
 * count as well. */
static void later_answers_count_as_well(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay); /* has not joined */
  for (size_t i = NODES + 1; i < NODES + 11; i++) {
    const struct kad_address known[] = {kad_overlay_address(NODES),
                                        kad_overlay_address(3)};
    struct kad_ending joined;
    kad_ending_init(&joined, &overlay);
    struct kad_node *node = kad_overlay_add(&overlay);
    assert_ok(
        kad_node_bootstrap(node, known, 2, kad_ending_done, &joined, NULL));
    assert_ok(kad_ending_reach(&joined));
    assert_true(joined.result.closest_count >= K);
    kad_ending_deinit(&joined);
    kad_overlay_kill(&overlay, NODES);
    kad_overlay_revive(&overlay, NODES);
  }
}

static void many_addresses_are_pinged_some_at_a_time(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);

  start_join(NODES, 1000, 200);
  kad_overlay_run(&overlay, 1);

  assert_int_equal(kad_overlay_stats(&overlay, NODES).queries, 16);
  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  assert_int_equal(kad_overlay_stats(&overlay, NODES).queries >= 200, true);
}

static void surplus_addresses_are_ignored(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);

  start_join(NODES, 1000, 300);

  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  const uint64_t queries = kad_overlay_stats(&overlay, NODES).queries;
  assert_in_range(queries, 256, 2 * 256 + 16);
}

static void first_node_has_no_contacts_until_another_joins(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);
  (void)kad_overlay_add(&overlay);

  start_join(0, 0, 0);
  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  kad_overlay_join(&overlay, 1, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_int_equal(overlay.joined, 1);
  assert_int_equal(kad_node_state(overlay.nodes[0]), KAD_STATE_HEALTHY);
  assert_int_equal(kad_node_state(overlay.nodes[1]), KAD_STATE_HEALTHY);
}

static void own_address_among_the_addresses_is_harmless(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);

  start_join(0, 0, 1);

  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  assert_int_equal(kad_overlay_stats(&overlay, 0).contacts, 0);
}

/* Returns the number of queries that node 0 sends in the next `span_ms`. */
static uint64_t queries_in(kad_time_ms span_ms) {
  const uint64_t before = kad_overlay_stats(&overlay, 0).queries;
  kad_overlay_run(&overlay, span_ms);
  return kad_overlay_stats(&overlay, 0).queries - before;
}

static void dead_bootstrap_is_pinged_less_and_less_often(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);
  start_join(0, 1, 1);

  const uint64_t first = queries_in(2 * KAD_MINUTE_MS);
  const uint64_t second = queries_in(2 * KAD_MINUTE_MS);
  (void)queries_in(KAD_HOUR_MS);
  const uint64_t hour = queries_in(KAD_HOUR_MS);

  assert_in_range(first, 12, 24); /* three pings for each join */
  assert_in_range(second, 3, first - 1);
  assert_in_range(hour, 15, 24);
  assert_int_equal(kad_node_state(overlay.nodes[0]), KAD_STATE_JOINING);
}

static void node_joins_when_its_bootstrap_starts(void **state) {
  (void)state;
  (void)kad_overlay_add(&overlay);
  start_join(0, 1, 1);
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);

  (void)kad_overlay_add(&overlay);
  kad_overlay_run(&overlay, 15 * KAD_MINUTE_MS);

  assert_int_equal(kad_node_state(overlay.nodes[0]), KAD_STATE_HEALTHY);
  assert_int_equal(kad_node_state(overlay.nodes[1]), KAD_STATE_HEALTHY);
  assert_int_equal(ending.calls, 1);
}

static void node_joins_in_both_families(void **state) {
  (void)state;
  static struct kad_contact_info contacts[KAD_OVERLAY_MAX];
  overlay.dual = true;
  kad_overlay_grow(&overlay, 30);

  for (size_t i = 0; i < 30; i++) {
    const size_t count =
        kad_node_contacts(overlay.nodes[i], contacts, KAD_OVERLAY_MAX);
    size_t of_v6 = 0;
    for (size_t j = 0; j < count; j++) {
      of_v6 += contacts[j].contact.address.family == 6;
    }
    assert_true(of_v6 >= K);
    assert_true(count - of_v6 >= K);
  }
}

/* Only the bootstrap address of one family answers. */
static void node_of_both_families_joins_by_one(void **state) {
  (void)state;
  const struct kad_address known[] = {kad_overlay_address(77),
                                      kad_overlay_address6(0)};
  overlay.dual = true;
  kad_overlay_grow(&overlay, 20);
  struct kad_node *node = kad_overlay_add(&overlay);

  assert_ok(kad_node_bootstrap(node, known, 2, kad_ending_done, &ending, NULL));

  assert_ok(kad_ending_await(&ending));
  assert_int_equal(ending.result.closest_count, K);
  assert_int_equal(ending.result.closest[0].address.family, 6);
}

static void isolated_node_joins_again_when_the_network_heals(void **state) {
  (void)state;
  struct kad_node *node = overlay.nodes[1];
  for (size_t i = 0; i < NODES; i++) {
    if (i != 1) {
      kad_overlay_kill(&overlay, i);
    }
  }

  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS);
  assert_int_equal(kad_node_state(node), KAD_STATE_ISOLATED);
  assert_true(kad_overlay_stats(&overlay, 1).contacts > K);
  assert_int_equal(kad_overlay_stats(&overlay, 1).contacts_good, 0);
  /* Its bootstrap contact, node 0, does not return. The others do, without
   * contacts. */
  for (size_t i = 2; i < NODES; i++) {
    kad_overlay_revive(&overlay, i);
  }
  kad_overlay_run(&overlay, 30 * KAD_MINUTE_MS);

  assert_int_equal(kad_node_state(node), KAD_STATE_HEALTHY);
  assert_true(kad_overlay_stats(&overlay, 1).contacts_good >= K);
}

static void node_with_most_contacts_dead_is_degraded(void **state) {
  (void)state;
  struct kad_node *node = overlay.nodes[1];
  for (size_t i = 2; i < NODES; i++) {
    if (i % 6 != 0) {
      kad_overlay_kill(&overlay, i);
    }
  }
  bool degraded = false;

  for (unsigned i = 0; i < 3600 && !degraded; i++) {
    kad_overlay_run(&overlay, KAD_SECOND_MS);
    degraded = kad_node_state(node) == KAD_STATE_DEGRADED;
  }

  assert_true(degraded);
  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS);
  assert_int_equal(kad_node_state(node), KAD_STATE_HEALTHY);
}

static void states_have_names(void **state) {
  (void)state;
  assert_string_equal(kad_state_name(KAD_STATE_NEW), "new");
  assert_string_equal(kad_state_name(KAD_STATE_JOINING), "joining");
  assert_string_equal(kad_state_name(KAD_STATE_HEALTHY), "healthy");
  assert_string_equal(kad_state_name(KAD_STATE_DEGRADED), "degraded");
  assert_string_equal(kad_state_name(KAD_STATE_ISOLATED), "isolated");
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_sixty, close_overlay)
#define IN_NOTHING(test) \
  cmocka_unit_test_setup_teardown(test, open_empty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(new_node_and_its_neighbours_are_contacts),
      IN_OVERLAY(buckets_farther_than_the_neighbour_are_refreshed),
      IN_OVERLAY(join_with_dead_addresses_fails),
      IN_OVERLAY(one_live_address_of_many_is_enough),
      IN_OVERLAY(later_answers_count_as_well),
      IN_OVERLAY(many_addresses_are_pinged_some_at_a_time),
      IN_OVERLAY(surplus_addresses_are_ignored),
      IN_NOTHING(first_node_has_no_contacts_until_another_joins),
      IN_NOTHING(own_address_among_the_addresses_is_harmless),
      IN_NOTHING(dead_bootstrap_is_pinged_less_and_less_often),
      IN_NOTHING(node_joins_when_its_bootstrap_starts),
      IN_NOTHING(node_joins_in_both_families),
      IN_NOTHING(node_of_both_families_joins_by_one),
      IN_OVERLAY(isolated_node_joins_again_when_the_network_heals),
      IN_OVERLAY(node_with_most_contacts_dead_is_degraded),
      cmocka_unit_test(lost_datagrams_do_not_split_the_overlay),
      cmocka_unit_test(states_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
