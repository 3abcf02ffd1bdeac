/* BEP 42 "Enforcement": what secure_ids does against nodes that chose their ids
 * near a key: sybils, which name only each other, and drop what they should
 * store. Tests core/lookup/paths.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  HONEST = 120,
  HOSTILE = 24, /* more than the k closest, each in a network of its own */
  ALL = HONEST + HOSTILE,
  K = 8,
  READERS = 20
};

static struct kad_overlay overlay;

/* Gets the value under `wanted` from node `i`. Returns the status. */
static int get(size_t i, const struct kad_id *wanted) {
  struct kad_ending ending;
  kad_ending_init(&ending, &overlay);
  const int status =
      kad_overlay_get(&overlay, i, wanted, "value", NULL, &ending);
  kad_ending_deinit(&ending);
  return status;
}
static struct kad_id key;

/* What became of the key. */
struct outcome {
  size_t honest;  /* holders */
  size_t found;   /* of READERS gets */
  size_t hostile; /* contacts in the tables of honest nodes */
  uint64_t queries;
};

/* Joins the node that was added last. */
static void join(void) {
  kad_overlay_join(&overlay, overlay.count - 1, 0);
  kad_overlay_run(&overlay, 100);
}

/* Makes node `i` a sybil of the key: it names only other sybils, and says that
 * it stores what it drops. */
static void turn_hostile(size_t i) {
  const struct kad_sim_hostility hostility = {
      .behaviour = KAD_SIM_BEHAVIOUR_SYBIL, .key = key};
  assert_ok(
      kad_sim_set_behaviour(overlay.network, overlay.nodes[i], &hostility));
}

/* Opens the honest nodes, and the hostile ones round the key: closer than any
 * honest one, but not so close that lookups find them implausible. */
static void open_overlay(uint8_t secure_ids) {
  kad_overlay_open(&overlay, 4);
  overlay.config.secure_ids = secure_ids;
  kad_overlay_grow(&overlay, HONEST);
  key = kad_overlay_key(1);
  for (size_t i = 0; i < HOSTILE; i++) {
    overlay.config.id = key;
    overlay.config.id.bytes[1] ^= (uint8_t)(i + 1);
    overlay.config.has_id = true;
    (void)kad_overlay_add(&overlay);
    join();
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  for (size_t i = HONEST; i < ALL; i++) {
    turn_hostile(i);
  }
}

static void count_hostile(struct outcome *outcome) {
  for (size_t i = 0; i < HONEST; i++) {
    for (size_t j = HONEST; j < ALL; j++) {
      outcome->hostile += kad_overlay_knows(&overlay, i, j, NULL);
    }
  }
}

/* Puts a record under the key, and gets it from many nodes. */
static struct outcome run(uint8_t secure_ids) {
  struct outcome outcome = {0};
  open_overlay(secure_ids);
  count_hostile(&outcome);
  const struct kad_record record = kad_overlay_record(&key, "v");
  (void)kad_overlay_put(&overlay, 1, &record, NULL);
  for (size_t i = 0; i < HONEST; i++) {
    outcome.honest += kad_overlay_held(&overlay, i) > 0;
  }
  uint64_t before = 0;
  for (size_t i = 0; i < READERS; i++) {
    before += kad_overlay_stats(&overlay, 20 + i).queries;
    outcome.found += get(20 + i, &key) == 0;
    outcome.queries += kad_overlay_stats(&overlay, 20 + i).queries;
  }
  outcome.queries -= before;
  kad_overlay_close(&overlay);
  print_message("honest holders %zu of %d, found %zu of %d, hostile contacts "
                "%zu, queries %llu\n",
                outcome.honest, K, outcome.found, READERS, outcome.hostile,
                (unsigned long long)outcome.queries);
  return outcome;
}

static void prefer_stores_at_nodes_whose_ids_fit(void **state) {
  (void)state;
  const struct outcome off = run(KAD_SECURE_IDS_OFF);
  const struct outcome prefer = run(KAD_SECURE_IDS_PREFER);
  assert_true(prefer.honest >= K - 1);
  assert_int_equal(prefer.found, READERS);
  assert_true(2 * prefer.queries <= off.queries); /* needs no sybil search */
}

static void enforce_keeps_others_out_of_tables_and_lookups(void **state) {
  (void)state;
  const struct outcome prefer = run(KAD_SECURE_IDS_PREFER);
  const struct outcome enforce = run(KAD_SECURE_IDS_ENFORCE);
  assert_true(prefer.hostile > 0);
  assert_int_equal(enforce.hostile, 0);
  assert_true(enforce.honest >= K);
  assert_int_equal(enforce.found, READERS);
  assert_true(enforce.queries <= prefer.queries);
}

/* BEP 42 "Backwards Compatibility": requests of nodes whose id does not fit are
 * always served, stores included. */
static void enforcing_nodes_serve_those_whose_ids_do_not_fit(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 5);
  overlay.config.secure_ids = KAD_SECURE_IDS_ENFORCE;
  kad_overlay_grow(&overlay, HONEST);
  overlay.config.secure_ids = KAD_SECURE_IDS_PREFER;
  overlay.config.id = kad_overlay_key(9);
  overlay.config.has_id = true;
  (void)kad_overlay_add(&overlay);
  join();
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  key = kad_overlay_key(2);
  const struct kad_record record = kad_overlay_record(&key, "v");
  assert_ok(kad_overlay_put(&overlay, HONEST, &record, NULL));
  assert_ok(get(30, &key));
  assert_ok(get(HONEST, &key));
  for (size_t i = 0; i < HONEST; i++) {
    assert_false(kad_overlay_knows(&overlay, i, HONEST, NULL));
  }
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prefer_stores_at_nodes_whose_ids_fit),
      cmocka_unit_test(enforce_keeps_others_out_of_tables_and_lookups),
      cmocka_unit_test(enforcing_nodes_serve_those_whose_ids_do_not_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
