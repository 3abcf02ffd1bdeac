/* An overlay of 1,000 simulated nodes. Tests core/sim, core/lookup. */
#include "kadenza.h"
#include "kadenza_sim.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  MANY = 1000,
  SOME = 60,
  JOIN_EVERY_MS = 50,
  MINUTE = 60000
};

/* An overlay whose nodes join one after the other and then look up each other.
 */
struct overlay {
  struct kad_network *network;
  struct kad_node **nodes;
  size_t count;
  size_t joined;
  size_t ended;
  size_t found;
  uint32_t messages;
  uint32_t most_hops;
};

/* A lookup of one node by another. */
struct search {
  struct overlay *overlay;
  const struct kad_id *target;
};

static struct kad_address address_of(size_t i) {
  struct kad_address address = {.family = 4, .port = 6881};
  address.ip[0] = 10;
  address.ip[1] = (uint8_t)(i >> 8);
  address.ip[2] = (uint8_t)i;
  address.ip[3] = 1;
  return address;
}

static void count_join(void *data, const struct kad_result *result) {
  struct overlay *overlay = data;
  if (result->status == 0) {
    overlay->joined++;
  }
}

static void check_search(void *data, const struct kad_result *result) {
  const struct search *search = data;
  struct overlay *overlay = search->overlay;
  overlay->ended++;
  overlay->messages += result->messages;
  if (result->hops > overlay->most_hops) {
    overlay->most_hops = result->hops;
  }
  if (result->status == 0 && result->closest_count > 0 &&
      kad_id_equal(&result->closest[0].id, search->target)) {
    overlay->found++;
  }
}

static void open_overlay(struct overlay *overlay, size_t count, uint64_t seed) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = seed;
  *overlay = (struct overlay){.count = count};
  overlay->nodes = calloc(count, sizeof(struct kad_node *));
  assert_non_null(overlay->nodes);
  assert_ok(
      kad_network_sim_new(&config, kad_allocator_default(), &overlay->network));
}

/* Joins each node by the first one. */
static void join_all(struct overlay *overlay) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  const struct kad_address first = address_of(0);
  for (size_t i = 0; i < overlay->count; i++) {
    const struct kad_address address = address_of(i);
    assert_ok(kad_network_open_node(overlay->network, &config, &address, 1,
                                    &overlay->nodes[i]));
    if (i > 0) {
      assert_ok(kad_node_bootstrap(overlay->nodes[i], &first, 1, count_join,
                                   overlay, NULL));
    }
    kad_network_run(overlay->network, JOIN_EVERY_MS);
  }
  kad_network_run(overlay->network, MINUTE);
}

/* Looks up, from each node, one that joined long before or after it. */
static void search_all(struct overlay *overlay) {
  struct search *searches = calloc(overlay->count, sizeof *searches);
  assert_non_null(searches);
  for (size_t i = 0; i < overlay->count; i++) {
    const size_t other = (i + overlay->count / 2 + 1) % overlay->count;
    searches[i].overlay = overlay;
    searches[i].target = kad_node_id(overlay->nodes[other]);
    assert_ok(kad_node_find_node(overlay->nodes[i], searches[i].target, NULL,
                                 check_search, &searches[i], NULL));
  }
  kad_network_run(overlay->network, MINUTE);
  assert_int_equal(overlay->ended, overlay->count);
  free(searches);
}

static void close_overlay(struct overlay *overlay) {
  kad_network_free(overlay->network);
  free(overlay->nodes);
}

static void thousand_nodes_join_and_find_each_other(void **state) {
  (void)state;
  struct overlay overlay;
  open_overlay(&overlay, MANY, 1);

  join_all(&overlay);
  search_all(&overlay);

  print_message("# %zu joined, %zu found; %.1f messages a look-up, %u hops at "
                "most\n",
                overlay.joined, overlay.found,
                (double)overlay.messages / (double)MANY, overlay.most_hops);
  assert_int_equal(overlay.joined, MANY - 1);
  assert_int_equal(overlay.found, MANY);
  close_overlay(&overlay);
}

static uint64_t trace_of(uint64_t seed) {
  struct overlay overlay;
  open_overlay(&overlay, SOME, seed);
  join_all(&overlay);
  search_all(&overlay);
  const uint64_t trace = kad_network_trace_hash(overlay.network);
  close_overlay(&overlay);
  return trace;
}

static void same_seed_gives_the_same_overlay(void **state) {
  (void)state;

  const uint64_t trace = trace_of(11);

  assert_int_equal(trace_of(11), trace);
  assert_int_not_equal(trace_of(12), trace);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(thousand_nodes_join_and_find_each_other),
      cmocka_unit_test(same_seed_gives_the_same_overlay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
