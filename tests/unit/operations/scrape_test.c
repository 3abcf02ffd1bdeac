/* Scraping a torrent in an overlay (BEP 33). Tests core/operations/get_peers.c.
 */
#include "kadenza_scrape.h"
#include "overlay.h"
#include "unit.h"

#include <math.h>
#include <string.h>

enum {
  NODES = 40,
  SEEDS = 12,
  PEERS = 20
};

static struct kad_overlay overlay;
static struct kad_ending ending;

static int open_forty(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 3);
  kad_overlay_grow(&overlay, NODES);
  kad_ending_init(&ending, &overlay);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_deinit(&ending);
  kad_overlay_close(&overlay);
  return 0;
}

static void announce(size_t node, const struct kad_id *key, bool seed) {
  const struct kad_lookup_options options = {.seed = seed};
  struct kad_ending announced;
  kad_ending_init(&announced, &overlay);
  assert_ok(kad_node_announce(overlay.nodes[node], key, 0, &options,
                              kad_ending_done, &announced, NULL));
  assert_ok(kad_ending_await(&announced));
  kad_ending_deinit(&announced);
}

static int get_peers(size_t node, const struct kad_id *key,
                     const struct kad_lookup_options *options) {
  assert_ok(kad_node_get_peers(overlay.nodes[node], key, options,
                               kad_ending_done, &ending, NULL));
  return kad_ending_await(&ending);
}

/* What the callback saw: it is borrowed there. */
struct seen {
  int status;
  bool has_scrape;
  struct kad_scrape scrape;
  bool done;
};

static void on_scraped(void *data, const struct kad_result *result) {
  struct seen *seen = data;
  seen->done = true;
  seen->status = result->status;
  seen->has_scrape = result->scrape != NULL;
  if (result->scrape != NULL) {
    seen->scrape = *result->scrape;
  }
}

static struct seen scrape(size_t node, const struct kad_id *key) {
  const struct kad_lookup_options options = {.scrape = true};
  struct seen seen = {.done = false};
  assert_ok(kad_node_get_peers(overlay.nodes[node], key, &options, on_scraped,
                               &seen, NULL));
  kad_network_run(overlay.network, KAD_MINUTE_MS);
  assert_true(seen.done);
  return seen;
}

static void a_scrape_counts_seeds_and_other_peers_of_all_holders(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);
  for (size_t i = 0; i < SEEDS + PEERS; i++) {
    announce(i, &key, i < SEEDS);
  }

  const struct seen seen = scrape(NODES - 1, &key);

  assert_ok(seen.status);
  assert_true(seen.has_scrape);
  assert_in_range(seen.scrape.seeds, SEEDS - 1, SEEDS + 1);
  assert_in_range(seen.scrape.peers, PEERS - 2, PEERS + 2);
  for (size_t i = 0; i < SEEDS + PEERS; i++) {
    const struct kad_address peer = kad_overlay_address(i);
    assert_true(kad_filter_has(
        i < SEEDS ? seen.scrape.seed_filter : seen.scrape.peer_filter, &peer));
  }
}

static void a_holder_scrapes_what_it_holds_itself(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);
  size_t holder = 0;
  announce(1, &key, true);
  (void)kad_overlay_closest(&overlay, &key, NULL, &holder, 1);

  const struct seen seen = scrape(holder, &key);

  assert_ok(seen.status);
  assert_int_equal(seen.scrape.seeds, 1);
  assert_int_equal(seen.scrape.peers, 0);
}

static void a_scrape_of_nothing_finds_nothing(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);
  const struct seen seen = scrape(3, &key);
  assert_int_equal(seen.status, KAD_ENOTFOUND);
  assert_false(seen.has_scrape);
}

static void noseed_returns_no_seeds(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(9);
  const struct kad_lookup_options options = {.noseed = true};
  announce(1, &key, true);
  announce(2, &key, false);

  assert_ok(get_peers(20, &key, &options));

  const struct kad_address peer = kad_overlay_address(2);
  assert_int_equal(ending.result.peer_count, 1);
  assert_true(kad_address_equal(&ending.result.peers[0], &peer));
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, open_forty, close_overlay)
      TEST(a_scrape_counts_seeds_and_other_peers_of_all_holders),
      TEST(a_holder_scrapes_what_it_holds_itself),
      TEST(a_scrape_of_nothing_finds_nothing),
      TEST(noseed_returns_no_seeds),
  };
  return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
