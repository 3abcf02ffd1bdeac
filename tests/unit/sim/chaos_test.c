/* All that a simulation may do to nodes, in random order. Tests core/sim. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  PLACES = 24,
  STEPS = 300,
  SEEDS = 3
};

struct chaos {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_node *nodes[PLACES]; /* NULL: free place */
  size_t places[PLACES];          /* numbers of their addresses */
  size_t next_place;
  uint64_t state; /* of the test's own random numbers */
};

static size_t draw(struct chaos *chaos, size_t count) {
  chaos->state = chaos->state * 6364136223846793005U + 1442695040888963407U;
  return (size_t)(chaos->state >> 33) % count;
}

/* The errors that other nodes may cause. */
static void assert_done(int error) {
  if (error != KAD_EADDRINUSE) {
    assert_ok(error);
  }
}

static void open_node(struct chaos *chaos, size_t i) {
  struct kad_config config;
  kad_config_default(&config);
  chaos->places[i] = chaos->next_place++;
  const struct kad_address listen = kad_overlay_address(chaos->places[i]);
  assert_ok(kad_network_open_node(chaos->network, &config, &listen, 1,
                                  &chaos->nodes[i]));
  struct kad_address known[PLACES];
  for (size_t n = 0; n < PLACES; n++) {
    known[n] = kad_overlay_address(chaos->places[n]);
  }
  assert_ok(
      kad_node_bootstrap(chaos->nodes[i], known, PLACES, NULL, NULL, NULL));
}

static void end_node(struct chaos *chaos, size_t i, bool crash) {
  if (crash) {
    assert_ok(kad_sim_kill(chaos->network, chaos->nodes[i]));
  } else {
    kad_network_close_node(chaos->network, chaos->nodes[i]);
  }
  chaos->nodes[i] = NULL;
}

static void change_behaviour(struct chaos *chaos, struct kad_node *node) {
  const struct kad_sim_hostility how = {
      .behaviour = (enum kad_sim_behaviour)draw(chaos, KAD_SIM_BEHAVIOUR_COUNT),
      .key = kad_overlay_key((unsigned)draw(chaos, 2)),
      .per_s = (uint32_t)draw(chaos, 50),
  };
  assert_ok(kad_sim_set_behaviour(chaos->network, node, &how));
}

static void change_nat(struct chaos *chaos, struct kad_node *node) {
  struct kad_sim_nat nat = {
      .kind =
          (enum kad_sim_nat_kind)draw(chaos, KAD_SIM_NAT_KIND_SYMMETRIC + 1),
      .idle_s = (uint32_t)draw(chaos, 100),
  };
  if (draw(chaos, 2) == 0) {
    nat.outer = kad_overlay_address(9000 + draw(chaos, 2));
  }
  assert_done(kad_sim_set_nat(chaos->network, node, &nat));
}

static void start_get(struct chaos *chaos, struct kad_node *node) {
  const struct kad_id key = kad_overlay_key((unsigned)draw(chaos, 5));
  const struct kad_record record = kad_overlay_record(&key, "chaos");
  const int error = draw(chaos, 2) == 0
                        ? kad_node_get(node, &key, kad_slice_of("value"), NULL,
                                       NULL, NULL, NULL)
                        : kad_node_put(node, &record, NULL, NULL, NULL, NULL);
  assert_true(error == 0 || error == KAD_EBUSY);
}

static void move(struct chaos *chaos, size_t i) {
  const size_t place =
      draw(chaos, 4) == 0 ? draw(chaos, PLACES) : chaos->next_place++;
  const struct kad_address listen = kad_overlay_address(place);
  const int error = kad_sim_move(chaos->network, chaos->nodes[i], &listen, 1);
  assert_done(error);
  if (error == 0) {
    chaos->places[i] = place;
  }
}

/* Does something random to the open node at `i`. */
static void disturb(struct chaos *chaos, size_t i) {
  struct kad_network *network = chaos->network;
  struct kad_node *node = chaos->nodes[i];
  switch (draw(chaos, 12)) {
  case 0:
    assert_ok(kad_sim_set_group(network, node, (uint32_t)draw(chaos, 3)));
    break;
  case 1:
    assert_ok(kad_sim_heal(network));
    break;
  case 2:
    assert_ok(kad_sim_suspend(network, node, draw(chaos, 2) == 0));
    break;
  case 3:
    assert_ok(kad_sim_resume(network, node));
    break;
  case 4:
    assert_ok(kad_sim_set_clock(network, node,
                                (int32_t)draw(chaos, 200000) - 100000,
                                (int64_t)draw(chaos, 10000)));
    break;
  case 5:
    assert_ok(kad_sim_set_bandwidth(network, node, draw(chaos, 5000)));
    break;
  case 6:
    move(chaos, i);
    break;
  case 7:
    change_nat(chaos, node);
    break;
  case 8:
    change_behaviour(chaos, node);
    break;
  case 9:
    end_node(chaos, i, draw(chaos, 2) == 0);
    break;
  default:
    start_get(chaos, node);
  }
}

/* Checks that every datagram has one outcome, after all have arrived. */
static void assert_all_are_accounted_for(struct chaos *chaos) {
  struct kad_sim_stats stats;
  for (size_t i = 0; i < PLACES; i++) {
    if (chaos->nodes[i] != NULL) {
      end_node(chaos, i, false);
    }
  }
  kad_network_run(chaos->network, KAD_TIME_NEVER);
  assert_ok(kad_sim_read_stats(chaos->network, &stats));
  assert_int_equal(stats.sent + stats.duplicated,
                   stats.delivered + stats.lost + stats.congested +
                       stats.partitioned + stats.suspended + stats.filtered +
                       stats.unreachable + stats.dropped);
  assert_true(stats.delivered > 1000);
  assert_int_equal(stats.dropped, 0);
}

static void open_network(struct chaos *chaos, uint64_t seed) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = seed;
  config.latency = KAD_SIM_LATENCY_LOG_NORMAL;
  config.jitter_ms = 30;
  config.loss = 0.02;
  config.duplicate = 0.02;
  config.reorder = 0.02;
  *chaos = (struct chaos){.state = seed, .next_place = PLACES};
  kad_counting_init(&chaos->counting);
  assert_ok(
      kad_network_sim_new(&config, chaos->counting.allocator, &chaos->network));
}

/* Returns the hash of a run with this seed. */
static uint64_t run(uint64_t seed) {
  struct chaos chaos;
  open_network(&chaos, seed);
  for (unsigned step = 0; step < STEPS; step++) {
    const size_t i = draw(&chaos, PLACES);
    if (chaos.nodes[i] == NULL) {
      open_node(&chaos, i);
    } else {
      disturb(&chaos, i);
    }
    kad_network_run(chaos.network, draw(&chaos, 10 * KAD_SECOND_MS));
  }
  assert_all_are_accounted_for(&chaos);
  const uint64_t hash = kad_network_trace_hash(chaos.network);
  kad_network_free(chaos.network);
  kad_counting_deinit(&chaos.counting);
  return hash;
}

static void two_runs_of_a_seed_are_the_same(void **state) {
  (void)state;
  uint64_t last = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    print_message("# seed %u\n", (unsigned)seed);
    const uint64_t hash = run(seed);
    assert_int_equal(run(seed), hash);
    assert_int_not_equal(hash, last);
    last = hash;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_runs_of_a_seed_are_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
