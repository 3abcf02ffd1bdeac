/* S/Kademlia §4.4, with contacts that lie: in an overlay of which a fifth lies
 * in one of four ways, lookups on eight disjoint paths succeed. Tests
 * core/lookup.
 *
 * A lookup succeeds if a get from an honest node returns the value that was put
 * under the key: half of the values are put before the liars begin to lie, the
 * others while they do. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <stdio.h>

enum {
  NODES = 200,
  HOSTILE = NODES / 5,
  PATHS = 8,
  KEYS = 40,  /* half of them are put among liars */
  GETS = 200, /* of each overlay */
  SEEDS = 2,
  STEPS_MAX = 512,     /* queries of a lookup: its paths may send no more */
  SEARCHES = 4,        /* lookups of a get that finds its key dense */
  DEADLINE_MS = 20000, /* of a get, by default */
  SLOW_MS = 3000,      /* 99 of 100 gets take less */
  VALUE_SIZE = 16
};

static struct kad_overlay overlay;

/* What became of the gets. */
struct outcome {
  size_t right; /* returned the value that was put */
  size_t wrong; /* returned another one */
  size_t slow;  /* took SLOW_MS or more */
  uint64_t messages;
  uint32_t messages_max;
  uint32_t took_max_ms;
};

/* Returns the number of an honest node: every fifth one is hostile. */
static size_t honest(size_t n) {
  n %= NODES - HOSTILE;
  return n + n / 4 + 1;
}

static struct kad_slice value_of(unsigned n, char text[VALUE_SIZE]) {
  (void)snprintf(text, VALUE_SIZE, "value %u", n);
  return kad_slice_of(text);
}

static void put_keys(unsigned from, unsigned to) {
  const struct kad_lookup_options options = {.paths = PATHS};
  for (unsigned n = from; n < to; n++) {
    char text[VALUE_SIZE];
    const struct kad_id key = kad_overlay_key(n);
    struct kad_record record = kad_overlay_record(&key, "");
    struct kad_ending ending;
    record.value = value_of(n, text);
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_put(overlay.nodes[honest((size_t)n * 7)], &record,
                           &options, kad_ending_done, &ending, NULL));
    assert_ok(kad_ending_reach(&ending));
    kad_ending_deinit(&ending);
  }
}

static void turn_hostile(enum kad_sim_behaviour behaviour) {
  const struct kad_sim_hostility how = {.behaviour = behaviour};
  for (size_t i = 0; i < NODES; i += NODES / HOSTILE) {
    assert_ok(kad_sim_set_behaviour(overlay.network, overlay.nodes[i], &how));
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
}

static void judge(unsigned n, const struct kad_result *result,
                  struct outcome *outcome) {
  char text[VALUE_SIZE];
  const struct kad_slice value = value_of(n, text);
  const bool found = result->record_count > 0;
  const bool right = found && kad_slice_equal(result->records[0].value, value);
  outcome->right += right;
  outcome->wrong += found && !right;
  outcome->slow += result->took_ms >= SLOW_MS;
  outcome->messages += result->messages;
  outcome->messages_max = result->messages > outcome->messages_max
                              ? result->messages
                              : outcome->messages_max;
  outcome->took_max_ms = result->took_ms > outcome->took_max_ms
                             ? result->took_ms
                             : outcome->took_max_ms;
}

static void get_keys(struct outcome *outcome) {
  const struct kad_lookup_options options = {.paths = PATHS};
  for (unsigned i = 0; i < GETS; i++) {
    const unsigned n = i % KEYS;
    const struct kad_id key = kad_overlay_key(n);
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    (void)kad_overlay_get(&overlay, honest((size_t)i * 13), &key, "value",
                          &options, &ending);
    judge(n, &ending.result, outcome);
    kad_ending_deinit(&ending);
  }
}

static void check_behaviour(enum kad_sim_behaviour behaviour,
                            const char *name) {
  struct outcome outcome = {0};
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    kad_overlay_open(&overlay, seed);
    kad_overlay_grow(&overlay, NODES);
    put_keys(0, KEYS / 2);
    turn_hostile(behaviour);
    put_keys(KEYS / 2, KEYS);
    get_keys(&outcome);
    kad_overlay_close(&overlay);
  }
  print_message(
      "%s: %zu of %d right, %zu slow, at most %u ms; %u queries a "
      "get, at most %u\n",
      name, outcome.right, GETS * SEEDS, outcome.slow, outcome.took_max_ms,
      (unsigned)(outcome.messages / (GETS * SEEDS)), outcome.messages_max);
  assert_true(outcome.right * 100 >= (size_t)GETS * SEEDS * 99);
  assert_int_equal(outcome.wrong, 0);
  assert_true(outcome.slow * 100 <= (size_t)GETS * SEEDS);
  assert_true(outcome.took_max_ms <= DEADLINE_MS + 1000);
  assert_true(outcome.messages_max <= SEARCHES * STEPS_MAX);
}

static void lookups_succeed_among_liars(void **state) {
  (void)state;
  check_behaviour(KAD_SIM_BEHAVIOUR_LIAR, "liars");
}

static void lookups_succeed_among_misplacers(void **state) {
  (void)state;
  check_behaviour(KAD_SIM_BEHAVIOUR_MISPLACER, "misplacers");
}

static void lookups_succeed_among_mislabelers(void **state) {
  (void)state;
  check_behaviour(KAD_SIM_BEHAVIOUR_MISLABELER, "mislabelers");
}

static void lookups_succeed_among_lurers(void **state) {
  (void)state;
  check_behaviour(KAD_SIM_BEHAVIOUR_LURER, "lurers");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lookups_succeed_among_liars),
      cmocka_unit_test(lookups_succeed_among_misplacers),
      cmocka_unit_test(lookups_succeed_among_mislabelers),
      cmocka_unit_test(lookups_succeed_among_lurers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
