/* Lookups, puts and gets in an overlay of 300 nodes, measured against all ids.
 * An overlay of 1,000 is in overlay_test.c. Tests core/lookup,
 * core/operations. */
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 300,
  LOOKUPS = 400,
  PUTS = 60,
  DEATHS = 10, /* overlays in which nodes die */
  K = 8
};

static struct kad_overlay overlay;

static int open_big(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 22);
  kad_overlay_grow(&overlay, NODES);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

/* Results of many lookups. */
struct tally {
  unsigned exact; /* found exactly the k closest */
  unsigned ended;
  unsigned failed;
  uint32_t messages;
  uint32_t hops;
  uint32_t took_ms;
};

/* Returns true if `ending` names the k closest to `target`, in their order. */
static bool is_exact(const struct kad_ending *ending,
                     const struct kad_id *target,
                     const struct kad_node *asker) {
  size_t closest[K];
  const size_t count = kad_overlay_closest(&overlay, target, asker, closest, K);
  bool exact = ending->result.closest_count == count;
  for (size_t i = 0; exact && i < count; i++) {
    exact =
        kad_id_equal(&ending->result.closest[i].id, &overlay.ids[closest[i]]);
  }
  return exact;
}

/* Checks that no contact is queried twice, and that the contact that named it
 * was queried before. */
static void check_path(const struct kad_ending *ending) {
  const struct kad_result *result = &ending->result;
  for (size_t i = 0; i < result->path_count; i++) {
    const struct kad_step *step = &result->path[i];
    bool was_asked = step->heard_from.address.family == 0;
    for (size_t j = 0; j < i; j++) {
      const struct kad_contact *other = &result->path[j].contact;
      assert_false(kad_id_equal(&other->id, &step->contact.id));
      was_asked = was_asked || kad_id_equal(&other->id, &step->heard_from.id);
    }
    assert_true(was_asked);
    assert_true(step->hop >= 1);
    assert_true((step->heard_from.address.family == 0) == (step->hop == 1));
  }
}

static size_t pick_living(unsigned number) {
  size_t i = (number * 7919U + 13) % NODES;
  while (overlay.nodes[i] == NULL) {
    i = (i + 1) % NODES;
  }
  return i;
}

static struct tally look_up_many(unsigned count) {
  struct tally tally = {0};
  for (unsigned i = 0; i < count; i++) {
    const struct kad_id target = kad_overlay_key(10000 + i);
    const size_t asker = pick_living(i);
    struct kad_ending ending;
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_find_node(overlay.nodes[asker], &target, NULL,
                                 kad_ending_done, &ending, NULL));
    (void)kad_ending_reach(&ending);
    check_path(&ending);
    tally.ended++;
    tally.failed += ending.result.status != 0;
    tally.exact += is_exact(&ending, &target, overlay.nodes[asker]);
    tally.messages += ending.result.messages;
    tally.hops += ending.result.hops;
    tally.took_ms += ending.result.took_ms;
    kad_ending_deinit(&ending);
  }
  print_message("# %u of %u exact; %.2f hops, %.1f messages, %.0f ms each\n",
                tally.exact, tally.ended, (double)tally.hops / count,
                (double)tally.messages / count, (double)tally.took_ms / count);
  return tally;
}

static void lookups_find_the_k_closest(void **state) {
  (void)state;

  const struct tally tally = look_up_many(LOOKUPS);

  assert_int_equal(tally.failed, 0);
  assert_true(tally.exact * 100 >= tally.ended * 99);
  assert_true(tally.messages <= tally.ended * 30);
}

/* Adds what the lookups of another overlay found. */
static void add_tally(struct tally *sum, struct tally more) {
  sum->exact += more.exact;
  sum->ended += more.ended;
  sum->failed += more.failed;
}

/* One overlay has from 85 to 96 exact lookups of 100, so several count. */
static void lookups_find_them_although_nodes_died(void **state) {
  (void)state;
  struct tally at_once = {0};
  struct tally later = {0};
  for (uint64_t seed = 1; seed <= DEATHS; seed++) {
    kad_overlay_open(&overlay, seed);
    kad_overlay_grow(&overlay, NODES);
    for (size_t i = 1; i < NODES; i += 5) {
      kad_overlay_kill(&overlay, i);
    }
    add_tally(&at_once, look_up_many(LOOKUPS / 4));
    kad_overlay_run(&overlay, KAD_HOUR_MS);
    add_tally(&later, look_up_many(LOOKUPS / 4));
    kad_overlay_close(&overlay);
  }

  print_message("# of %u: %u exact at once, %u an hour later\n", at_once.ended,
                at_once.exact, later.exact);
  assert_int_equal(at_once.failed, 0);
  assert_true(at_once.exact * 100 >= at_once.ended * 90);
  assert_true(later.exact * 100 >= later.ended * 99);
}

/* Returns how many of the k nodes closest to `key` hold a record of it. */
static size_t count_holders(const struct kad_id *key) {
  size_t closest[K];
  size_t holders = 0;
  const struct kad_lookup_options here = {.quorum = 1};
  (void)kad_overlay_closest(&overlay, key, NULL, closest, K);
  for (size_t i = 0; i < K; i++) {
    struct kad_ending got;
    kad_ending_init(&got, &overlay);
    /* With a quorum of one, a holder sends no query. */
    assert_ok(kad_node_get(overlay.nodes[closest[i]], key,
                           kad_slice_of("value"), &here, kad_ending_done, &got,
                           NULL));
    const int status = kad_ending_reach(&got);
    holders += status == 0 && got.result.messages == 0;
    kad_ending_deinit(&got);
  }
  return holders;
}

static void values_reach_the_k_closest_and_are_read(void **state) {
  (void)state;
  size_t holders = 0;
  unsigned read = 0;
  uint32_t messages = 0;
  for (unsigned i = 0; i < PUTS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    const struct kad_lookup_options first = {.quorum = 1};
    struct kad_ending got;
    assert_ok(kad_overlay_put(&overlay, pick_living(i), &record, NULL));
    holders += count_holders(&key);
    kad_ending_init(&got, &overlay);
    read += kad_overlay_get(&overlay, pick_living(i + 1000), &key, "value",
                            &first, &got) == 0;
    messages += got.result.messages;
    kad_ending_deinit(&got);
  }

  print_message("# %.3f holders / k; %.1f messages a get of one value\n",
                (double)holders / (PUTS * K), (double)messages / PUTS);
  assert_int_equal(read, PUTS);
  assert_true(holders * 100 >= (size_t)PUTS * K * 99);
}

/* With 10 % loss, operations take longer, but nearly all succeed. */
static void operations_succeed_with_loss(void **state) {
  (void)state;
  size_t found = 0;
  kad_overlay_open_lossy(&overlay, 5, 0.1);
  for (size_t i = 0; i < 100; i++) {
    (void)kad_overlay_add(&overlay);
    if (i > 0) {
      kad_overlay_join(&overlay, i, 0);
    }
    kad_overlay_run(&overlay, 50);
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);

  for (unsigned i = 0; i < 50; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    struct kad_ending got;
    kad_ending_init(&got, &overlay);
    assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
    found += kad_overlay_get(&overlay, 99 - i, &key, "value", NULL, &got) == 0;
    kad_ending_deinit(&got);
  }

  assert_int_equal(found, 50);
  for (size_t i = 0; i < 100; i++) {
    assert_int_equal(kad_node_state(overlay.nodes[i]), KAD_STATE_HEALTHY);
  }
  kad_overlay_close(&overlay);
}

/* One node runs a thousand lookups at once. */
static void a_thousand_lookups_at_once_all_end(void **state) {
  (void)state;
  static struct kad_ending endings[1000];
  overlay.config.max_lookups = 1000;
  struct kad_node *node = kad_overlay_add(&overlay);
  kad_overlay_join(&overlay, NODES, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  for (unsigned i = 0; i < 1000; i++) {
    const struct kad_id target = kad_overlay_key(20000 + i);
    kad_ending_init(&endings[i], &overlay);
    assert_ok(kad_node_find_node(node, &target, NULL, kad_ending_done,
                                 &endings[i], NULL));
  }

  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  unsigned ok = 0;
  for (unsigned i = 0; i < 1000; i++) {
    assert_int_equal(endings[i].calls, 1);
    ok += endings[i].result.status == 0;
    kad_ending_deinit(&endings[i]);
  }
  assert_int_equal(ok, 1000);
  assert_int_equal(kad_overlay_stats(&overlay, NODES).pending, 0);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_big, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(lookups_find_the_k_closest),
      cmocka_unit_test(lookups_find_them_although_nodes_died),
      IN_OVERLAY(values_reach_the_k_closest_and_are_read),
      IN_OVERLAY(a_thousand_lookups_at_once_all_end),
      cmocka_unit_test(operations_succeed_with_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
