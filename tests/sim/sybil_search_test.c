/* Vertical sybils: an attacker gathers ids around one key, so that it receives
 * all stores and searches for the key. */
#include "operations/sybil_search.h"

#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  K = 8,
  HONEST = 1000,
  SYBILS = 100,
  GETS = 60,
  LOOKUPS = 12, /* of an honest node, so that it can estimate the size */
  /* Bytes that the ids of sybils share with their key. Two are enough for ids
   * that are closer than any honest one; five make them implausible. */
  PLAUSIBLE = 2,
  IMPLAUSIBLE = 5
};

static struct kad_overlay overlay;

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

/* Opens a node whose id begins with `shared` bytes of `key`, and has it join.
 */
static void open_sybil(const struct kad_id *key, size_t shared) {
  const struct kad_sim_hostility hostility = {
      .behaviour = KAD_SIM_BEHAVIOUR_SYBIL, .key = *key};
  overlay.config.has_id = true;
  overlay.config.id = *key;
  kad_network_random(overlay.network, overlay.config.id.bytes + shared,
                     20 - shared);
  struct kad_node *node = kad_overlay_add(&overlay);
  overlay.config.has_id = false;
  assert_ok(kad_sim_set_behaviour(overlay.network, node, &hostility));
  kad_overlay_join(&overlay, overlay.count - 1, 0);
  kad_overlay_run(&overlay, KAD_SECOND_MS / 10);
}

static void surround(const struct kad_id *key, size_t shared) {
  for (size_t i = 0; i < SYBILS; i++) {
    open_sybil(key, shared);
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
}

/* Has node `i` look up some keys, as a node in use does. */
static void look_up_some(size_t i) {
  for (unsigned n = 0; n < LOOKUPS; n++) {
    const struct kad_id key = kad_overlay_key(1000 + 20 * (unsigned)i + n);
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_find_node(overlay.nodes[i], &key, NULL, kad_ending_done,
                                 &ending, NULL));
    (void)kad_ending_reach(&ending);
    kad_ending_deinit(&ending);
  }
}

/* Puts a value from node `i`. Returns true if the put found the key dense. */
static bool put(size_t i, const struct kad_id *key) {
  const struct kad_record record = kad_overlay_record(key, "v");
  struct kad_ending ending;
  look_up_some(i);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_overlay_put(&overlay, i, &record, &ending));
  const bool searched = ending.result.dense_key;
  kad_ending_deinit(&ending);
  return searched;
}

/* Returns how many of GETS gets, each at another honest node, find the value.
 */
static size_t count_found(const struct kad_id *key) {
  size_t found = 0;
  size_t searched = 0;
  size_t messages = 0;
  for (size_t i = 0; i < GETS; i++) {
    const size_t reader = 1 + i * (HONEST / GETS);
    struct kad_ending ending;
    look_up_some(reader);
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_get(overlay.nodes[reader], key, kad_slice_of("value"),
                           NULL, kad_ending_done, &ending, NULL));
    found += kad_ending_reach(&ending) == 0;
    searched += ending.result.dense_key;
    messages += ending.result.messages;
    kad_ending_deinit(&ending);
  }
  print_message("%zu of %d found, %zu searched, %zu messages each\n", found,
                GETS, searched, messages / GETS);
  return found;
}

static void begin(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  kad_overlay_grow(&overlay, HONEST);
}

static void a_value_is_found_despite_later_sybils(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  begin(61);
  assert_false(put(3, &key));
  surround(&key, PLAUSIBLE);
  assert_true(count_found(&key) * 100 >= (size_t)GETS * 95);
}

static void a_value_is_found_despite_earlier_sybils(void **state) {
  const struct kad_id key = kad_overlay_key(2);
  (void)state;
  begin(62);
  surround(&key, PLAUSIBLE);
  assert_true(put(3, &key));
  assert_true(count_found(&key) * 100 >= (size_t)GETS * 95);
}

/* Sybils that are too close to the key hold nothing, and need no search. */
static void implausible_sybils_are_no_holders(void **state) {
  const struct kad_id key = kad_overlay_key(3);
  (void)state;
  begin(63);
  surround(&key, IMPLAUSIBLE);
  assert_false(put(3, &key));
  assert_true(count_found(&key) * 100 >= (size_t)GETS * 95);
}

/* Opens a sybil of `key` at an address of the attacker's subnet. */
static void open_neighbour(const struct kad_id *key, uint8_t number) {
  const struct kad_address address = {
      .ip = {90, 0, 0, number}, .port = 6881, .family = 4};
  const struct kad_address known = kad_overlay_address(0);
  const struct kad_sim_hostility hostility = {
      .behaviour = KAD_SIM_BEHAVIOUR_SYBIL, .key = *key};
  struct kad_config config = overlay.config;
  struct kad_node *node;
  config.has_id = true;
  config.id = *key;
  config.id.bytes[19] ^= number;
  assert_ok(
      kad_network_open_node(overlay.network, &config, &address, 1, &node));
  assert_ok(kad_sim_set_behaviour(overlay.network, node, &hostility));
  assert_ok(kad_node_bootstrap(node, &known, 1, NULL, NULL, NULL));
  kad_overlay_run(&overlay, KAD_SECOND_MS);
}

/* At most two of a /24 are in the closest set of a lookup, as in a bucket: many
 * addresses are cheaper than many networks. */
static void a_lookup_takes_two_of_one_subnet(void **state) {
  const struct kad_id key = kad_overlay_key(5);
  struct kad_ending ending;
  size_t of_subnet = 0;
  (void)state;
  kad_overlay_open(&overlay, 64);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  kad_overlay_grow(&overlay, 100);
  for (uint8_t i = 1; i <= 20; i++) {
    open_neighbour(&key, i);
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_find_node(overlay.nodes[50], &key, NULL, kad_ending_done,
                               &ending, NULL));
  assert_ok(kad_ending_reach(&ending));
  assert_int_equal(ending.result.closest_count, K);
  for (size_t i = 0; i < K; i++) {
    of_subnet += ending.result.closest[i].address.ip[0] == 90;
  }
  kad_ending_deinit(&ending);
  assert_int_equal(of_subnet, 2);
}

/* Operations that are not attacked rarely search. */
static void an_honest_overlay_rarely_has_dense_keys(void **state) {
  unsigned searched = 0;
  (void)state;
  kad_overlay_open(&overlay, 63);
  overlay.config.secure_ids = KAD_SECURE_IDS_OFF; /* ids are chosen here */
  kad_overlay_grow(&overlay, 300);
  for (unsigned i = 0; i < 300; i++) {
    const struct kad_id key = kad_overlay_key(i);
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_get(overlay.nodes[i % 10], &key, kad_slice_of("value"),
                           NULL, kad_ending_done, &ending, NULL));
    (void)kad_ending_reach(&ending);
    searched += ending.result.dense_key;
    kad_ending_deinit(&ending);
  }
  print_message("%u of 300 searched\n", searched);
  assert_true(searched <= 3);
}

#define RULE(test) cmocka_unit_test_teardown(test, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(a_value_is_found_despite_later_sybils),
      RULE(a_value_is_found_despite_earlier_sybils),
      RULE(implausible_sybils_are_no_holders),
      RULE(a_lookup_takes_two_of_one_subnet),
      RULE(an_honest_overlay_rarely_has_dense_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
