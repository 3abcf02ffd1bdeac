/* Partition recovery: an overlay was partitioned, or two overlays never met.
 * Kademlia does not specify it. Tests core/membership. */
#include "overlay.h"
#include "unit.h"

enum {
  SIZE = 160,
  VALUES = 20,
  CUT_MS = 2 * KAD_HOUR_MS,
  HEALED_MS = 10 * KAD_MINUTE_MS
};

static struct kad_overlay overlay;

static uint32_t side_of(size_t i) {
  return (uint32_t)(i % 2);
}

/* Separates the nodes with even numbers from those with odd numbers. */
static void partition(void) {
  for (size_t i = 0; i < overlay.count; i++) {
    if (overlay.nodes[i] == NULL) {
      continue;
    }
    assert_ok(
        kad_sim_set_group(overlay.network, overlay.nodes[i], 1 + side_of(i)));
  }
}

/* Opens an overlay and partitions it for two hours. Meanwhile each side stores
 * values of its own under `VALUES` keys, from 1000 and from 2000. Node 0, the
 * bootstrap contact of all, is closed. */
static void open_partitioned(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  kad_overlay_kill(&overlay, 0);
  partition();
  kad_overlay_run(&overlay, CUT_MS / 2);
  for (unsigned i = 0; i < VALUES; i++) {
    for (unsigned side = 0; side < 2; side++) {
      const struct kad_id key = kad_overlay_key((1 + side) * 1000 + i);
      const struct kad_record record = kad_overlay_record(&key, "v");
      assert_ok(kad_node_put(overlay.nodes[2 * i + side + 2], &record, NULL,
                             NULL, NULL, NULL));
    }
  }
  kad_overlay_run(&overlay, CUT_MS / 2);
}

static void heal(void) {
  assert_ok(kad_sim_heal(overlay.network));
  kad_overlay_run(&overlay, HEALED_MS);
}

/* Returns the number of nodes that know a node of the other side. */
static size_t count_reconnected(void) {
  size_t reunited = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    for (size_t j = 0; j < overlay.count; j++) {
      if (overlay.nodes[i] != NULL && side_of(i) != side_of(j) &&
          kad_overlay_knows(&overlay, i, j, NULL)) {
        reunited++;
        break;
      }
    }
  }
  return reunited;
}

/* Returns the number of records that node `i` gets under key `number`. */
static size_t get(size_t i, unsigned number) {
  struct kad_ending ending;
  const struct kad_id key = kad_overlay_key(number);
  kad_ending_init(&ending, &overlay);
  const int status = kad_overlay_get(&overlay, i, &key, "value", NULL, &ending);
  const size_t count = status == 0 ? ending.result.record_count : 0;
  kad_ending_deinit(&ending);
  return count;
}

/* Both sides have removed each other from their tables, and remember lost
 * contacts. */
static void partitions_find_each_other_again(void **state) {
  (void)state;
  open_partitioned(1);
  assert_int_equal(count_reconnected(), 0);
  assert_int_equal(get(1, 1000), 0);
  heal();
  assert_true(count_reconnected() >= SIZE * 95 / 100);
  for (unsigned i = 0; i < VALUES; i++) {
    assert_int_equal(get(2 * i + 1, 1000 + i), 1);
    assert_int_equal(get(2 * i + 2, 2000 + i), 1);
  }
  kad_overlay_close(&overlay);
}

/* Both sides wrote under one key: unsigned values are kept beside each other.
 */
static void values_of_both_partitions_are_merged(void **state) {
  const struct kad_id key = kad_overlay_key(1);
  (void)state;
  kad_overlay_open(&overlay, 2);
  kad_overlay_grow(&overlay, SIZE);
  partition();
  kad_overlay_run(&overlay, CUT_MS);
  for (size_t i = 0; i < 2; i++) {
    const struct kad_record record =
        kad_overlay_record(&key, i == 0 ? "even" : "odd");
    assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
    assert_int_equal(get(10 + i, 1), 1);
  }
  heal();
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(get(20 + i, 1), 2);
  }
  kad_overlay_close(&overlay);
}

/* Two overlays that never met. The nodes of each know an address of the other,
 * which did not answer when they joined. */
static void separate_overlays_join_through_known_addresses(void **state) {
  enum {
    FEW = 60
  };
  (void)state;
  kad_overlay_open(&overlay, 3);
  for (size_t i = 0; i < FEW; i++) {
    (void)kad_overlay_add(&overlay);
  }
  partition();
  for (size_t i = 0; i < FEW; i++) {
    const struct kad_address known[] = {kad_overlay_address(0),
                                        kad_overlay_address(1)};
    assert_ok(kad_node_bootstrap(overlay.nodes[i], known, 2, NULL, NULL, NULL));
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS);
  assert_int_equal(count_reconnected(), 0);
  assert_ok(kad_sim_heal(overlay.network));
  kad_overlay_run(&overlay, 2 * HEALED_MS);
  assert_true(count_reconnected() >= FEW * 95 / 100);
  kad_overlay_close(&overlay);
}

/* Reconnect probes become rarer over time, and end after a day. */
static void reconnect_probes_are_rare(void **state) {
  uint64_t asked[3] = {0};
  (void)state;
  open_partitioned(4);
  for (size_t i = 1; i < SIZE; i++) {
    asked[0] += kad_overlay_stats(&overlay, i).reconnect_probes;
  }
  assert_in_range(asked[0], SIZE * 20, SIZE * 120);
  /* The other side does not come back. */
  for (size_t i = 1; i < SIZE; i += 2) {
    kad_overlay_kill(&overlay, i);
  }
  kad_overlay_run(&overlay, 26 * KAD_HOUR_MS);
  for (size_t i = 2; i < SIZE; i += 2) {
    asked[1] += kad_overlay_stats(&overlay, i).reconnect_probes;
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  for (size_t i = 2; i < SIZE; i += 2) {
    asked[2] += kad_overlay_stats(&overlay, i).reconnect_probes;
  }
  assert_true(asked[1] <= SIZE / 2 * 1000);
  assert_in_range(asked[2] - asked[1], 0, SIZE / 2 * 8);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(partitions_find_each_other_again),
      cmocka_unit_test(values_of_both_partitions_are_merged),
      cmocka_unit_test(separate_overlays_join_through_known_addresses),
      cmocka_unit_test(reconnect_probes_are_rare),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
